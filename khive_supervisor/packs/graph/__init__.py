"""The graph pack: links between entries, and walks along them."""
