"""`koji-amplitude token create|list|revoke`: named tokens with scopes."""

from __future__ import annotations

import asyncio
import json
import re
import sys
from argparse import Namespace
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence

from connector.app import build
from connector.cli.arguments import USAGE, Parser
from connector.cli.operations.tables import show
from connector.cli.startup import read_settings
from connector.cli.terminal import PROGRAM, say, stdout
from connector.context import Context
from connector.domain.access import Token
from connector.domain.results.mapping import iso
from connector.errors import Conflict, InvalidInput, NotFound
from connector.http.auth import new_token, token_digest
from connector.security.caller import RESERVED_NAMES, SCOPES
from connector.settings.model import Settings

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,39}")
_HELP = f"""usage: {PROGRAM} token create NAME --scopes read,send [--connections a,b]
       {PROGRAM} token list [--output json]
       {PROGRAM} token revoke NAME

Named tokens for callers of the HTTP surface; the store keeps only their SHA-256.
"""


def main(words: Sequence[str]) -> int:
    """Run one of the three and return its exit code. Raises SettingsError and the errors of the ledger."""
    if words and words[0] in _ACTIONS:
        return _ACTIONS[words[0]](words[1:])
    if words and words[0] in {"-h", "--help"}:
        sys.stdout.write(_HELP)
        return 0
    say(f"error: token: say create, list or revoke ({PROGRAM} token --help tells their flags)")
    return USAGE


def _create(words: Sequence[str]) -> int:
    parser = _parser("create", "Create a token and print it once.", named=True)
    parser.add_argument(
        "--scopes",
        action="append",
        required=True,
        metavar="SCOPES",
        help=f"What it may do: some of {', '.join(SCOPES)}, separated by commas.",
    )
    parser.add_argument(
        "--connections",
        action="append",
        metavar="NAMES",
        help="The only connections it is for, separated by commas; without it, all.",
    )
    given = parser.read(words)
    if not _NAME.fullmatch(given.name) or given.name in RESERVED_NAMES:
        raise InvalidInput.of(
            "name",
            "take 1 to 40 letters, digits, dots, dashes and underscores, and none of "
            + ", ".join(sorted(RESERVED_NAMES)),
        )
    settings = read_settings(quiet=True)
    scopes = _chosen("scopes", given.scopes, SCOPES)
    connections = given.connections and _chosen("connections", given.connections, settings.connections)
    text = new_token()

    async def create(ctx: Context) -> None:
        digest = token_digest(text).hex()
        made = Token(given.name, digest, scopes, connections, ctx.clock.now())
        if not await ctx.ledger.tokens.create(made):
            raise Conflict(
                f"name: {given.name} is or was the name of another token; take a new one.",
                code="token_exists",
            )

    _with_store(settings, create)
    say(f"The token {given.name}, shown only now; the store keeps no more than its SHA-256:")
    sys.stdout.write(text + "\n")
    return 0


def _list(words: Sequence[str]) -> int:
    parser = _parser("list", "List the tokens, without their secrets.")
    parser.add_argument(
        "--output", choices=["table", "json"], default="table", help="How to print them (default table)."
    )
    given = parser.read(words)
    found: list[Token] = []

    async def look(ctx: Context) -> None:
        found.extend(await ctx.ledger.tokens.listed())

    _with_store(read_settings(quiet=True), look)
    _print([_shown(token) for token in found], given)
    return 0


def _revoke(words: Sequence[str]) -> int:
    given = _parser("revoke", "End a token at once, on every server of the store.", named=True).read(words)

    async def revoke(ctx: Context) -> None:
        if not await ctx.ledger.tokens.revoke(given.name, ctx.clock.now()):
            raise NotFound(f"name: there is no token of that name; {PROGRAM} token list shows them.")

    _with_store(read_settings(quiet=True), revoke)
    say(f"The token {given.name} is revoked.")
    return 0


_ACTIONS: Mapping[str, Callable[[Sequence[str]], int]] = {
    "create": _create,
    "list": _list,
    "revoke": _revoke,
}


def _parser(action: str, description: str, *, named: bool = False) -> Parser:
    parser = Parser(f"token {action}", description)
    if named:
        parser.usage = f"{PROGRAM} token {action} NAME [flags]"
        parser.add_argument("name", metavar="NAME", help="The token's name.")
    return parser


def _chosen(flag: str, given: Sequence[str], known: Collection[str]) -> tuple[str, ...]:
    wanted = {word.strip() for words in given for word in words.split(",")} - {""}
    if not wanted or wanted - set(known):
        raise InvalidInput.of(flag, f"take some of: {', '.join(known)}")
    return tuple(name for name in known if name in wanted)


def _shown(token: Token) -> dict[str, object]:
    return {
        "name": token.name,
        "scopes": list(token.scopes),
        "connections": "all" if token.connections is None else list(token.connections),
        "created": iso(token.created_at),
        "revoked": None if token.revoked_at is None else iso(token.revoked_at),
    }


def _print(items: list[dict[str, object]], given: Namespace) -> None:
    if given.output == "json":
        sys.stdout.write(json.dumps({"items": items}, separators=(",", ":"), ensure_ascii=False) + "\n")
    else:
        show(stdout(), {"items": items})


def _with_store(settings: Settings, work: Callable[[Context], Awaitable[None]]) -> None:
    async def run() -> None:
        async with build(settings, workers=False) as running:
            await work(running.context)

    asyncio.run(run())
