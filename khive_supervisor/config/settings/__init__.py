"""Every setting, declared once, and how a file's values are read into it."""
