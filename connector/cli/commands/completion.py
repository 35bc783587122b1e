"""`koji-amplitude completion bash|zsh|fish`: the script for a shell."""

from __future__ import annotations

import click
from click.shell_completion import shell_complete

from connector.cli.arguments import Command
from connector.cli.terminal import COMPLETION, NAME


@click.command(cls=Command)
@click.argument("shell", metavar="SHELL", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def command(ctx: click.Context, shell: str) -> int:
    """Print the script with which a shell completes commands, flags and their values.

    bash: eval "$(koji-amplitude completion bash)" in ~/.bashrc

    zsh: eval "$(koji-amplitude completion zsh)" in ~/.zshrc, after compinit

    fish: koji-amplitude completion fish > ~/.config/fish/completions/koji-amplitude.fish
    """
    return shell_complete(ctx.find_root().command, {}, NAME, COMPLETION, f"{shell}_source")
