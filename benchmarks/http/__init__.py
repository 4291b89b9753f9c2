"""The HTTP worker, used and abused."""
