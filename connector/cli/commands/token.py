"""`koji-amplitude token create|list|revoke`: named tokens with scopes."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace

import click

from connector.cli.arguments import Group, completer
from connector.cli.startup import connection_names, read_settings, run_in_context
from connector.cli.terminal import say
from connector.context import Context
from connector.domain.access import Token
from connector.domain.results.mapping import iso
from connector.security.caller import COMMAND_LINE, SCOPES
from connector.service import tokens


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
    settings = read_settings(quiet=True)
    text = run_in_context(settings, lambda ctx: tokens.create(_here(ctx), name, scopes, connections or None))
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

    known = run_in_context(read_settings(quiet=True), lambda ctx: tokens.listed(_here(ctx)))
    print_answer({"items": [_shown(token) for token in known]}, output)
    return 0


@command.command("revoke")
@click.argument("name")
def revoke_token(name: str) -> int:
    """End a token at once, on every server of the ledger."""
    run_in_context(read_settings(quiet=True), lambda ctx: tokens.revoke(_here(ctx), name))
    say(f"The token {name} is revoked.")
    return 0


def _here(ctx: Context) -> Context:
    return replace(ctx, caller=COMMAND_LINE)


def _shown(token: Token) -> dict[str, object]:
    return {
        "name": token.name,
        "scopes": list(token.scopes),
        "connections": "all" if token.connections is None else list(token.connections),
        "created": iso(token.created_at),
        "used": None if token.used_at is None else iso(token.used_at),
        "revoked": None if token.revoked_at is None else iso(token.revoked_at),
    }
