"""The README's table of operations is in step with the code."""

from __future__ import annotations

import re
from pathlib import Path

from connector.operations import OPERATIONS

README = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")


def test_table_of_operations_names_each_operation_with_its_effect() -> None:
    table = README.split("<!-- operations -->")[1].split("<!-- /operations -->")[0]
    rows = re.findall(r"^\| `(\w+)` \| (\w+) \|", table, re.MULTILINE)
    assert rows == [(op.name, op.effect.name) for op in OPERATIONS]


def test_no_line_names_a_path_of_one_machine() -> None:
    assert not re.search(r"/(home|root|tmp|opt)/", README)
