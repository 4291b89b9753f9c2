"""MCP on descriptors, served from the registry of verbs."""
