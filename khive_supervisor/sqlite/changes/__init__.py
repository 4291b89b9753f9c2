"""What a transaction changes: recorded, written down as nodes apply it, and split in parts."""
