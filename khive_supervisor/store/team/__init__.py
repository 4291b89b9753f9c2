"""What of a store is about its team."""
