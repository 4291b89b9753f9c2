"""Commands that take out of the store what must not be in it."""
