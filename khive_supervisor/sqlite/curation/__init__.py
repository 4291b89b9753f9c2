"""What people do with what is stored: lists, pins, changes that can be undone, export."""
