"""Tell how a launch gets on: why it is paused, how long the remainder takes, when waiting for it ends."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

from connector.context import Context
from connector.domain.launches.credits import launch_lane, next_day, price
from connector.domain.launches.forecast import Forecast, forecast
from connector.domain.launches.launch import (
    APPROVAL,
    AWAY,
    DAILY_CREDITS,
    KOJI_LIMIT,
    KOJI_UNREACHABLE,
    NO_LINK,
    RESTORED,
    Launch,
    LaunchOptions,
    LaunchStatus,
)
from connector.domain.launches.quota import Cell, cells
from connector.domain.launches.segments import Segment, segments
from connector.domain.launches.start import people_a_day
from connector.domain.launches.waves import next_wave
from connector.domain.lease import PAUSE_MESSAGES, Pause
from connector.service.execution.polling import poll
from connector.service.lane_pause import pause_of_lanes
from connector.settings.rules import start_rules
from connector.text.json import loads

_MESSAGES: Final[Mapping[str | None, str]] = {
    APPROVAL: "More people came in a day than CONNECTOR_COHORT_APPROVE_ABOVE allows; resume_launch approves "
    "all who wait.",
    NO_LINK: "KOJI_PROJECT_ID is not set where the starts are made, so that people would get no link. Set it "
    "and restart serve.",
    RESTORED: "The ledger was restored from a backup, which does not know the people that it started since; "
    "they would be started again. Look in Koji first.",
}
SELF_RESUMING: Final = frozenset({KOJI_UNREACHABLE, DAILY_CREDITS})
_LINKS_A_MINUTE: Final = 6_000


class LaunchPause(NamedTuple):
    """Why a launch is paused. `until` is when that ends by itself (ms), or None if a person has to act."""

    code: str
    until: int | None
    message: str


class Progress(NamedTuple):
    """How a launch gets on. `seconds` is about how long the rest takes, None where that is not known."""

    pause: LaunchPause | None
    message: str | None
    seconds: int | None
    expected: Forecast

    @property
    def waits_for_person(self) -> bool:
        """Tell whether the launch goes on only once a person resumes it."""
        return self.pause is not None and self.pause.code not in SELF_RESUMING


async def progress_of(ctx: Context, launch: Launch) -> Progress:
    """Return how a launch gets on."""
    pause, limit = await pause_of(ctx, launch), await limit_of(ctx, launch)
    expected = await forecast_of(ctx, launch)
    slower = 0 if limit is None else max(0, -(-(limit.until - ctx.clock.now()) // 1_000))
    is_unknown = launch.status is LaunchStatus.PLANNING or (pause is not None and pause.code != DAILY_CREDITS)
    return Progress(
        pause=pause,
        message=(pause or limit or launch).message or None,
        seconds=None if is_unknown or expected.seconds is None else expected.seconds + slower,
        expected=expected,
    )


async def until_ended(ctx: Context, launch: Launch, seconds: float) -> Launch:
    """Return the launch once it has ended, is planned or is paused, or its state after `seconds`.

    Waiting goes on while Koji cannot be reached.
    """

    async def read(before: Launch) -> Launch:
        return await ctx.ledger.launches.find(before.id) or before

    async for present in poll(ctx, seconds, launch, read):
        if present.status not in (LaunchStatus.PLANNING, LaunchStatus.RUNNING):
            break
        pause = await pause_of(ctx, present) if present.status is LaunchStatus.RUNNING else None
        is_paused = pause is not None and pause.code != KOJI_UNREACHABLE  # such a pause may end meanwhile
        # a start that used up the day's credits may have been stored since `present` was read
        if is_paused and present == await read(present):
            break
        if present.standing and await is_done_for_today(ctx, present):
            break
    return present


async def pause_of(ctx: Context, launch: Launch) -> LaunchPause | None:
    """Return why a launch is paused, or None if it is not paused."""
    if launch.status is LaunchStatus.PAUSED:
        return await stored_pause(ctx, launch)
    if launch.status is not LaunchStatus.RUNNING or not launch.left:
        return None
    pause = await key_pause(ctx, launch.connection, launch.options)
    # the last of the day's credits may belong to the person who is being started
    return None if pause is not None and pause.code == DAILY_CREDITS and launch.sending else pause


async def stored_pause(ctx: Context, launch: Launch) -> LaunchPause:
    """Return why a launch waits for a person: the reason stays stored until the launch is resumed."""
    message = _MESSAGES.get(launch.pause_reason)
    if message is None:
        pause = await pause_of_lanes(ctx, (ctx.connection(launch.connection).koji_lane,))
        usual = PAUSE_MESSAGES.get(launch.pause_reason or "", "Paused; resume_launch lets it go on.")
        message = usual if pause is None else pause.message
    return LaunchPause(launch.pause_reason or "", None, message)


async def key_pause(ctx: Context, name: str, options: LaunchOptions) -> LaunchPause | None:
    """Return why no interview with these options can be started with a connection's key now."""
    connection = ctx.connection(name)
    for pause in await ctx.ledger.leases.pauses():
        if pause.lane != connection.koji_lane or connection.koji_invite_by == "link":
            continue
        if pause.code == KOJI_LIMIT:  # the starts are only slower
            continue
        if pause.code in AWAY:
            until = max(pause.until, ctx.clock.now() + 1_000)
            return LaunchPause(KOJI_UNREACHABLE, until, pause.message)
        return LaunchPause(pause.code, None, pause.message)
    now = ctx.clock.now()
    cap = connection.connector_max_credits_per_day
    left = await ctx.ledger.invitations.credits_left(connection.credit_lane, cap, now)
    if left < (each := price(options, connection.koji_default_mode)):
        message = (
            f"Left of the {cap:,} credits of this UTC day (CONNECTOR_MAX_CREDITS_PER_DAY): {max(left, 0):,}; "
            f"one interview takes {each}."
        )
        return LaunchPause(DAILY_CREDITS, next_day(now), message)
    return None


