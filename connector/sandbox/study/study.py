"""Run the study: people appear in Amplitude, are interviewed at Koji, and finish onboarding or do not."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, Final

from connector.sandbox.amplitude.cohorts import Cohort, Member
from connector.sandbox.amplitude.ingestion import AmplitudeProject
from connector.sandbox.koji.project import KojiProject
from connector.sandbox.koji.respondents import STEP, Respondent, study

COHORT_ID: Final = "onboarding-drop-off"
COHORT_NAME: Final = "Onboarding drop-off"
FIRST_STEPS: Final = ("Signed Up", "Onboarding Started")


class StudyRun:
    """One study at a time; Amplitude knows its people by address, or by user ids of their own."""

    def __init__(self, amplitude: AmplitudeProject, koji: KojiProject, now: Callable[[], float]) -> None:
        self._amplitude = amplitude
        self._koji = koji
        self._now = now
        self.people: list[Respondent] = []

    def reset(self) -> None:
        """Forget the people."""
        self.people = []

    def enrol(self, people: int, seed: int, *, user_ids: bool = False) -> None:
        """Make the people users of the Amplitude project, with the first steps done, and a cohort of them."""
        self.people = study(seed, people, user_ids=user_ids)
        members = []
        for person in self.people:
            properties = {"email": person.email, "name": person.display_name, "plan": "trial"}
            members.append(Member(person.user_id, properties))
            self._track(person.user_id, FIRST_STEPS)
        self._amplitude.cohorts.put(Cohort(id=COHORT_ID, name=COHORT_NAME, members=members))

    def interview_everyone(self, pace_per_second: float | None) -> None:
        """Complete an interview with each person, `pace_per_second` a second (None: all at once)."""
        now = self._now()
        for index, person in enumerate(self.people):
            delay = index / pace_per_second if pace_per_second else 0.0
            self._koji.scheduler.at(now + delay, partial(self._interview, person))

    def _interview(self, person: Respondent) -> None:
        self._koji.finish(
            self._koji.store.add(
                email=None if person.anonymous else person.email,
                display_name=None if person.anonymous else person.display_name,
                anonymous=person.anonymous,
                result=person.result,
            )
        )

    def answer_started(self, limit: int | None = None) -> int:
        """Answer the first `limit` interviews that are active to the end; return how many those are.

        People of the study answer as the study has it, some of them in anonymous mode.
        """
        interviews = self._koji.store.interviews.values()
        active = [interview for interview in interviews if interview.completed_at is None][:limit]
        by_email = {person.email: person for person in self.people}
        for interview in active:
            person = by_email.get(interview.email or "")
            if person is not None:
                interview.result, interview.anonymous = person.result, person.anonymous
            self._koji.finish(interview)
        return len(active)

    def go_on(self) -> dict[str, int]:
        """Send the events after the interviews: some people finish onboarding, the others go silent."""
        finishing = [person for person in self.people if person.reaches_step]
        for person in finishing:
            self._track(person.user_id, (STEP,))
        return {"people": len(self.people), "reached_step": len(finishing)}

    def _track(self, user_id: str, event_types: Iterable[str]) -> None:
        events: list[dict[str, Any]] = [
            {"user_id": user_id, "event_type": event_type, "insert_id": f"product:{user_id}:{event_type}"}
            for event_type in event_types
        ]
        self._amplitude.accept(events)
