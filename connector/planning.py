"""Decide over a launch's members, piece by piece: memory does not grow with the cohort."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, Iterable, Mapping, Sequence

from connector.compact_set import CompactSet
from connector.eligibility import Choice, Member, Rules, Selection, SkipReason, Standing
from connector.errors import InvalidInput
from connector.inviting import Launch
from connector.ports import Context, Lease

LARGEST_COHORT = 2_000_000
MOST_A_MONTH, MOST_IN_TEN_MINUTES = 500, 60  # Amplitude's limits on cohort downloads
MONTH, TEN_MINUTES = 30 * 86_400_000, 600_000
CHUNK = 5_000
_SMALL = 200


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
    async for piece in pieces:
        total += len(piece)
        if total > LARGEST_COHORT:
            raise InvalidInput.of(field, f"has more than {LARGEST_COHORT:,} people", code="cohort_too_large")
        small = len(piece) <= _SMALL
        keyed = (
            launches.keyed(launch.connection, piece)
            if small
            else await asyncio.to_thread(launches.keyed, launch.connection, piece)
        )
        history = await launches.history(keyed)
        choices = (
            selection.take(keyed, history)
            if small
            else await asyncio.to_thread(selection.take, keyed, history)
        )
        learn = [choice for choice in choices if _teaches(choice, history)]
        if not await launches.add_choices(lease, launch.id, choices, learn, ctx.clock.now()):
            return None
    if not total:
        raise InvalidInput.of(field, "has nobody in it; nobody was invited", code="cohort_empty")
    return await launches.end_planning(lease, launch.id, ctx.clock.now())


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
