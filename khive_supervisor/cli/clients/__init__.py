"""`connect`: MCP clients' configurations, edited in place."""
