"""Read `mapping.toml`: the event and user properties that are computed from interviews."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NoReturn

from connector.domain.results.added_properties import MOST, AddedProperties, wrong_name
from connector.domain.results.expressions import fault_in
from connector.settings.files import refusal
from connector.settings.toml_file import TomlFile

_EVENT, _USER = "event_properties", "user_properties"
_EXAMPLE: Final = 'minutes = "stats.duration_seconds", or source = "\'koji\'" for a constant'


def read_mapping(file: TomlFile | None, answers: Mapping[str, str]) -> AddedProperties:
    """Return the checked expressions of a file; `answers` name their properties already.

    Raises `SettingsError` with the file, line and column of the first fault.
    """
    if file is None:
        return AddedProperties()
    if other := next((table for table in file.content if table not in (_EVENT, _USER)), None):
        _refuse(file.place(other), other, f"is not one of the tables [{_EVENT}] and [{_USER}]")
    return AddedProperties(_table(file, _EVENT, answers.values()), _table(file, _USER, ()))


def _table(file: TomlFile, table: str, taken: Any) -> Mapping[str, str]:
    content = file.content.get(table, {})
    if not isinstance(content, dict) or len(content) > MOST:
        _refuse(file.place(table), table, f"must be a table of at most {MOST} properties")
    for name, expression in content.items():
        place = file.place(table, name)
        if wrong := wrong_name(name):
            _refuse(place, name, wrong)
        if name in taken:
            _refuse(place, name, "is also a property of CONNECTOR_ANSWER_PROPERTIES")
        if not isinstance(expression, str):
            _refuse(place, name, "must be a JMESPath expression in quotation marks")
        if fault := fault_in(expression):
            place = file.place(table, name, value=expression, at=fault.at)
            _refuse(place, name, f"its expression {fault.words}")
    return content


def _refuse(place: str, name: str, wrong: str) -> NoReturn:
    raise refusal(f"{place} {name}", wrong, _EXAMPLE)
