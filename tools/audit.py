"""Ask OSV for known vulnerabilities of everything in constraints.txt: `python -m tools.audit`."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path

import httpx

OSV = "https://api.osv.dev/v1/querybatch"
_SECONDS = 10.0


def pinned(text: str) -> dict[str, str]:
    """Return names and versions."""
    lines = (line.partition("#")[0].partition(";")[0].strip() for line in text.splitlines())
    return {
        name.strip(): version.strip() for name, _, version in (line.partition("==") for line in lines) if name
    }


def ask(packages: Mapping[str, str]) -> dict[str, list[str]] | None:
    """Return the ids of what is known of each package; None when there is no answer that can be read."""
    queries = [
        {"package": {"name": name, "ecosystem": "PyPI"}, "version": version}
        for name, version in packages.items()
    ]
    try:
        results = (
            httpx.post(OSV, json={"queries": queries}, timeout=_SECONDS).raise_for_status().json()["results"]
        )
        return {
            f"{name} {version}": [one["id"] for one in result["vulns"]]
            for (name, version), result in zip(packages.items(), results, strict=True)
            if result.get("vulns")
        }
    except (httpx.HTTPError, ValueError, KeyError, TypeError, AttributeError):
        return None


def main(path: Path) -> int:
    """Audit; return 1 when a vulnerability is known."""
    packages = pinned(path.read_text(encoding="utf-8"))
    found = ask(packages)
    if found is None:
        sys.stdout.write("audit: skipped: the index does not answer\n")
        return 0
    for name, ids in found.items():
        sys.stdout.write(f"audit: {name}: {', '.join(ids)}\n")
    if not found:
        sys.stdout.write(f"audit: nothing known against {len(packages)} packages\n")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(Path(__file__).parent.parent / "constraints.txt"))
