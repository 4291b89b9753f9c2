"""Texts as they are searched: words, names meant as written, and Unicode at the border."""
