"""Decide over a launch's members chunk by chunk, so that memory does not grow with the cohort."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterable, Callable, Iterable, Sequence, Sized
from contextlib import aclosing
from typing import NamedTuple, ParamSpec, TypeVar

from connector.context import Context
from connector.domain.launches.eligibility import STORED, Choice, Known, LaunchRules, Selection, SkipReason
from connector.domain.launches.launch import Launch
from connector.domain.launches.rest import NO_RESTS, Recorded
from connector.domain.launches.sample import Holdout
from connector.domain.lease import Lease
from connector.domain.people.same_person import KeyedMember, Member
from connector.errors import InvalidInput
from connector.settings.rules import rest_rules

LARGEST_COHORT = 2_000_000
MOST_A_MONTH, MOST_IN_TEN_MINUTES = 500, 60  # Amplitude's limits on cohort downloads
MONTH, TEN_MINUTES = 30 * 86_400_000, 600_000
CHUNK = 4_096  # members whose history is looked up at once
_SMALL = 200
P = ParamSpec("P")
T = TypeVar("T")


class Decided(NamedTuple):
    """The decisions over a chunk of members; see `Planning.add_choices`."""

    choices: Sequence[Choice]
    taught: Sequence[Choice]
    gave_way: Sequence[int]


class History(NamedTuple):
    """What is known of the members of a chunk, on their connection and in the register of asking."""

    known: Sequence[Known]
    recorded: Sequence[Recorded]


def rules_of(ctx: Context, launch: Launch) -> LaunchRules:
    """Return a launch's rules; the settings' cap limits what was asked for."""
    cap = ctx.connection(launch.connection).connector_max_interviews_per_launch
    rests = NO_RESTS if launch.options.override_rest else rest_rules(ctx.settings)
    limit = min(launch.options.max_interviews, cap)
    options = launch.options
    holdout = holdout_of(ctx, launch.connection, options.holdout_percent)
    return LaunchRules(limit, options.reinvite_after_days, launch.seed, rests, options.quota, holdout)


def holdout_of(ctx: Context, connection: str, percent: int) -> Holdout | None:
    """Return the share of a connection's people who are never invited; its seed is the ledger's own."""
    return Holdout(percent, ctx.ledger.keyed_hash(f"holdout {connection}")) if percent else None


async def history_of(ctx: Context, connection: str, keyed: Sequence[KeyedMember]) -> History:
    """Return what is known of members of a connection."""
    register, project = ctx.ledger.register, ctx.connection(connection).user_id_space
    await register.fill({name: each.user_id_space for name, each in ctx.settings.connections.items()})
    with_asked, alone = rest_rules(ctx.settings) != NO_RESTS, len(ctx.settings.connections) == 1
    members = [member for member, _ in keyed]
    return History(
        await ctx.ledger.aliases.history(keyed),
        await register.recorded(project, members, with_asked=with_asked, alone=alone),
    )


async def decide(
    ctx: Context, launch: Launch, chunks: AsyncIterable[Sequence[Member]], lease: Lease | None = None
) -> Launch | None:
    """Decide over all members and end the planning; return the launch, or None if it was cancelled.

    Raises `InvalidInput` for a cohort without members or with more than 2,000,000.
    """
    planning = ctx.ledger.planning
    if not await planning.begin_reading(lease, launch.id):
        return None
    rules = rules_of(ctx, launch)
    selection = Selection(rules, ctx.clock.now())
    field = "members" if launch.cohort_id is None else "cohort_id"
    total = 0
    async with aclosing(_looked_up(ctx, launch, chunks)) as looked_up:
        async for keyed, history in looked_up:
            total += len(keyed)
            if total > LARGEST_COHORT:
                detail = f"has more than {LARGEST_COHORT:,} people"
                raise InvalidInput.of(field, detail, code="cohort_too_large")
            decided = await chosen(ctx, launch.connection, selection, keyed, history)
            if not await planning.add_choices(lease, launch.id, *decided, ctx.clock.now()):
                return None
    if not total:
        raise InvalidInput.of(field, "has no people in it; no person was invited", code="cohort_empty")
    limit = None if rules.quota is None else rules.limit
    return await planning.end(lease, launch.id, ctx.clock.now(), limit, selection.available, selection.cohort)


async def chosen(
    ctx: Context, connection: str, selection: Selection, keyed: Sequence[KeyedMember], history: History
) -> Decided:
    """Decide over a chunk of members of a connection.

    Where all aliases of a row are known as one person, or none is, there is nothing to learn: neither on the
    connection nor in the register.
    """
    choices, gave_way = await aside(keyed, selection.take, keyed, *history)
    teach = (*STORED, SkipReason.DUPLICATE)
    keys_of, project = ctx.ledger.register.keys_of, ctx.connection(connection).user_id_space
    choices = [
        choice._replace(register=keys_of(project, choice.member))
        if choice.reason in teach or len(known) > 1 or recorded.is_partial
        else choice
        for choice, known, recorded in zip(choices, *history, strict=True)
    ]
    return Decided(choices, [choice for choice in choices if choice.register], gave_way)


async def _looked_up(
    ctx: Context, launch: Launch, chunks: AsyncIterable[Sequence[Member]]
) -> AsyncGenerator[tuple[Sequence[KeyedMember], History], None]:
    """Yield each chunk with its history; the ledger looks the next one up while one is decided over.

    What a chunk teaches cannot change the decisions over the next: the selection remembers all members.
    """
    before: tuple[Sequence[KeyedMember], asyncio.Task[History]] | None = None
    try:
        async for chunk in chunks:
            keyed = await aside(chunk, ctx.ledger.aliases.keyed, launch.connection, chunk)
            ready, before = before, (keyed, asyncio.ensure_future(history_of(ctx, launch.connection, keyed)))
            if ready is not None:
                yield ready[0], await ready[1]
        if before is not None:
            yield before[0], await before[1]
    finally:
        if before is not None:
            before[1].cancel()


async def aside(size: Sized, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Do work over a large chunk in a thread of its own, so that other requests are answered meanwhile."""
    if len(size) <= _SMALL:
        return work(*args, **kwargs)
    return await asyncio.to_thread(work, *args, **kwargs)


async def activate(ctx: Context, launch: Launch) -> None:
    """Check all planned people once more, and let them wait for their start."""
    while await ctx.ledger.planning.activate(launch.id, rules_of(ctx, launch), ctx.clock.now(), CHUNK):
        pass
    ctx.wake("koji", "links", "waves")


async def chunks_of(members: Iterable[Sequence[Member]]) -> AsyncIterable[Sequence[Member]]:
    """Yield chunks that are at hand already."""
    for chunk in members:
        yield chunk
