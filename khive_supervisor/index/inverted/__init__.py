"""The inverted index of a generation: words and the entries that have them."""
