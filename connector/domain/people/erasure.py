"""The erasure of a person: its rules, its progress, what was done and what is left to do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

FORGET_RESPONDENT = "forget_respondent"
_DONE = {
    "invitations": "names, addresses, links and session tokens of {n} erased",
    "cancelled": "{n} that were not started are called off",
    "interviews": "what was known of {n} erased; their ids and outcomes stay",
    "deliveries": "the bodies of {n} erased",
    "launches": "erased from the members, examples or metadata of {n}",
    "unset": "last_interview_* unset for {n} Amplitude user ids",
}


class Erasure(NamedTuple):
    """The progress of an erasure. `counts` are what was erased, by place; `interviews` are Koji's ids."""

    run_id: str
    connection: str
    created_at: int  # ms
    finished_at: int | None  # ms
    counts: Mapping[str, int]
    interviews: Sequence[str]


def erased_places(erasure: Erasure) -> list[tuple[str, str]]:
    """Return the places where something was erased, as (place, what was done there)."""
    counts = erasure.counts
    erased = [(place, words.format(n=n)) for place, words in _DONE.items() if (n := counts.get(place, 0))]
    return [*erased, ("suppression", "kept out of invitations and writes from now on, by keyed hashes")]


def left_to_people(erasure: Erasure, other_connections: Sequence[str]) -> list[str]:
    """Return what people must do, because this connector cannot or must not."""
    ids = ", ".join(erasure.interviews)
    count = erasure.counts.get
    in_koji = f"Koji: delete their interviews in its dashboard ({ids})."
    in_amplitude = "Amplitude: events stay until you delete the user there; this connector never does."
    left = [in_koji if ids else "Koji: delete in its dashboard what it holds of them.", in_amplitude]
    if n := count("pruned", 0):
        left.append(
            f"Amplitude: {n} of these interviews were written to users whose ids are not kept any more; "
            "unset last_interview_* there, or call again with the user id."
        )
    if n := count("refused", 0):
        left.append(f"Amplitude: it refused to unset last_interview_* for {n} user ids.")
    if n := count("not_unset", 0):
        left.append(
            f"Amplitude: AMPLITUDE_API_KEY is not set, so last_interview_* stays for {n} user ids; set it "
            "and call again with the user id, which is not kept."
        )
    if other_connections:
        left.append(f"Other connections: call once for each ({', '.join(other_connections)}).")
    return [*left, "Backups and exports: remove them where you keep copies."]


class Unset(NamedTuple):
    """An Amplitude user whose properties must be unset; `at` counts the users of the person that are left."""

    run_id: str
    user_id: str
    at: int


class ErasureRules(NamedTuple):
    """The settings that concern erasure; `can_unset` says that Amplitude can be written to."""

    trust_external_id: bool
    can_unset: bool
    min_id_length: int
