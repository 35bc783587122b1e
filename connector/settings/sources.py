"""Layer the settings: defaults, `connector.toml`, `.env`, environment; a later layer wins.

The top level of the file and the variables describe the connection "default". `[connections.NAME]` describes
another connection, which inherits from "default" only the `connector_*` settings that it does not set itself.
`[connections.default]` is a layer between the top level of the file and `.env`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from connector.errors import SettingsError
from connector.settings.beside import read_beside
from connector.settings.files import (
    CONFIG_FILE,
    CONFIG_VARIABLE,
    PREFIXES,
    Document,
    did_you_mean,
    find_document,
    find_dotenv,
    is_there,
    one_line,
    read_document,
    read_dotenv,
    references,
    refusal,
    resolved,
    shown,
)
from connector.settings.mapping_file import expressions_of
from connector.settings.model import (
    COHORTS,
    DEFAULT_CONNECTION,
    HOLDOUT,
    LAUNCH_DEFAULTS,
    Connection,
    LaunchDefaults,
    Settings,
)
from connector.settings.themes import vocabulary_of
from connector.settings.types import is_set

_GLOBAL = frozenset(Settings.model_fields) - {"connections"}
_OF_CONNECTION = frozenset(Connection.model_fields) - {"name"}
_INHERITED = frozenset(name for name in _OF_CONNECTION if name.startswith("connector_")) - {
    "connector_answer_properties"  # whose questions are those of one study
}
_ALL = (_GLOBAL | _OF_CONNECTION) - LAUNCH_DEFAULTS - {COHORTS, HOLDOUT}
_FILES: Mapping[str, tuple[str, Callable[[Mapping[str, Any]], Any], str]] = {
    "connector_themes_file": ("themes.toml", vocabulary_of, 'aliases = ["pricing confusion"]'),
    "connector_mapping_file": ("mapping.toml", expressions_of, 'seconds = "stats.duration_seconds"'),
}
"""Settings that name a file: its usual name beside the settings, its check, and an example of a line."""
_VARIABLES = frozenset(name.upper() for name in _ALL) | {CONFIG_VARIABLE}

Model = TypeVar("Model", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class Loaded:
    """The settings, the warnings about how they were written, and the files that were read."""

    settings: Settings
    warnings: tuple[str, ...]
    dotenv: Path | None
    document: Path | None


@dataclass(frozen=True, slots=True)
class _Value:
    """A value, with the place and the name under which it was written; a variable's place is ""."""

    place: str
    name: str
    value: Any = field(repr=False)


_Layer = Mapping[str, _Value]


def load(environ: Mapping[str, str], *directories: Path) -> Loaded:
    """Read every source once; each of the two files is the first of its name in `directories`.

    The first is the working directory. Raises `SettingsError`: one line with the setting as it was written,
    what is wrong, and an example.
    """
    here, environment = directories[0], _set_only(environ)
    dotenv_file = find_dotenv(directories)
    dotenv_name = shown(dotenv_file, here) if dotenv_file else ""
    dotenv = _set_only(read_dotenv(dotenv_file, dotenv_name)) if dotenv_file else {}
    variables = {**dotenv, **environment}
    # A name in `.env` counts from the folder of that file, because it must mean the same everywhere.
    base = here if CONFIG_VARIABLE in environment or dotenv_file is None else dotenv_file.parent
    named = variables.get(CONFIG_VARIABLE)
    file = find_document(base / Path(named).expanduser() if named else None, directories)
    document = read_document(file, shown(file, here)) if file else Document(CONFIG_FILE, {}, {})

    top = _from_table(document.top, _ALL, document.name, variables)
    from_variables = {**_from_variables(dotenv, dotenv_name), **_from_variables(environment, "")}
    everywhere = {**top, **from_variables}
    tables = _connection_layers(document, variables)
    default = {**top, **tables.pop(DEFAULT_CONNECTION, {}), **from_variables}
    inherited = _only(everywhere, _INHERITED)
    layers = {DEFAULT_CONNECTION: _only(default, _OF_CONNECTION)}
    layers |= {name: {**inherited, **table} for name, table in tables.items()}

    folder = file.parent if file else here
    connections = {
        name: _build(Connection, layer, {"name": name, **_files(layer, folder, here)})
        for name, layer in layers.items()
    }
    settings = _build(Settings, _only(everywhere, _GLOBAL), {"connections": connections})
    return Loaded(settings, _warnings(variables, document), dotenv_file, file)


