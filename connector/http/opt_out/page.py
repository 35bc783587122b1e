"""Serve the opt-out page: a GET only asks, because programs open links too; a POST says no."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from starlette.responses import Response

from connector.errors import NotFound
from connector.http import html
from connector.http.endpoint import NO_STORE, Call, endpoint, parameter
from connector.security.opt_out_token import OptOut, read_opt_out_token

if TYPE_CHECKING:
    from jinja2 import Template

_HEADERS: Final[Mapping[str, str]] = {
    **html.HEADERS,
    **NO_STORE,
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; "
    "form-action 'self'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",  # the address is the person's no
    "X-Robots-Tag": "noindex",
}
_WORDS: Final[Mapping[str, Mapping[str, str]]] = {
    "en": {
        "title": "No more invitations",
        "ask": "Shall we stop inviting you to interviews?",
        "button": "Stop inviting me",
        "done": "Done. You get no more invitations to interviews from us.",
        "results": "Interviews that you gave stay. To have them deleted, write to the sender of your "
        "invitation.",
    },
    "de": {
        "title": "Keine Einladungen mehr",
        "ask": "Sollen wir Sie nicht mehr zu Interviews einladen?",
        "button": "Nicht mehr einladen",
        "done": "Erledigt. Sie erhalten von uns keine Einladungen zu Interviews mehr.",
        "results": "Ihre bisherigen Interviews bleiben bestehen. Um sie löschen zu lassen, schreiben Sie an "
        "den Absender Ihrer Einladung.",
    },
    "fr": {
        "title": "Plus d'invitations",
        "ask": "Devons-nous cesser de vous inviter à des entretiens ?",
        "button": "Ne plus m'inviter",
        "done": "C'est fait. Vous ne recevrez plus d'invitations à des entretiens de notre part.",
        "results": "Vos entretiens passés sont conservés. Pour les faire supprimer, écrivez à l'expéditeur "
        "de votre invitation.",
    },
    "es": {
        "title": "No más invitaciones",
        "ask": "¿Quiere que dejemos de invitarle a entrevistas?",
        "button": "No invitarme más",
        "done": "Hecho. No recibirá más invitaciones a entrevistas de nuestra parte.",
        "results": "Las entrevistas que ya concedió se conservan. Para que se borren, escriba al remitente "
        "de su invitación.",
    },
}
_TOKEN: Final = {"type": "string", "pattern": "^[A-Za-z0-9_-]{48}$"}
_ABOUT: Final[Mapping[str, Any]] = {
    "answers": {"type": "string"},
    "is_open": True,
    "media_type": "text/html",
    "parameters": [
        parameter("token", "path", "The token of the invitation's opt-out link.", _TOKEN),
    ],
    "refused": ("404", "429", "503"),
}


@endpoint("GET", "/o/{token}", **_ABOUT)
async def ask_to_opt_out(call: Call) -> Response:
    """Ask an invited person whether invitations shall stop.

    A page in the invitation's language. It changes nothing.
    """
    return await _page(call, await _named(call), done=False)


@endpoint("POST", "/o/{token}", **_ABOUT)
async def opt_out(call: Call) -> Response:
    """Stop all invitations of a person.

    At once and on all connections; also for the one-click header of mail programs (RFC 8058). Repeating it
    does nothing more.
    """
    named = await _named(call)
    if await call.ctx.ledger.register.opt_out(named, call.ctx.clock.now()):
        call.ctx.wake("hooks")
    return await _page(call, named, done=True)


async def _named(call: Call) -> OptOut:
    """Return what the request's token names. Raises `NotFound` for a forged one, ever later when repeated."""
    named = read_opt_out_token(call.ctx.ledger.plan_key, call.request.path_params["token"])
    if named is None:
        await call.gate.failed(call.request)
        raise NotFound("There is no such page; open the link of your invitation as it was sent.")
    return named


async def _page(call: Call, named: OptOut, *, done: bool) -> Response:
    invitation = await call.ctx.ledger.invitations.find(named.invitation_id)
    launch = None if invitation is None else await call.ctx.ledger.launches.find(invitation.launch_id)
    language = ((launch and launch.options.locale) or "en").lower()[:2]
    words = _WORDS.get(language)
    if words is None:
        language, words = "en", _WORDS["en"]
    text = _template().render(language=language, words=words, done=done)
    return Response(text, headers=_HEADERS, media_type="text/html")


@cache
def _template() -> Template:
    return html.environment(Path(__file__).with_name("templates")).get_template("opt_out.html")
