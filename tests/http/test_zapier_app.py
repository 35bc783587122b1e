"""The Zapier app says what the operations and triggers say, and keeps Zapier's rules that no validator checks."""

from __future__ import annotations

import re
from typing import Any

import pytest

from connector.integrations.zapier.app import zapier_app
from connector.integrations.zapier.fields import title_case
from connector.operations import OPERATIONS
from connector.service.execution.operation import Effect
from connector.service.triggers import TRIGGERS, sample

pytestmark = pytest.mark.unit

URL = "https://connector.example.com"


@pytest.fixture(scope="module")
def app() -> dict[str, Any]:
    return zapier_app(OPERATIONS, TRIGGERS, public_url=f"{URL}/", version="1.2.3")


def test_each_operation_is_a_create_a_search_or_a_drop_down_and_nothing_erases(app: dict[str, Any]) -> None:
    effects = {op.name: op.effect for op in OPERATIONS}
    assert {effects[name] for name in app["creates"]} == {Effect.WRITE, Effect.SEND}
    reads = {name for name, effect in effects.items() if effect is Effect.READ}
    assert reads - app["searches"].keys() == {"list_connections", "list_cohorts"}
    erasing = {name for name, effect in effects.items() if effect is Effect.ERASE}
    assert not erasing & (app["creates"].keys() | app["searches"].keys())


def test_hooks_are_the_triggers_and_drop_downs_are_hidden(app: dict[str, Any]) -> None:
    hooks = {key: one for key, one in app["triggers"].items() if one["operation"]["type"] == "hook"}
    assert set(hooks) == {one.name.value for one in TRIGGERS}
    for trigger in TRIGGERS:
        made = hooks[trigger.name.value]
        assert re.fullmatch(r"Triggers when .*\.", made["display"]["description"])
        assert made["operation"]["sample"] == sample(trigger, "default")
        assert [f["key"] for f in made["operation"]["outputFields"] if f.get("primary")] == ["id"]
    hidden = {key for key, one in app["triggers"].items() if one["display"].get("hidden")}
    assert hidden == app["triggers"].keys() - hooks.keys() == {"connections", "cohorts"}


def keys_of(sample: Any, above: str = "") -> set[str]:
    """Return the keys as Zapier writes nested ones."""
    keys: set[str] = set()
    for name, value in sample.items():
        rows = value if isinstance(value, list) and value and isinstance(value[0], dict) else [value]
        between = "__" if rows[0] is value else "[]"
        for row in rows:
            nested = isinstance(row, dict) and row
            keys |= keys_of(row, f"{above}{name}{between}") if nested else {f"{above}{name}"}
    return keys


@pytest.mark.parametrize("part", ["triggers", "creates", "searches"])
def test_every_key_of_a_sample_has_an_output_field(app: dict[str, Any], part: str) -> None:
    for key, one in app[part].items():
        fields = one["operation"]["outputFields"]
        named = [field["key"] for field in fields]
        assert keys_of(one["operation"]["sample"]) <= set(named), key
        assert len(named) == len(set(named)), key
        assert all(field["label"] and field["type"] for field in fields)
    members = app["creates"]["launch_cohort_interviews"]["operation"]["outputFields"]
    assert "invitations[]interview_link" in {field["key"] for field in members}


def test_fields_are_those_of_the_operation(app: dict[str, Any]) -> None:
    fields = {
        one["key"]: one for one in app["creates"]["launch_cohort_interviews"]["operation"]["inputFields"]
    }
    assert fields["cohort_id"]["dynamic"] == "cohorts.id.name"
    assert fields["connection"]["dynamic"] == "connections.id.name"
    assert fields["mode"]["choices"] == {"text": "Text", "voice": "Voice"}
    assert [one["key"] for one in fields["members"]["children"]] == ["user_id", "email", "name"]
    assert fields["metadata"]["dict"] is True
    assert (fields["wait_seconds"]["type"], fields["wait_seconds"]["default"]) == ("integer", "8")
    assert fields["dry_run"]["type"] == "boolean"
    search = app["searches"]["get_sync"]["operation"]["inputFields"]
    assert (search[0]["key"], search[0]["required"]) == ("interview_id", True)


def test_every_request_goes_to_the_public_address(app: dict[str, Any]) -> None:
    urls = re.findall(r"https?://[^\s'\"\\)]+", str([app[part] for part in ("authentication", "triggers")]))
    sent = {
        url for url in urls if "/actions/" in url or "/hooks" in url or "/triggers" in url or "/me" in url
    }
    assert sent
    assert all(url.startswith(f"{URL}/") and "//" not in url.removeprefix("https://") for url in sent)


@pytest.mark.parametrize(
    ("words", "title"),
    [
        ("Sync an interview to Amplitude", "Sync an Interview to Amplitude"),
        ("Get an interview's receipt", "Get an Interview's Receipt"),
        ("reinvite_after_days", "Reinvite After Days"),
        ("interview_ids", "Interview IDs"),
    ],
)
def test_labels_are_in_title_case(words: str, title: str) -> None:
    assert title_case(words) == title
