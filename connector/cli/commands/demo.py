"""`koji-amplitude demo`."""

from __future__ import annotations

from collections.abc import Sequence

from connector.cli.arguments import Parser


def main(words: Sequence[str]) -> int:
    """Run the demo and return its exit code."""
    parser = Parser(
        "demo", "Close the loop on this machine, with stand-ins for Koji and Amplitude and no account."
    )
    parser.add_argument(
        "--keep", action="store_true", help="Leave the servers and their data for a look around."
    )
    given = parser.read(words)
    from connector.demo import demo  # noqa: PLC0415 - its help needs none of it

    return demo.main(keep=given.keep)
