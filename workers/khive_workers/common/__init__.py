"""What all workers share."""
