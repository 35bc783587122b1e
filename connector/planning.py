"""Decide over a launch's members, piece by piece: memory does not grow with the cohort."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterable, Callable, Iterable, Mapping, Sequence
from contextlib import aclosing
from typing import ParamSpec, TypeVar

from connector.compact_set import CompactSet
from connector.eligibility import Choice, Member, Rules, Selection, SkipReason, Standing
from connector.errors import InvalidInput
from connector.inviting import Launch
from connector.launch_ports import KeyedMember, Launches
from connector.ports import Context, Lease

LARGEST_COHORT = 2_000_000
MOST_A_MONTH, MOST_IN_TEN_MINUTES = 500, 60  # Amplitude's limits on cohort downloads
MONTH, TEN_MINUTES = 30 * 86_400_000, 600_000
CHUNK = 5_000
_SMALL = 200
P = ParamSpec("P")
T = TypeVar("T")


def rules_of(ctx: Context, launch: Launch) -> Rules:
    """Return a launch's rules; the settings' cap stands above whatever was asked for."""
    cap = ctx.connection(launch.connection).connector_max_interviews_per_launch
    return Rules(min(launch.options.max_interviews, cap), launch.options.reinvite_after_days)


async def decide(
    ctx: Context, launch: Launch, pieces: AsyncIterable[Sequence[Member]], lease: Lease | None = None
) -> Launch | None:
    """Decide over all members and end the planning; return the launch, None when it was called off.

    Raises `InvalidInput` for a cohort without members or with more than 2,000,000.
    """
    launches = ctx.launches
    if not await launches.begin_reading(lease, launch.id):
        return None
    selection = Selection(rules_of(ctx, launch), ctx.clock.now(), CompactSet())
    field = "members" if launch.cohort_id is None else "cohort_id"
    total = 0
    async with aclosing(_looked_up(launches, launch.connection, pieces)) as looked_up:
        async for keyed, history in looked_up:
            total += len(keyed)
            if total > LARGEST_COHORT:
                raise InvalidInput.of(
                    field, f"has more than {LARGEST_COHORT:,} people", code="cohort_too_large"
                )
            choices = await _elsewhere(len(keyed), selection.take, keyed, history)
            learn = [choice for choice in choices if _teaches(choice, history)]
            if not await launches.add_choices(lease, launch.id, choices, learn, ctx.clock.now()):
                return None
    if not total:
        raise InvalidInput.of(field, "has nobody in it; nobody was invited", code="cohort_empty")
    return await launches.end_planning(lease, launch.id, ctx.clock.now())


async def _looked_up(
    launches: Launches, connection: str, pieces: AsyncIterable[Sequence[Member]]
) -> AsyncGenerator[tuple[Sequence[KeyedMember], Mapping[int, Standing]], None]:
    """Yield members with what is known of them, which is looked up while the piece before is decided.

    What that piece teaches comes too late for it, and need not be in time: `Selection` has seen its people.
    """
    waiting: tuple[Sequence[KeyedMember], asyncio.Task[Mapping[int, Standing]]] | None = None
    try:
        async for piece in pieces:
            keyed = await _elsewhere(len(piece), launches.keyed, connection, piece)
            before, waiting = waiting, (keyed, asyncio.create_task(launches.history(keyed)))
            if before is not None:
                yield before[0], await before[1]
        if waiting is not None:
            yield waiting[0], await waiting[1]
    finally:
        if waiting is not None:
            waiting[1].cancel()


async def _elsewhere(size: int, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Do work on many rows in another thread, so that the loop goes on."""
    return work(*args, **kwargs) if size <= _SMALL else await asyncio.to_thread(work, *args, **kwargs)


def _teaches(choice: Choice, history: Mapping[int, Standing]) -> bool:
    """Tell whether a row may tell us an alias that we did not know of somebody whom we know."""
    if choice.reason in (None, SkipReason.DUPLICATE):
        return True
    found = [history.get(key) for key in choice.keys]
    # all known as one person, or none known at all: there is nothing to learn
    return found.count(found[0]) != len(found) if found else False


async def activate(ctx: Context, launch: Launch) -> None:
    """Look once more at everybody who is planned, and let them wait for their start."""
    while await ctx.launches.activate(launch.id, rules_of(ctx, launch), ctx.clock.now(), CHUNK):
        pass
    ctx.wake("koji", "links")


async def pieces_of(members: Iterable[Sequence[Member]]) -> AsyncIterable[Sequence[Member]]:
    """Yield pieces that are at hand already."""
    for piece in members:
        yield piece
