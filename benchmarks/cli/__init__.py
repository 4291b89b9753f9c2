"""What commands cost."""