def _files(layer: _Layer, folder: Path, here: Path) -> dict[str, Any]:
    """Return the content of the files that a layer names, else of those that are in the folder."""
    contents: dict[str, Any] = {}
    for setting, (usual, check, example) in _FILES.items():
        written = layer.get(setting)
        path = folder / Path(str(written.value) if written else usual).expanduser()
        if is_there(path) and path.is_file():
            contents[setting] = read_beside(path, shown(path, here), check, example)
        elif written:
            missing = f"names {shown(path, here)}, which is no file"
            raise refusal(f"{written.place} {written.name}".strip(), missing, f"{written.name}={usual}")
    return contents


def _set_only(variables: Mapping[str, str]) -> dict[str, str]:
    return {name: value.strip() for name, value in variables.items() if is_set(value)}


def _only(layer: _Layer, names: Collection[str]) -> _Layer:
    return {name: value for name, value in layer.items() if name in names}


def _from_variables(variables: Mapping[str, str], place: str) -> _Layer:
    names = {name: name.upper() for name in _ALL if name.upper() in variables}
    return {name: _Value(place, variable, variables[variable]) for name, variable in names.items()}


def _from_table(
    table: Mapping[str, Any], known: Collection[str], place: str, variables: Mapping[str, str]
) -> _Layer:
    for name in table:
        if name not in known:
            raise _unknown_key(name, known, place)
    values = {name: resolved(written, variables) for name, written in table.items()}
    return {name: _Value(place, name, value) for name, value in values.items() if value is not None}


def _connection_layers(document: Document, variables: Mapping[str, str]) -> dict[str, _Layer]:
    layers: dict[str, _Layer] = {}
    for name, table in document.connections.items():
        place = f"{document.name} [connections.{name}]"
        plain = {key: value for key, value in table.items() if key != COHORTS}
        layers[name] = _from_table(plain, _OF_CONNECTION, place, variables)
        if COHORTS in table:
            defaults = _cohorts(table[COHORTS], f"{document.name} [connections.{name}.{COHORTS}", variables)
            layers[name] = {**layers[name], COHORTS: _Value(place, COHORTS, defaults)}
    return layers


def _cohorts(tables: Any, place: str, variables: Mapping[str, str]) -> dict[str, LaunchDefaults]:
    example = '[connections.default.cohorts."7khm89cz"]'
    if not isinstance(tables, dict):
        raise refusal(f"{place}]", "must be tables, each named with a cohort's id", example)
    defaults: dict[str, LaunchDefaults] = {}
    for cohort_id, table in tables.items():
        here = f'{place}."{cohort_id}"]'
        if not isinstance(table, dict):
            raise refusal(here, "must be a table", example)
        defaults[cohort_id] = _build(LaunchDefaults, _from_table(table, LAUNCH_DEFAULTS, here, variables), {})
    return defaults


def _unknown_key(name: str, known: Collection[str], place: str) -> SettingsError:
    if name in _GLOBAL:
        return refusal(f"{place} {name}", "belongs to the top level, above the first [table]")
    hint = did_you_mean(name.lower(), known)
    return refusal(
        f"{place} {name}", f"is not a setting of this version{hint}", 'koji_project_id = "your-project-id"'
    )


def _build(model: type[Model], layer: _Layer, more: Mapping[str, Any]) -> Model:
    try:
        return model.model_validate({**{name: written.value for name, written in layer.items()}, **more})
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
    name = str(first["loc"][0])
    setting = model.model_fields[name]
    # Messages of the library may repeat the value, so only messages of our own checks are shown.
    wrong = str(first["ctx"]["error"]) if first["type"] == "value_error" else f"must be {setting.description}"
    written, example = layer[name], (setting.examples or [""])[0]
    is_variable = written.name.isupper()
    text = example if is_variable and isinstance(example, str) else json.dumps(example)
    line = f"{written.name}={text}" if is_variable else f"{written.name} = {text}"
    raise refusal(f"{written.place} {written.name}".strip(), wrong, line)


def _warnings(variables: Mapping[str, str], document: Document) -> tuple[str, ...]:
    expected = _VARIABLES | set(references(document.top)) | set(references(document.connections))
    unknown = sorted(name for name in variables if name.startswith(PREFIXES) and name not in expected)
    why = "is not a setting of this version, so it has no effect"
    return tuple(one_line(f"{name}: {why}{did_you_mean(name, _VARIABLES)}") for name in unknown)
