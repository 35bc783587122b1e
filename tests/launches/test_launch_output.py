"""When a launch is not worth waiting for."""

from __future__ import annotations

import pytest

from connector.service.views.launch import LaunchOutput

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("told", "stands"),
    [
        ({"status": "running", "to_invite": 3, "waiting": 1, "pause_reason": None}, False),
        ({"status": "running", "to_invite": 3, "waiting": 0, "pause_reason": None}, True),  # of a cohort
        ({"status": "running", "to_invite": 0, "waiting": 0, "pause_reason": None}, False),
        ({"status": "paused", "to_invite": 3, "waiting": 3, "pause_reason": "approval"}, True),
        ({"status": "paused", "to_invite": 3, "waiting": 3, "pause_reason": "daily_credits"}, False),
        ({"status": "planning", "to_invite": 0, "waiting": 0, "pause_reason": None}, False),
    ],
)
def test_a_launch_stands_still_when_only_somebody_can_move_it(told: dict[str, object], stands: bool) -> None:
    assert LaunchOutput.model_construct(next_wave_at=None, **told).stands_still() is stands  # type: ignore[arg-type]
