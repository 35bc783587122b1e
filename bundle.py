"""Start the MCP server over stdio: the entry point of the bundle, for hosts that choose its environment."""

from __future__ import annotations

import sys

from connector.cli.main import main

sys.exit(main(["mcp"]))
