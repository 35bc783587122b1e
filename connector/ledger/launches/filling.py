"""Fill in what invitations lack of user id, e-mail and name by later rows and calls of the same people."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping

from sqlalchemy import Connection

from connector.domain.launches.eligibility import Choice
from connector.domain.people.same_person import ERASED_PERSON
from connector.ledger.db.bulk import BulkStatement, types_of
from connector.ledger.db.schema.launches import invitation

_UNSENT = "planned", "holdout", "waiting"
_FOUND = BulkStatement(
    "SELECT {returns} FROM {rows} AS r JOIN invitation AS s ON s.person = r.person "
    "WHERE s.pruned_at IS NULL AND s.scatter IS NULL AND (s.state = 'waiting' "
    "OR (s.state IN ('planned', 'holdout') AND s.launch_id = r.launch_id) "
    "OR (s.state IN ('sending', 'started', 'in_doubt', 'expired') AND s.user_id IS NULL "
    "AND NOT EXISTS (SELECT 1 FROM sync WHERE sync.connection = s.connection "
    "AND sync.interview_id = s.interview_id AND sync.user_id IS NOT NULL))) {lock}",
    types_of(invitation, "person", "launch_id"),
    returns=["s.position", "s.id", "s.person", "s.state", "s.user_id", "s.email", "s.name"],
    lock="s.id",
)
_FILL = BulkStatement(
    "UPDATE invitation SET {changes} FROM {rows} AS r WHERE invitation.id = r.id",
    types_of(invitation, "id", "user_id", "email", "name"),
    key=["id"],
)


def fill(
    c: Connection, choices: Iterable[Choice], persons: Mapping[int, int], launch_id: str | None = None
) -> None:
    """Fill in waiting invitations of the people behind these rows, and what `launch_id` plans or holds out.

    The first value given stays. A started invitation, of which Koji was told, is given a user id only, unless
    its result has an Amplitude user. `persons` are by key. The caller has locked the people.
    """
    given = [
        (person, choice.member[:3])
        for choice in choices
        if (person := persons.get(choice.keys[0], ERASED_PERSON)) != ERASED_PERSON
    ]
    if not given:
        return
    asked = [(person, launch_id) for person in sorted({person for person, _ in given})]
    found = sorted(map(tuple, _FOUND.fetch(c, asked)))
    # two rows of a launch may turn out to be one person after both were planned
    planned = [(person, tuple(own)) for _, _, person, state, *own in found if state in _UNSENT]
    told = defaultdict[int, list[tuple[str | None, ...]]](list)
    for person, values in (*planned, *given):
        told[person].append(values)
    changed = []
    for _, invitation_id, person, state, *own in found:
        whole = [next(filter(None, column), None) for column in zip(own, *told[person], strict=True)]
        filled = whole if state in _UNSENT else [whole[0], *own[1:]]
        if filled != own:
            changed.append((invitation_id, *filled))
    if changed:
        _FILL.execute(c, changed)
