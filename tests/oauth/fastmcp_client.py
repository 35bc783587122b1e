"""fastmcp's own client: signs in through the browser that the system names, and prints the names of the tools."""

import asyncio
import json
import sys
from importlib import import_module
from typing import Any

fastmcp: Any = import_module("fastmcp")  # in an environment of its own


async def main() -> None:
    async with fastmcp.Client(sys.argv[1], auth="oauth") as client:
        print(json.dumps({"tools": [tool.name for tool in await client.list_tools()]}), flush=True)


asyncio.run(main())
