"""`koji-amplitude token create|list|revoke`: named tokens with scopes."""

from __future__ import annotations

import re
import sys
from collections.abc import Awaitable, Collection, Sequence

import click

from connector.cli.arguments import Group, completer
from connector.cli.startup import connection_names, read_settings, run_in_context
from connector.cli.terminal import PROGRAM, say
from connector.context import Context
from connector.domain.access import Token
from connector.domain.results.mapping import iso
from connector.errors import Conflict, InvalidInput, NotFound
from connector.security.caller import RESERVED_NAMES, SCOPES
from connector.text.redaction import cut

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,39}")
_LONGEST_SHOWN = 40


@click.group(cls=Group)
def command() -> None:
    """Create, list and revoke named tokens for callers of the HTTP surface.

    The ledger keeps only the SHA-256 of a token.
    """


@command.command()
@click.argument("name")
@click.option(
    "--scopes",
    multiple=True,
    required=True,
    metavar="SCOPES",
    shell_complete=completer(lambda: SCOPES, several=True),
    help=f"The scopes of the token, separated by commas: some of {', '.join(SCOPES)}.",
)
@click.option(
    "--connections",
    multiple=True,
    metavar="NAMES",
    shell_complete=completer(connection_names, several=True),
    help="The connections of the token, separated by commas (default all).",
)
def create(name: str, scopes: Sequence[str], connections: Sequence[str]) -> int:
    """Create a token and print it once."""
    from connector.http.auth import new_token, token_digest

    if not _NAME.fullmatch(name) or name in RESERVED_NAMES:
        rule = "take 1 to 40 letters, digits, dots, dashes and underscores, and none of "
        raise InvalidInput.of("name", rule + ", ".join(sorted(RESERVED_NAMES)))
    settings = read_settings(quiet=True)
    allowed = _chosen("scopes", scopes, SCOPES)
    only = _chosen("connections", connections, settings.connections) if connections else None
    text = new_token()

    def store(ctx: Context) -> Awaitable[bool]:
        token = Token(name, token_digest(text).hex(), allowed, only, ctx.clock.now())
        return ctx.ledger.tokens.create(token)

    if not run_in_context(settings, store):
        message = f"name: {name} is or was the name of another token; take a new one."
        raise Conflict(message, code="token_exists")
    say(f"The token {name}, shown only now; the ledger keeps no more than its SHA-256:")
    sys.stdout.write(text + "\n")
    return 0


@command.command("list")
@click.option(
    "--output",
    type=click.Choice(["table", "json"]),
    metavar="{table,json}",
    default="table",
    help="How to print the tokens (default table).",
)
def list_tokens(output: str) -> int:
    """List the tokens, without their secrets."""
    from connector.cli.operations.tables import print_answer

    tokens = run_in_context(read_settings(quiet=True), lambda ctx: ctx.ledger.tokens.listed())
    print_answer({"items": [_shown(token) for token in tokens]}, output)
    return 0


@command.command("revoke")
@click.argument("name")
def revoke_token(name: str) -> int:
    """End a token at once, on every server of the ledger."""
    settings = read_settings(quiet=True)
    if not run_in_context(settings, lambda ctx: ctx.ledger.tokens.revoke(name, ctx.clock.now())):
        raise NotFound(f"name: there is no token of that name; {PROGRAM} token list shows them.")
    say(f"The token {name} is revoked.")
    return 0


def _chosen(flag: str, texts: Sequence[str], known: Collection[str]) -> tuple[str, ...]:
    words = {word.strip() for text in texts for word in text.split(",")} - {""}
    if not words <= set(known):
        unknown = cut(min(words - set(known)), _LONGEST_SHOWN)
        raise InvalidInput.of(flag, f"there is no {unknown}; take some of: {', '.join(known)}")
    if not words:
        raise InvalidInput.of(flag, f"take some of: {', '.join(known)}")
    return tuple(name for name in known if name in words)


def _shown(token: Token) -> dict[str, object]:
    return {
        "name": token.name,
        "scopes": list(token.scopes),
        "connections": "all" if token.connections is None else list(token.connections),
        "created": iso(token.created_at),
        "revoked": None if token.revoked_at is None else iso(token.revoked_at),
    }
