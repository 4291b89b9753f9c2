"""The HTTP worker: MCP, metrics and routes on the loopback."""
