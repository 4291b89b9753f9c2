"""What must not be kept: secrets and private spans, found and cut before a text is stored."""
