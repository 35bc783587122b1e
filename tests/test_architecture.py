"""The arrows of the house point one way, and every operation is whole."""

from __future__ import annotations

import ast
import importlib
import inspect
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from types import UnionType
from typing import Any, Union, get_args, get_origin

import pytest
from pydantic import BaseModel

from connector.operations import OPERATIONS
from connector.service.execution.operation import (
    AnyOperation,
    Effect,
    EffectInput,
    Input,
    Output,
)

ROOT = Path(__file__).parent.parent
FILES = sorted([*(ROOT / "connector").rglob("*.py"), *(ROOT / "mcp_server").rglob("*.py")])
ADAPTERS = (
    "connector.koji",
    "connector.net.client",
    "connector.amplitude.cohorts",
    "connector.amplitude.ingestion",
    "connector.amplitude.users",
    "connector.ledger",
    "connector.lanes",
    "connector.inbound",
    "connector.surfaces",
    "connector.sandbox",
    "connector.commands",
    "connector.app",
)
FRAMEWORKS = ("httpx", "starlette", "sqlalchemy", "mcp", "uvicorn", "psycopg")
IO = (
    *FRAMEWORKS,
    "asyncio",
    "socket",
    "sqlite3",
    "os",
    "pathlib",
    "subprocess",
    "threading",
    "time",
    "random",
)
PURE = (
    *(
        "anonymity",
        "cohort_message",
        "deciding",
        "envelope",
        "hearing",
        "identity",
        "mapping",
        "models",
        "redaction",
        "signature",
        "syncing",
    ),
    *(
        "compact_set",
        "credits",
        "eligibility",
        "inviting",
        "links",
        "naming",
        "starting",
        "amplitude.cohort_file",
    ),
    *("values", "amplitude.answers", "amplitude.regions", "amplitude.words", "retry_after"),
)


MCP_PURE = (
    *("about", "answers", "errors", "field_words", "guidance", "interviews", "manifest", "markdown"),
    *("next_steps", "prompts", "schemas", "server_json", "tools", "untrusted", "views"),
)


