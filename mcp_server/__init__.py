"""The operations as an MCP server: for assistants, over stdio and HTTP."""
