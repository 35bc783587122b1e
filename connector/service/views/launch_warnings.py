"""Say what a person should know of a launch before going on: time, cost, links, doubts and addresses."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

from connector.context import Context
from connector.domain.launches.credits import price
from connector.domain.launches.forecast import Forecast
from connector.domain.launches.launch import Launch, LaunchOptions, LaunchStatus
from connector.domain.launches.quota import Cell
from connector.domain.launches.respondent_link import has_no_link
from connector.settings.model import Connection
from connector.settings.rules import start_rules
from connector.text.table import spelling
from connector.text.values import counted, people_of

_DAY = 86_400_000  # ms
_ENOUGH = 10  # people whose answers tell how many come back
_SENDER = "You send these links: Koji sends nothing by itself unless its own delivery is on."


async def warnings_of(ctx: Context, launch: Launch, expected: Forecast, cells: Sequence[Cell]) -> list[str]:
    """Return the warnings of a launch or plan, in plain sentences."""
    connection = ctx.connection(launch.connection)
    is_plan = launch.status is LaunchStatus.PLANNED and launch.to_invite > 0
    warnings = [*_time(connection, launch, expected, ctx.clock.now())]
    without_email = 0  # known of plans only
    if is_plan:
        warnings += [_kind(connection, launch.options), await _cost(ctx, connection, launch), _SENDER]
        shortest = connection.amplitude_min_id_length
        short, without_email = await ctx.ledger.launches.unreachable(launch.id, shortest)
        if short:
            warnings.append(
                f"{people_of(short)} with a user id shorter than {shortest} characters, which Amplitude does "
                "not take: their results cannot be written. See AMPLITUDE_MIN_ID_LENGTH."
            )
    if has_no_link(start_rules(connection)) and not launch.standing:
        warnings.append("KOJI_PROJECT_ID is not set: people get a link only where Koji's answer carries one.")
    if launch.in_doubt:
        warnings.append(
            f"{counted(launch.in_doubt, 'start', 'starts')} without a known outcome: not repeated. "
            "Look into Koji, then resume_launch with in_doubt retry or give_up."
        )
    if over := launch.skipped.get("over_limit"):
        warnings.append(f"{people_of(over)} above the limit: {_limits(connection, launch.options)}.")
    doubled = launch.skipped.get("duplicate_in_cohort", 0)
    if doubled * 2 >= launch.members_total > 1 and not launch.standing:
        warnings.append(
            f"{doubled:,} of {launch.members_total:,} rows share a user id, an Amplitude id or an e-mail "
            "address with another row, and count as the same person. Does the id name one person alone?"
        )
    if len(ctx.settings.connections) > 1 and (n := await ctx.ledger.register.asked_lately(launch.id)):
        warnings.append(f"{people_of(n)} invited by another connection within 7 days before.")
    if unfilled := [f"{cell.value} ({cell.available} of {cell.wanted})" for cell in cells if cell.short]:
        warnings.append(f"The quota cannot be filled: {', '.join(unfilled)}.")
    quota = launch.options.quota
    names = set(map(spelling, launch.carried))
    if quota and not any(cell.available for cell in cells) and spelling(quota["property"]) not in names:
        came = ", ".join(launch.carried) or "none"
        warnings.append(
            f"No person has the quota's property {quota['property']}. Properties that came: {came}."
        )
    warnings += _addresses(launch, launch.members_total - doubled, without_email)
    if launch.to_invite and launch.options.mode is None and connection.koji_default_mode is None:
        warnings.append(
            "No mode is given: credits are counted as voice. Give mode, or set KOJI_DEFAULT_MODE."
        )
    return warnings


def _limits(connection: Connection, options: LaunchOptions) -> str:
    """Return what bounds a launch, besides credits."""
    cap = connection.connector_max_interviews_per_launch
    most = (
        f"max_interviews is {options.max_interviews}"
        if options.max_interviews < cap
        else f"CONNECTOR_MAX_INTERVIEWS_PER_LAUNCH is {cap}"
    )
    return f"the quota, or {most}" if options.quota else most


def _time(connection: Connection, launch: Launch, expected: Forecast, now: int) -> Iterator[str]:
    """Yield when the last people are started, where that is not today."""
    is_going = launch.status in (LaunchStatus.PLANNED, LaunchStatus.RUNNING)
    if not is_going or expected.today == launch.left + launch.planned:
        return
    cap = connection.connector_max_credits_per_day
    limits = f"CONNECTOR_MAX_CREDITS_PER_DAY is {cap}"
    if launch.standing:
        most = connection.connector_max_interviews_per_launch
        limits += f", CONNECTOR_MAX_INTERVIEWS_PER_LAUNCH is {most} a day for a cohort's webhook"
    if expected.seconds is None:
        each = counted(price(launch.options, connection.koji_default_mode), "credit", "credits")
        yield f"No interview can be started: one costs {each}; {limits}."
    else:
        end = datetime.fromtimestamp(now / 1_000 + expected.seconds, UTC)
        yield f"{people_of(expected.today)} today, the rest by {end.day} {end:%B}: {limits}."


def _kind(connection: Connection, options: LaunchOptions) -> str:
    """Return the mode, price and language of a launch's interviews."""
    mode, each = options.mode or connection.koji_default_mode, price(options, connection.koji_default_mode)
    language = f"the language {options.locale}" if options.locale else "the study's language"
    return f"Mode {mode or 'of the study'}, {counted(each, 'credit', 'credits')} each, in {language}."


async def _cost(ctx: Context, connection: Connection, launch: Launch) -> str:
    """Return the most that a plan costs, and what that comes to if people answer as they did before."""
    most = price(launch.options, connection.koji_default_mode, launch.to_invite)
    said = (
        f"At most {counted(most, 'Koji credit', 'Koji credits')}: an interview below quality 3 costs nothing."
    )
    invited, came = await ctx.ledger.launches.came_back(connection.name, ctx.clock.now() - _DAY)
    if invited < _ENOUGH:
        return said
    likely = -(-most * came // invited)
    return f"{said} About {likely}, if as many come back as before ({came} of {people_of(invited)})."


def _addresses(launch: Launch, total: int, without: int) -> Iterator[str]:
    """Yield what to know of the e-mail addresses of `total` people; `without` are invited with none."""
    given = launch.with_email
    if launch.bad_emails:
        count = people_of(launch.bad_emails)
        yield f"invalid_email: {count} came with a text that is no e-mail address; it was left out."
    if given * 2 < total and not launch.single:
        column, names = launch.options.email_property, ", ".join(launch.carried)
        came = f"{given:,} of {people_of(total)} came with an e-mail address"
        if given or launch.cohort_id is not None:
            others = f"Properties that came: {names or 'none'}; set email_property to one."
            yield f"{came} in the property {column}. {others}"
        else:
            more = f" It has {names}: email_property names the one with addresses." if names else ""
            none = f"{came}: no e-mail address came in the property {column}"
            yield f"{none}; the list of links will have no addresses.{more}"
    elif without:
        yield (
            f"{without:,} of {people_of(launch.to_invite)} to invite have no e-mail address; "
            "the list of links has none for them."
        )
