"""Tokens that stand for a plan, or for a person's yes to resuming a launch; and what the yes costs."""

from __future__ import annotations

import hmac

from connector import errors
from connector.context import Context
from connector.domain.launches.credits import price
from connector.domain.launches.launch import Launch
from connector.service.execution.operation import ConsentRequired
from connector.text.values import counted, people_of

_RESUME_MS = 600_000


def token_of(ctx: Context, launch_id: str) -> str:
    """Return the plan token of a launch: its id, signed."""
    return f"plan_{launch_id}.{_signature(ctx, launch_id)}"


def launch_id_of(ctx: Context, token: str) -> str:
    """Return the launch that a plan token belongs to. Raises `InvalidInput` (`plan_invalid`)."""
    launch_id, _, signature = token.removeprefix("plan_").rpartition(".")
    expected = _signature(ctx, launch_id)
    if not hmac.compare_digest(signature.encode("utf-8", "replace"), expected.encode()):
        raise errors.InvalidInput.of("plan_token", "is not one of ours; plan again", code="plan_invalid")
    return launch_id


def resume_token(ctx: Context, launch: Launch, people: int, *, retry: bool = False) -> str:
    """Return a token that stands for a person's yes to these people and their credits, for 10 minutes.

    `retry` tells that starts of unknown outcome are among them.
    """
    until = ctx.clock.now() + _RESUME_MS
    claim = f"{launch.id}.{people}.{price_of(ctx, launch, people)}.{_past(launch)}.{until}"
    return f"resume_{claim}.{_signature(ctx, f'resume {retry} {claim}')}"


def check_resume_token(ctx: Context, launch: Launch, token: str, people: int, *, retry: bool) -> None:
    """Raise unless a token was made for this launch, and for no fewer people and credits, just now."""
    claim, _, signature = token.removeprefix("resume_").rpartition(".")
    expected = _signature(ctx, f"resume {retry} {claim}")
    genuine = hmac.compare_digest(signature.encode("utf-8", "replace"), expected.encode())
    if not genuine or not claim.startswith(f"{launch.id}."):
        raise errors.InvalidInput.of(
            "resume_token", "is not of this launch and in_doubt; take a new one", code="resume_invalid"
        )
    agreed, most, past, expires = (int(part) for part in claim.split(".")[1:])
    if ctx.clock.now() >= expires:
        raise errors.Conflict("resume_token: older than 10 minutes; take a new one.", code="resume_expired")
    if past != _past(launch):  # the yes was used: people were started since
        raise ConsentRequired("resume_token: is used up, for other people wait now; take a new one.")
    if people > agreed or price_of(ctx, launch, people) > most:
        raise ConsentRequired("resume_token: more people or credits are due than it is for; take a new one.")


def _past(launch: Launch) -> int:
    return launch.to_invite - launch.left - launch.planned


def cost(ctx: Context, launch: Launch, people: int) -> str:
    """Return in words how many people and at most how many credits."""
    credits_ = counted(price_of(ctx, launch, people), "Koji credit", "Koji credits")
    return f"{people_of(people)} for up to {credits_}"


def price_of(ctx: Context, launch: Launch, people: int) -> int:
    """Return the credits that these people of a launch take at most."""
    return price(launch.options, ctx.connection(launch.connection).koji_default_mode, people)


def _signature(ctx: Context, launch_id: str) -> str:
    return hmac.digest(ctx.ledger.plan_key, launch_id.encode("utf-8", "replace"), "sha256").hex()[:40]