async def limit_of(ctx: Context, launch: Launch) -> Pause | None:
    """Return the pause by which Koji's limit of calls slows down a running launch, or None."""
    lane = ctx.connection(launch.connection).koji_lane
    if launch.status is not LaunchStatus.RUNNING or not launch.left:
        return None
    pause = await pause_of_lanes(ctx, (lane,))
    return pause if pause is not None and pause.code == KOJI_LIMIT else None


async def is_done_for_today(ctx: Context, launch: Launch) -> bool:
    """Tell whether a standing launch may start no more people this UTC day."""
    if not launch.left and not launch.planned:
        return True
    cap = people_a_day(start_rules(ctx.connection(launch.connection)), launch)
    lane = launch_lane(launch.id)
    full = cap is not None and await ctx.ledger.invitations.credits_left(lane, cap, ctx.clock.now()) < 1
    return full and not launch.sending


async def cells_of(ctx: Context, launch: Launch) -> list[Cell]:
    """Return the cells of a launch's quota; none without one."""
    quota = launch.options.quota
    if quota is None:
        return []
    return cells(quota, loads(launch.available or "{}"), await ctx.ledger.launches.cells(launch.id))


async def segments_of(ctx: Context, launch: Launch) -> list[Segment]:
    """Return the segments of a launch; none without a property."""
    if launch.options.segment_by is None:
        return []
    return segments(loads(launch.cohort_segments or "{}"), await ctx.ledger.launches.segments(launch.id))


async def expected_of(ctx: Context, launch: Launch) -> int | None:
    """Return the good interviews that are expected of people invited in waves; None for other launches."""
    target = launch.options.stop_after_completed
    if target is None:
        return None
    answers, now = await ctx.ledger.waves.answers(launch.id), ctx.clock.now()
    return sum(next_wave(target, each, now).expected for each in answers.values())


async def forecast_of(ctx: Context, launch: Launch) -> Forecast:
    """Return how many people are started today, and when all of them are."""
    if not (people := launch.left + launch.planned):
        return Forecast(0, 0)
    connection, now = ctx.connection(launch.connection), ctx.clock.now()
    credits_left = ctx.ledger.invitations.credits_left
    each = price(launch.options, connection.koji_default_mode)
    cap = connection.connector_max_credits_per_day
    left, a_day = await credits_left(connection.credit_lane, cap, now) // each, cap // each
    if (most := people_a_day(start_rules(connection), launch)) is not None:
        left, a_day = min(left, await credits_left(launch_lane(launch.id), most, now)), min(a_day, most)
    # a little under the limit, as the worker stays
    calls = connection.koji_rate_limit_per_minute * 60 / 61
    a_minute = _LINKS_A_MINUTE if connection.koji_invite_by == "link" else calls
    return forecast(people, a_minute=a_minute, left=left, a_day=a_day, now=now)
