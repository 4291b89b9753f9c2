"""`doctor`: checks of everything that can be wrong."""
