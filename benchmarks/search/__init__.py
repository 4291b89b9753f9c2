"""How quickly and how well entries are found."""
