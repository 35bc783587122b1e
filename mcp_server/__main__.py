"""`python -m mcp_server` is `koji-amplitude mcp`."""

from __future__ import annotations

import sys

from connector.cli.main import main

if __name__ == "__main__":
    sys.exit(main(["mcp", *sys.argv[1:]]))
