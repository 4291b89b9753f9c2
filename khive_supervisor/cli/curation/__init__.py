"""Commands for what is in the memory: lists, corrections, export and import."""
