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
from connector.domain.access import Grant, Token
from connector.domain.results.mapping import iso
from connector.security.caller import COMMAND_LINE, SCOPES
from connector.service import grants, tokens


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
    """List the tokens, and under each the grants of assistants, without their secrets."""
    from connector.cli.operations.tables import print_answer

    async def listed(ctx: Context) -> list[Token | Grant]:
        known: list[Token | Grant] = [*await tokens.listed(_here(ctx)), *await grants.listed(_here(ctx))]
        return sorted(known, key=lambda one: one.name)

    known = run_in_context(read_settings(quiet=True), listed)
    print_answer({"items": [_shown(one) for one in known]}, output)
    return 0


@command.command("revoke")
@click.argument("name")
def revoke_token(name: str) -> int:
    """End a token and what was made with it, or one grant (TOKEN/GRANT), on every server of the ledger."""
    end = grants.end if "/" in name else tokens.revoke
    told = run_in_context(read_settings(quiet=True), lambda ctx: end(_here(ctx), name))
    say(told or f"The grant {name} is revoked.")
    return 0


def _here(ctx: Context) -> Context:
    return replace(ctx, caller=COMMAND_LINE)


def _shown(one: Token | Grant) -> dict[str, object]:
    client, revoked_at = (one.client_name, None) if isinstance(one, Grant) else (None, one.revoked_at)
    return {
        "name": one.name,
        "client": client,
        "scopes": list(one.scopes),
        "connections": "all" if one.connections is None else list(one.connections),
        "created": iso(one.created_at),
        "used": None if one.used_at is None else iso(one.used_at),
        "revoked": None if revoked_at is None else iso(revoked_at),
    }
