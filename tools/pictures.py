"""Draw the README's pictures from a run of the demo: the terminal, and the chart of themes."""

from __future__ import annotations

import os
import pty
import re
import subprocess
import sys
from html import escape
from io import StringIO
from pathlib import Path
from tempfile import TemporaryDirectory

from rich.console import Console
from rich.text import Text

FOLDER = Path(__file__).parents[1] / "docs" / "pictures"
WIDTH = 100
_BAR = re.compile(r"^ {2}(\S.*?) {2,}[█·]+ +(\d+)% +(\d+) of (\d+)")
_FONT_FILES = re.compile(r"@font-face \{.*?\}\n", re.DOTALL)  # a picture asks no other server


def run_demo() -> str:
    """Return what the demo writes to a terminal."""
    controller, terminal = pty.openpty()
    with TemporaryDirectory() as home:
        environment = {"HOME": home, "PATH": os.defpath, "TERM": "xterm-256color", "COLUMNS": str(WIDTH)}
        words = [sys.executable, "-m", "connector", "demo"]
        process = subprocess.Popen(words, env=environment, stdin=terminal, stdout=terminal)  # noqa: S603 - ours
        os.close(terminal)
        written = b""
        try:
            while chunk := os.read(controller, 65_536):
                written += chunk
        except OSError:  # how Linux tells that the other end is closed
            pass
        if process.wait():
            raise SystemExit("The demo failed.")
    return written.decode().replace("\r\n", "\n")


def terminal_picture(shown: str) -> str:
    """Return the begin and the outcome of the demo as SVG, without its moving part."""
    begin, _, moving = shown.partition("\x1b[?25l")
    _, _, outcome = moving.rpartition("\x1b[?25h")
    before, _, _ = outcome.partition("\x1b[1mOne receipt in full")
    console = Console(record=True, width=WIDTH, file=StringIO(), force_terminal=True, color_system="standard")
    for line in f"$ make demo\n{begin.strip()}\n\n{before.strip()}".split("\n"):
        console.print(Text.from_ansi(line.rstrip()), soft_wrap=True)
    picture = console.export_svg(title="koji-amplitude demo", unique_id="demo")
    return re.sub(r"[ \t]+\n", "\n", _FONT_FILES.sub("", picture))


def chart(shown: str) -> str:
    """Return the demo's chart of themes as SVG: who went on, by what they said."""
    plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown).partition("by theme")[2].partition("by sentiment")[0]
    bars = [found.groups() for line in plain.split("\n") if (found := _BAR.match(line))]
    if not bars:
        raise SystemExit("The demo shows no chart.")
    rows = []
    for place, (theme, share, reached, people) in enumerate(bars):
        y = 64 + 30 * place
        rows.append(
            f'<text x="200" y="{y + 15}" text-anchor="end">{escape(theme)}</text>'
            f'<rect class="all" x="212" y="{y}" width="400" height="20" rx="3"/>'
            f'<rect class="part" x="212" y="{y}" width="{4 * int(share)}" height="20" rx="3"/>'
            f'<text x="624" y="{y + 15}">{share} %, {reached} of {people}</text>'
        )
    height = 84 + 30 * len(bars)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 760 {height}" role="img" '
        'aria-label="Share of people who reached the goal, by theme of their interview">'
        "<style>text{font:14px system-ui,sans-serif;fill:#1f2328}.title{font-weight:600}.all{fill:#e7ebf0}"
        ".part{fill:#3558c9}@media(prefers-color-scheme:dark){text{fill:#e6edf3}.all{fill:#30363d}"
        ".part{fill:#7d98ff}}</style>"
        '<text class="title" x="12" y="26">Who reached “Onboarding Completed” after the interview, '
        "by what they said</text>"
        f"{''.join(rows)}</svg>\n"
    )


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    output = run_demo()
    (FOLDER / "demo.svg").write_text(terminal_picture(output), encoding="utf-8")
    (FOLDER / "themes.svg").write_text(chart(output), encoding="utf-8")
