"""Find what looks like a secret in the files that git tracks: `python -m tools.secret_scan`."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

MARKER = "not-a-secret"
"""On a line, or alone on the line before, it allows what was made up for a test."""

# as documentation writes what stands for a secret
_NO_PLACEHOLDER = r"(?!([a-zA-Z])\1{7})"
_START, _END = r"(?<![A-Za-z0-9_-])", r"(?![A-Za-z0-9_-])"
SHAPES = {
    "a private key": r"-----BEGIN (?:[A-Z0-9]+ )*PRIVATE KEY(?: BLOCK)?-----",
    "a Koji key": _START + r"(?:pk_(?:live|test)|koji_sk)_" + _NO_PLACEHOLDER + r"[A-Za-z0-9_-]{16,}",
    "a Koji session token": _START + r"st_(?:live|test)_" + _NO_PLACEHOLDER + r"[A-Za-z0-9_-]{16,}",
    "a webhook secret": _START + r"wh(?:sec|sk)_[A-Za-z0-9+/]{24,}",
    "a token of ours": _START + r"ka[tacr]_[A-Za-z0-9_-]{43}" + _END,
    "an AWS key id": _START + r"(?:AKIA|ASIA)[A-Z2-7]{16}" + _END,
    "a GitHub token": _START + r"(?:gh[opsur]_[A-Za-z0-9]{36,}|github_pat_[A-Za-z0-9_]{40,})",
    # Amplitude's keys have no prefix: 32 hexadecimal digits beside their name
    "an Amplitude key": r"(?i)amplitude_?(?:api|secret)_?key\W{1,6}[0-9a-f]{32}" + _END,
    "an AWS secret": r"(?i)aws_?secret_?(?:access_?)?key\W{1,6}[A-Za-z0-9/+]{40}(?![A-Za-z0-9/+])",
}
_SHAPES = {name: re.compile(shape) for name, shape in SHAPES.items()}


def scan(text: str) -> Iterator[tuple[int, str]]:
    """Yield the line and the kind of everything found; never the secret."""
    before = ""
    for number, line in enumerate(text.splitlines(), start=1):
        if MARKER not in line and not re.fullmatch(rf"\W*{MARKER}\W*", before):
            yield from ((number, name) for name, shape in _SHAPES.items() if shape.search(line))
        before = line


def main(root: Path) -> int:
    """Scan; return 1 when something was found."""
    listed = subprocess.run(  # noqa: S603 - the words are ours
        ["git", "-C", str(root), "ls-files", "-z"],  # noqa: S607 - whichever git the machine has
        capture_output=True,
        check=False,
    )
    if listed.returncode:
        sys.stdout.write("secret scan: skipped: this is no git repository\n")
        return 0
    paths = [root / name for name in listed.stdout.decode(errors="surrogateescape").split("\0") if name]
    texts = ((path, path.read_text(encoding="utf-8", errors="replace")) for path in paths if path.is_file())
    found = [f"{path.relative_to(root)}:{line}: {name}" for path, text in texts for line, name in scan(text)]
    sys.stdout.write("".join(f"{one}\n" for one in found) or "secret scan: nothing found\n")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(Path(__file__).parent.parent))
