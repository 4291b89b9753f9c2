"""What a store knows of channels, and of what is on its way to them."""
