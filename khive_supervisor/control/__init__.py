"""The control socket's protocol, and its client."""
