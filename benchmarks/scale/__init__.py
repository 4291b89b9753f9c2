"""How searches grow with the store, and what they cost beside another release."""
