"""Say in plain words what the operations tell by codes: reasons, states and pauses."""

from __future__ import annotations

from collections.abc import Mapping

REASONS: Mapping[str, str] = {
    # interviews that are skipped
    "other_project": "It belongs to another project of Koji.",
    "suppressed": "The person was forgotten and stays out.",
    "anonymous": "The respondent is anonymous, so no person may be named.",
    "analysis_failed": "Koji could not analyse the interview.",
    "no_quality_score": "Koji gave no quality score within 24 hours.",
    "below_quality_gate": "The quality score is below your minimum.",
    "no_completion_time": "The row says no completion time, or one before 2000 or in the future.",
    # that failed
    "invalid_user_id": "Amplitude would refuse the user id: too short, or a reserved word.",
    "rejected_by_amplitude": "Amplitude refused it.",
    "not_found_in_koji": "Koji has no such interview in this project.",
    "outcome_unknown": "It is not known whether it was taken. Only force sends it again.",
    "refused_by_koji": "Koji refused.",
    "internal_error": "The connector itself failed on it; its log says where.",
    "no_interview_id": "The webhook names no interview that could be found.",
    # that wait
    "not_configured": "A key is not set; Set-up says which.",
    "waiting_for_koji": "It waits for Koji's values.",
    "analysis_not_ready": "Koji's analysis is not ready yet.",
    "events_missing": "Amplitude took fewer events than were sent; look whether this one is there.",
    # people who are not invited
    "no_identifier": "Neither an e-mail nor a user id is known.",
    "duplicate_in_cohort": "The same person stands in the cohort twice.",
    "opted_out": "Said no by the link in an invitation.",
    "resting": "Asked lately, here or on another connection.",
    "recently_interviewed": "Invited or interviewed too short a time ago.",
    "already_invited": "Invited before, or waiting for another launch; no person is asked twice.",
    "holdout": "Kept out on purpose, to compare with.",
    "over_limit": "Above the limit of this launch, or of its quota.",
    "enough": "Called off: enough interviews came back.",
    # pauses
    "daily_credits": "Fewer credits are left today than one interview takes.",
    "koji_unreachable": "Koji cannot be reached; it is asked again until it answers.",
    "koji_limit": "Koji asks for fewer calls; it goes on by itself, slower.",
    "koji_credits": "Koji has no credits left. Buy credits, then resume.",
    "koji_key": "Koji refused the key. Set another one (KOJI_API_KEY), then resume.",
    "koji_permission": "Koji's key may not do this. Give it the permission, then resume.",
    "amplitude_key": "Amplitude refused the key. Set another one (AMPLITUDE_API_KEY), then check it.",
    "approval": "A cohort's webhook brought more people than may be invited without a person's yes.",
    "no_link": "No link can be made. Set KOJI_PROJECT_ID, then resume.",
    "restored": "Restored from a backup; look in Koji which people it started since, then resume.",
}

SHAPES: Mapping[str, str] = {
    **dict.fromkeys(("synced", "finished", "completed", "ok", "done", "sync"), "✓"),
    **dict.fromkeys(("failed", "fail"), "✕"),
    **dict.fromkeys(("skipped", "cancelled", "expired", "skip", "revoked"), "\N{EN DASH}"),
    **dict.fromkeys(("paused", "in_doubt", "warn", "unreadable"), "!"),
    **dict.fromkeys(("running", "started", "sending"), "●"),
}
"""The sign before a state's word, so that no state is told by its colour alone."""


CHANGES: Mapping[str, str] = {
    **dict.fromkeys(("already_invited", "recently_interviewed"), "asking people again after so many days"),
    "resting": "a later day, or a reason why people who rest are asked all the same",
    "no_identifier": "an e-mail address or a user id of each person",
    "holdout": "a smaller part that is held out",
    "over_limit": "a higher limit or quota",
}


def change(skipped: Mapping[str, int]) -> str:
    """Return what lets a plan invite people that were all left out."""
    ways = [CHANGES[reason] for reason in sorted(skipped, key=skipped.__getitem__) if reason in CHANGES]
    return ways[-1] if ways else "other people in the cohort"


def words(code: str | None) -> str:
    """Return the meaning of a code, or the code itself as words."""
    code = code or ""
    return REASONS.get(code, code if " " in code else code.replace("_", " "))


def duration(seconds: int | None) -> str:
    """Return about how long something takes, in its largest unit."""
    if seconds is None:
        return "not known"
    for size, unit in ((86_400, "day"), (3_600, "hour"), (60, "minute"), (1, "second")):
        if seconds >= size:
            count = round(seconds / size)
            return f"about {count:,} {unit}{'' if count == 1 else 's'}"
    return "no time"
