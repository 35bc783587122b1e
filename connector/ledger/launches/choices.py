"""Store the decisions over members: who is invited, who is held out, and how many are skipped."""

from __future__ import annotations

import secrets
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from sqlalchemy import Connection, select, update

from connector.domain.launches.eligibility import MOST_EXAMPLES, STORED, Choice, SkipReason, is_example
from connector.domain.launches.launch import Example, InvitationState, Launch
from connector.domain.launches.sample import Draws
from connector.domain.people.same_person import ERASED_PERSON, OPTED_OUT, has_email
from connector.ledger.db.bulk import BulkStatement, storable, types_of
from connector.ledger.db.schema.launches import invitation, launch
from connector.ledger.launches.filling import fill
from connector.ledger.people import aliases, register
from connector.text.json import dumps

_PLANNED = (
    *("id", "connection", "launch_id", "position", "person", "user_id", "email", "name"),
    *("cell", "segment", "draw", "register", "state", "created_at"),
)
_INSERT = BulkStatement(
    "INSERT INTO invitation ({names}, polls, updated_at) SELECT {names}, 0, created_at FROM {rows} AS r",
    types_of(invitation, *_PLANNED),
)


def store_choices(
    c: Connection, plan: Launch, choices: Sequence[Choice], taught: Sequence[Choice], now: int
) -> None:
    """Add decisions to a launch: invited members are planned, skipped members are counted.

    Of `taught`, those who are not stored complete the invitations of the same people.

    The caller has locked the launch, and before it the people, when decisions teach aliases or are examples.
    """
    persons: Mapping[int, int] = {}
    if taught:
        persons = aliases.learn(c, taught)
        choices = [_kept_out(choice, persons) for choice in choices]
    recorded = register.enroll(c, [choice for choice in choices if choice.register])
    choices = [_opted_out(choice, recorded) for choice in choices]
    of_plan = plan.connection, plan.id
    shown_before = _held_out(c, plan.id, persons.values()) if plan.standing else set[int]()
    daily = Draws(plan.seed) if plan.standing and plan.seed is not None else None
    rows = [
        (
            f"inv_{secrets.token_hex(16)}",
            *of_plan,
            at,
            persons[choice.keys[0]],
            *choice.member[:3],
            choice.member.cell,
            choice.member.segment,
            choice.draw if daily is None else daily.of(choice.keys),
            recorded.get(choice.register[0]) if choice.register else None,
            InvitationState.HOLDOUT if choice.reason else InvitationState.PLANNED,
            now,
        )
        for at, choice in enumerate(choices, plan.members_total)
        if choice.reason in STORED and persons[choice.keys[0]] not in shown_before
    ]
    if rows:
        _INSERT.execute(c, rows)
    fill(c, [choice for choice in taught if choice.reason not in STORED], persons, plan.id)
    skipped = Counter(plan.skipped)
    skipped.update(str(choice.reason) for choice in choices if choice.reason is not None)
    examples = list(plan.examples)
    shown = [choice for choice in choices if is_example(choice)][: MOST_EXAMPLES - len(examples)]
    erased = aliases.forgotten(c, [key for choice in shown for key in choice.keys])
    examples += [
        Example(choice.member.user_id or "", str(choice.reason), *(choice.rest or ()))
        for choice in shown
        if erased.isdisjoint(choice.keys)
    ]
    values = {
        "members_total": plan.members_total + len(choices),
        "with_email": plan.with_email + sum([has_email(choice.member) for choice in choices]),
        "bad_emails": plan.bad_emails + sum([choice.member.has_bad_email for choice in choices]),
        "planned": plan.planned + sum([choice.reason is None for choice in choices]),
        "skipped": dumps(dict(skipped)),
        "examples": storable(dumps(examples)) if examples else None,
    }
    c.execute(update(launch).where(launch.c.id == plan.id).values(**values))


def _held_out(c: Connection, launch_id: str, persons: Iterable[int]) -> set[int]:
    """Return those of some persons that a standing launch held out before; it may name a person again."""
    query = select(invitation.c.person).where(
        invitation.c.launch_id == launch_id,
        invitation.c.state == InvitationState.HOLDOUT,
        invitation.c.person.in_(set(persons)),
    )
    return set(c.execute(query).scalars())


def _kept_out(choice: Choice, persons: Mapping[int, int]) -> Choice:
    """Skip a person who was erased after the decision."""
    erased = choice.reason in STORED and persons[choice.keys[0]] == ERASED_PERSON
    return choice._replace(reason=SkipReason.SUPPRESSED) if erased else choice


def _opted_out(choice: Choice, recorded: Mapping[int, int]) -> Choice:
    """Skip a person who opted out after the decision."""
    said_no = choice.reason in STORED and OPTED_OUT in map(recorded.get, choice.register)
    return choice._replace(reason=SkipReason.OPTED_OUT) if said_no else choice
