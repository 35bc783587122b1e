"""Large requests leave the event loop to webhooks."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any

import pytest

from connector.errors import InvalidInput
from connector.http import request
from connector.http.body import parse_body
from connector.operations.plan_cohort_launch import PlanInput
from connector.service.input.launch_input import MemberInput
from connector.service.input.validate import read_input, validate
from tests.support.harness import open_world

MEMBERS = [{"user_id": f"user-{number}", "name": "x" * 100} for number in range(1_200)]


@pytest.mark.e2e
@pytest.mark.parametrize(("members", "in_loop"), [(MEMBERS[:1], True), (MEMBERS, False)])
async def test_a_large_body_is_read_in_a_thread(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, members: list[Any], *, in_loop: bool
) -> None:
    seen: list[bool] = []

    def watched(kind: str | None, body: bytes) -> dict[str, Any]:
        seen.append(threading.current_thread() is threading.main_thread())
        return parse_body(kind, body)

    monkeypatch.setattr(request, "parse_body", watched)
    async with open_world(tmp_path, workers=False) as world:
        answer = await world.client.post(
            "/actions/plan_cohort_launch",
            content=json.dumps({"members": members, "allow_without_link": True, "wait_seconds": 0}),
        )
    assert answer.status_code in {200, 202}
    assert seen == [in_loop]


@pytest.mark.unit
def test_a_long_list_is_validated_item_by_item(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[Any] = []
    one = MemberInput.model_validate

    def watched(value: Any) -> MemberInput:
        made.append(value)
        return one(value)

    monkeypatch.setattr(MemberInput, "model_validate", watched)
    assert len(validate(PlanInput, {"members": MEMBERS}).members or ()) == len(made) == 1_200


@pytest.mark.unit
def test_a_long_list_names_each_wrong_item() -> None:
    wrong = [*MEMBERS, {"user_id": "a", "nope": 1}, {"user_id": "b", "nope": 1}]
    with pytest.raises(InvalidInput) as caught:
        read_input(PlanInput, {"members": wrong})
    assert [error.pointer for error in caught.value.errors] == ["/members/1200/nope", "/members/1201/nope"]
