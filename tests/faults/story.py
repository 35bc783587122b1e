"""Stories: whatever may happen to a connector, in an order that Hypothesis chooses."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import cast

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from tests.support import truth
from tests.support.workbench import Workbench

FEW = 100
LedgerUrls = Callable[[], str]
BOTH = pytest.mark.parametrize(
    "ledger_urls", ["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)], indirect=True
)


class Story(RuleBasedStateMachine):
    """What may happen to one connector; `facts` are counted for the report."""

    def __init__(self, url: str) -> None:
        super().__init__()
        self.bench = Workbench(url)
        self.facts: Counter[str] = Counter()

    @rule()
    def process_dies(self) -> None:
        self.bench.run(self.bench.take_over())
        self.facts["take-overs"] += 1

    @invariant()
    def counters_are_true(self) -> None:
        self.facts["steps"] += 1
        self.bench.ask(truth.counters_are_true)

    def at_the_end(self) -> None:
        """Check what must be true once nothing is open."""

    def teardown(self) -> None:
        try:
            self.bench.come_to_rest()
            self.bench.ask(truth.counters_are_true)
            self.at_the_end()
        finally:
            self.bench.close()


def play(machine: Callable[[str], Story], url: LedgerUrls, stories: int, steps: int) -> str:
    """Play stories, each on a ledger of its own; tell what was counted. Few are the same each time."""
    told: list[Story] = []

    def begin() -> Story:
        told.append(machine(url()))
        return told[-1]

    run_state_machine_as_test(
        cast("type[RuleBasedStateMachine]", begin),
        settings=settings(
            max_examples=stories,
            stateful_step_count=steps,
            derandomize=stories < FEW,
            deadline=None,
            database=None,
            phases=(Phase.generate,),  # to shrink a story takes minutes
            suppress_health_check=list(HealthCheck),
        ),
    )
    facts = sum((story.facts for story in told), Counter())
    return ", ".join(f"{n:,} {what}" for what, n in [("stories", len(told)), *facts.items()])
