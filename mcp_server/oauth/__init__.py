"""OAuth 2.1 for `/mcp`: hosted assistants sign in, and a person says yes to what they may do."""