def module(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@cache
def imports(path: Path) -> frozenset[str]:
    """Return what a file imports at run time, each with what it takes from it."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    assert not [n for n in ast.walk(tree) if isinstance(n, ast.ImportFrom) and n.level], (
        "imports are absolute"
    )
    plain = {a.name for n in ast.walk(tree) if isinstance(n, ast.Import) for a in n.names}
    taken = {
        name
        for n in ast.walk(tree)
        if isinstance(n, ast.ImportFrom) and n.module
        for name in (n.module, *(f"{n.module}.{alias.name}" for alias in n.names))
    }
    return frozenset(plain | taken)


def reaches(path: Path, *packages: str) -> set[str]:
    return {
        name for name in imports(path) if any(name == one or name.startswith(f"{one}.") for one in packages)
    }


def inside(*packages: str) -> list[Path]:
    found = [p for p in FILES if any(module(p) == one or module(p).startswith(f"{one}.") for one in packages)]
    assert found
    return found


def test_the_walk_sees_imports() -> None:
    assert reaches(ROOT / "connector/koji.py", "httpx") == {"httpx"}
    assert reaches(ROOT / "connector/app.py", "connector.ledger")


@pytest.mark.parametrize("path", inside("connector.operations"), ids=module)
def test_operations_import_no_adapter_and_no_framework(path: Path) -> None:
    assert not reaches(path, *ADAPTERS, *FRAMEWORKS)


@pytest.mark.parametrize("path", inside(*(f"connector.{name}" for name in PURE)), ids=module)
def test_pure_modules_reach_nothing_outside(path: Path) -> None:
    assert not reaches(path, *ADAPTERS, *IO)


def test_only_adapters_speak_http() -> None:
    speakers = {module(path) for path in FILES if reaches(path, "httpx")}
    allowed = ("connector.koji", "connector.net.client", "connector.amplitude.", "connector.sandbox.")
    # app.py and the commands only hold the client that they hand to the adapters
    assert not [
        name
        for name in speakers
        if not name.startswith(allowed)
        and name != "connector.app"
        and not name.startswith("connector.commands.")
    ]


def test_only_commands_know_the_stand_ins() -> None:
    strangers = [
        path for path in FILES if not module(path).startswith(("connector.sandbox", "connector.commands"))
    ]
    assert not [module(path) for path in strangers if reaches(path, "connector.sandbox")]


def test_the_stand_ins_know_nothing_of_the_product_but_its_clock() -> None:
    product = (
        "connector.operations",
        "connector.lanes",
        "connector.ledger",
        "connector.domain.results.transitions",
        "connector.app",
    )
    assert not [module(path) for path in inside("connector.sandbox") if reaches(path, *product)]


def test_the_mcp_server_knows_operations_and_surfaces_only() -> None:
    stores = ("connector.koji", "connector.amplitude", "connector.ledger", "connector.lanes")
    for path in inside("mcp_server"):
        assert not reaches(path, *stores, "connector.inbound", "connector.sandbox", "httpx", "sqlalchemy")
        wires = module(path) == "mcp_server.transports.stdio"
        assert not reaches(path, "connector.app", "connector.commands") or wires


def test_only_wiring_and_commands_know_the_mcp_server() -> None:
    knowing = {module(path) for path in inside("connector") if reaches(path, "mcp_server", "mcp")}
    assert knowing == {"connector.app", "connector.cli.commands.export", "connector.cli.commands.mcp"}


@pytest.mark.parametrize("name", MCP_PURE)
def test_what_a_model_is_shown_is_made_without_asking_anybody(name: str) -> None:
    (path,) = [path for path in FILES if module(path) == f"mcp_server.{name}"]
    assert not reaches(path, *(one for one in IO if one != "mcp"), "connector.context", "connector.app")


def test_ports_and_models_import_no_adapter() -> None:
    for path in inside(
        "connector.context", "connector.domain.results.interview", "connector.settings", "connector.errors"
    ):
        assert not reaches(path, *ADAPTERS, "httpx", "starlette", "sqlalchemy", "mcp")


def test_the_book_and_the_lanes_know_no_operation() -> None:
    for path in inside("connector.ledger", "connector.lanes"):
        assert not reaches(path, "connector.operations", "connector.surfaces", "connector.inbound")


class TestOperations:
    @pytest.mark.parametrize("op", OPERATIONS, ids=lambda op: op.name)
    def test_is_named_like_its_file_and_its_constant(self, op: AnyOperation) -> None:
        assert re.fullmatch(r"[a-z]+(_[a-z]+)+", op.name)
        home = importlib.import_module(f"connector.operations.{op.name}")
        assert getattr(home, op.name.upper()) is op

    def test_names_are_unique(self) -> None:
        names = [op.name for op in OPERATIONS]
        assert len(set(names)) == len(names)

    def test_each_file_of_an_operation_is_listed(self) -> None:
        names = {op.name for op in OPERATIONS}
        declaring = {
            path.stem
            for path in inside("connector.operations")
            if re.search(r"^[A-Z_]+ = Operation\(", path.read_text(encoding="utf-8"), re.MULTILINE)
        }
        assert declaring == names

    @pytest.mark.parametrize("op", OPERATIONS, ids=lambda op: op.name)
    def test_has_words_for_people_and_models(self, op: AnyOperation) -> None:
        assert op.title[0].isupper()
        assert not op.title.endswith(".")
        assert op.summary.endswith(".")
        assert len(op.summary) > 40
        assert inspect.getdoc(op.run)

    @pytest.mark.parametrize("op", OPERATIONS, ids=lambda op: op.name)
    def test_describes_every_field(self, op: AnyOperation) -> None:
        shapes = [op.input, *outputs(op)]
        assert issubclass(op.input, Input)
        assert all(issubclass(shape, Output) for shape in outputs(op))
        missing = [
            f"{model.__name__}.{name}"
            for shape in shapes
            for model in models(shape)
            for name, field in model.model_fields.items()
            if not (field.description or "").strip()
        ]
        assert not missing

    @pytest.mark.parametrize("op", OPERATIONS, ids=lambda op: op.name)
    def test_takes_an_idempotency_key_exactly_when_it_changes_something(self, op: AnyOperation) -> None:
        assert issubclass(op.input, EffectInput) == (op.effect is not Effect.READ)


def outputs(op: AnyOperation) -> list[type[BaseModel]]:
    found: Any = op.output
    return list(get_args(found)) if get_origin(found) in (Union, UnionType) else [found]


def models(shape: type[BaseModel], seen: set[type[BaseModel]] | None = None) -> Iterator[type[BaseModel]]:
    """Yield a model and all models inside it."""
    seen = set() if seen is None else seen
    if shape in seen:
        return
    seen.add(shape)
    yield shape
    for field in shape.model_fields.values():
        for inner in leaves(field.annotation):
            yield from models(inner, seen)


def leaves(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for inner in get_args(annotation):
        yield from leaves(inner)
