"""`docs/operations.md` names what is there: every pause, and no command that is not."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from connector.cli.arguments import dashed
from connector.cli.main import EVERYDAY
from connector.domain.launches.launch import (
    APPROVAL,
    DAILY_CREDITS,
    KOJI_LIMIT,
    KOJI_REDIRECT,
    KOJI_UNREACHABLE,
    NO_LINK,
    RESTORED,
)
from connector.operations import OPERATIONS
from connector.workers.koji.pause import PAUSES

pytestmark = pytest.mark.unit

PAGE = (Path(__file__).parents[2] / "docs/operations.md").read_text(encoding="utf-8")
SHOWN_AS_UNREACHABLE = {KOJI_REDIRECT}


def test_every_pause_is_explained() -> None:
    by_itself = {DAILY_CREDITS, KOJI_UNREACHABLE, KOJI_LIMIT}
    of_one_launch = {APPROVAL, NO_LINK, RESTORED}
    known = by_itself | of_one_launch | PAUSES | {"amplitude_key"}
    section = PAGE.split("\n## What each pause means\n")[1].split("\n## ")[0]
    assert set(re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE)) == known - SHOWN_AS_UNREACHABLE


def test_every_command_exists() -> None:
    code = re.findall(r"`([^`\n]+)`|^\$ (.+)$", PAGE, re.MULTILINE)
    lines = [inline or block for inline, block in code]
    named = {
        word
        for line in lines
        for word in re.findall(r"(?:(?<!-u )koji-amplitude|^connector) ([a-z][a-z-]+)", line)
    }
    assert len(named) >= 8
    assert named <= {*EVERYDAY, *(dashed(op.name) for op in OPERATIONS)}
