from __future__ import annotations

from typing import Any

import pytest

from connector.sandbox.koji.respondents import STEP as COMPLETED
from connector.sandbox.koji.respondents import THEMES, respondent, result_for, study

from .conftest import REST, Box

pytestmark = pytest.mark.e2e

PEOPLE = study(seed=7, people=2000)


def test_the_same_seed_makes_the_same_people_and_a_larger_study_begins_alike() -> None:
    assert study(7, 20) == PEOPLE[:20]
    assert study(8, 20) != PEOPLE[:20]
    assert result_for(7, PEOPLE[3].email) == PEOPLE[3].result


def test_people_are_plainly_synthetic() -> None:
    assert (respondent(7, 1).email, respondent(7, 1).display_name) == ("person-001@example.com", "Person 001")
    assert respondent(7, 1234).email == "person-1234@example.com"
    assert len({person.email for person in PEOPLE}) == len(PEOPLE)


def test_three_to_five_different_themes_each() -> None:
    known = {theme.name for theme in THEMES}
    for person in PEOPLE:
        assert 3 <= len(person.result.themes) <= 5
        assert len(set(person.result.themes)) == len(person.result.themes)
        assert known.issuperset(person.result.themes)


def test_scores_are_fractional_with_a_minority_below_the_gate() -> None:
    scores = [person.result.quality_score or 0 for person in PEOPLE]
    assert all(1.0 <= score <= 5.0 for score in scores)
    assert any(score != int(score) for score in scores)
    assert 0.1 < sum(score < 3 for score in scores) / len(scores) < 0.2


def test_some_are_anonymous() -> None:
    assert 0.05 < sum(person.anonymous for person in PEOPLE) / len(PEOPLE) < 0.11


def share(people: list[Any], condition: Any) -> float:
    return sum(1 for person in people if condition(person)) / len(people)


def test_sentiment_goes_with_the_first_theme() -> None:
    pricing = [person for person in PEOPLE if person.result.themes[0] == "pricing confusion"]
    quick = [person for person in PEOPLE if person.result.themes[0] == "quick first result"]
    assert share(pricing, lambda person: person.result.sentiment == "negative") > 0.6
    assert share(quick, lambda person: person.result.sentiment in {"positive", "mixed"}) > 0.6
    assert {person.result.sentiment for person in PEOPLE} == {"positive", "negative", "neutral", "mixed"}


def test_pricing_confusion_keeps_people_from_finishing() -> None:
    with_theme = [person for person in PEOPLE if "pricing confusion" in person.result.themes]
    without = [person for person in PEOPLE if "pricing confusion" not in person.result.themes]
    assert share(with_theme, lambda person: person.reaches_step) + 0.15 < share(
        without, lambda person: person.reaches_step
    )


def writes(person: Any) -> list[dict[str, Any]]:
    known = {
        "last_interview_themes": list(person.result.themes),
        "last_interview_sentiment": person.result.sentiment,
    }
    return [
        {"event_type": "$identify", "user_id": person.email, "user_properties": {"$set": known}},
        {"event_type": "koji.interview_completed", "user_id": person.email, "event_properties": {}},
    ]


async def test_the_pay_off_is_read_from_what_amplitude_holds(box: Box) -> None:
    made = await box.control("POST", "/study", {"people": 200, "interviews": False})
    assert made["people"] == 200
    people = study(7, 200)
    named = [person for person in people if not person.anonymous]
    for person in named:
        assert (await box.send(*writes(person))).status_code == 200
    behaviour = await box.control("POST", "/study/behaviour")
    assert behaviour["reached_step"] == sum(person.reaches_step for person in people)
    result = await box.control("GET", "/payoff")
    assert (result["step"], result["people"]) == (COMPLETED, len(named))
    assert result["reached_step"] == sum(person.reaches_step for person in named)
    for row in result["by_theme"]:
        having = [person for person in named if row["theme"] in person.result.themes]
        assert (row["people"], row["reached_step"]) == (
            len(having),
            sum(person.reaches_step for person in having),
        )
        assert row["share"] == pytest.approx(row["reached_step"] / row["people"], abs=0.001)
    assert sum(row["people"] for row in result["by_sentiment"]) == len(named)
    shares = {row["theme"]: row["share"] for row in result["by_theme"]}
    assert shares["pricing confusion"] < result["share"] < shares["quick first result"]


async def test_a_step_before_the_interview_does_not_count_and_no_identify_means_no_cut(box: Box) -> None:
    person = respondent(7, 1)
    step = {"event_type": COMPLETED, "user_id": person.email}
    identify, interview = writes(person)
    await box.send(step, interview)
    result = await box.control("GET", "/payoff")
    assert (result["people"], result["reached_step"], result["by_theme"]) == (1, 0, [])
    await box.send(identify)
    assert (await box.control("GET", "/payoff"))["by_theme"] == []
    await box.send(interview, {**step, "insert_id": "later"})
    later = await box.control("GET", "/payoff")
    assert (later["people"], later["reached_step"]) == (1, 1)
    assert {row["theme"] for row in later["by_theme"]} == set(person.result.themes)


async def test_a_study_enrols_users_and_a_cohort_and_completes_interviews(box: Box) -> None:
    await box.control("POST", "/study", {"people": 30})
    box.clock.move(1)
    box.sandbox.koji.scheduler.run_due()
    state = await box.control("GET", "/state")
    assert state["study"] == {"people": 30}
    assert state["koji"]["interviews"] == 30
    assert state["amplitude"]["events_by_type"] == {"Signed Up": 30, "Onboarding Started": 30}
    cohorts = (await box.client.get("/amplitude/api/3/cohorts", auth=REST)).json()["cohorts"]
    assert [(row["id"], row["size"]) for row in cohorts] == [("onboarding-drop-off", 30)]
    interviews = (await box.control("GET", "/koji/interviews"))["interviews"]
    for interview, person in zip(interviews, study(7, 30), strict=True):
        assert interview["email"] == (None if person.anonymous else person.email)


async def test_a_study_runs_at_its_pace(box: Box) -> None:
    await box.control("POST", "/study", {"people": 10, "pace_per_second": 2})
    box.sandbox.koji.scheduler.run_due()
    assert len(box.sandbox.koji.store.interviews) == 1
    box.clock.move(2)
    box.sandbox.koji.scheduler.run_due()
    assert len(box.sandbox.koji.store.interviews) == 5


async def test_people_whose_interview_was_started_answer_as_themselves(box: Box) -> None:
    person = respondent(7, 5)
    for email in (person.email, "person-006@example.com"):
        await box.start(respondent={"metadata": {"email": email}})
    assert await box.control("POST", "/study/answer", {"limit": 1}) == {"answered": 1}
    first, second = (await box.control("GET", "/koji/interviews"))["interviews"]
    assert (first["status"], tuple(first["themes"])) == ("completed", person.result.themes)
    assert second["status"] == "active"
    assert await box.control("POST", "/study/answer") == {"answered": 1}


@pytest.mark.parametrize("body", [{"people": 0}, {"people": "many"}, {"pace_per_second": 0}, {"colour": 1}])
async def test_a_study_that_cannot_be_is_refused(box: Box, body: dict[str, Any]) -> None:
    assert (await box.client.post("/control/study", json=body)).status_code == 422
