"""The tools of the MCP project: the conformance suite, the Inspector and the TypeScript SDK, on the Node they need."""

from __future__ import annotations

import asyncio
import os
import platform
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

from tests.support.node_packages import installed

NODE = "24.9.0"
CONFORMANCE = "0.2.0-alpha.12"
INSPECTOR = "2.12.0"
TYPESCRIPT = "2.3.1"
RUN_SECONDS = 60


Hear = Callable[[str], Awaitable[None]]


async def conformance(*words: str, folder: Path, hear: Hear | None = None) -> tuple[int, str]:
    """Run the suite; return its exit code and what it printed. Skip the test when it cannot be had.

    Each line goes to `hear` once it is printed.
    """
    package = "@modelcontextprotocol/conformance"
    home = installed(f"mcp-conformance-{CONFORMANCE}-{NODE}", {package: CONFORMANCE, _node(): NODE})
    return await _run(home, f"{package}/dist/index.js", *words, folder=folder, hear=hear)


async def inspector(*words: str, folder: Path, hear: Hear | None = None) -> tuple[int, str]:
    """Run the Inspector's command line, as `conformance`."""
    package = "@modelcontextprotocol/inspector"
    home = installed(f"mcp-inspector-{INSPECTOR}-{NODE}", {package: INSPECTOR, _node(): NODE})
    script = f"{package}/clients/launcher/build/index.js"
    return await _run(home, script, "--cli", *words, folder=folder, hear=hear)


async def typescript(script: Path, *words: str, folder: Path, hear: Hear | None = None) -> tuple[int, str]:
    """Run a script that loads the TypeScript SDK's client, as `conformance`."""
    packages = {"@modelcontextprotocol/client": TYPESCRIPT, _node(): NODE}
    home = installed(f"mcp-typescript-{TYPESCRIPT}-{NODE}", packages)
    return await _run(home, str(script), *words, folder=folder, hear=hear)


def _node() -> str:
    """Name the package that holds Node for this machine."""
    machine = {"x86_64": "x64", "amd64": "x64", "aarch64": "arm64"}.get(
        platform.machine().lower(), platform.machine().lower()
    )
    return f"node-{'win' if sys.platform == 'win32' else sys.platform}-{machine}"


async def _run(
    home: Path, script: str, *words: str, folder: Path, hear: Hear | None = None
) -> tuple[int, str]:
    node = home / "node_modules" / _node() / "bin" / "node"
    process = await asyncio.create_subprocess_exec(
        str(node),
        str(home / "node_modules" / script),
        *words,
        cwd=folder,
        env={
            "PATH": f"{node.parent}{os.pathsep}{os.environ['PATH']}",
            "HOME": str(folder),
            "NODE_PATH": str(home / "node_modules"),
            # without a terminal the Inspector signs in only if it may open a browser
            **({} if hear is None else {"MCP_AUTO_OPEN_ENABLED": "true"}),
            "NODE_COMPILE_CACHE": str(home / "compiled"),
        },
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    async with asyncio.timeout(RUN_SECONDS):
        printed = ""
        assert process.stdout is not None
        async for line in process.stdout:
            printed += line.decode()
            if hear is not None:
                await hear(line.decode().strip())
        return await process.wait(), printed
