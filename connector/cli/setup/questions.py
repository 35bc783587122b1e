"""Ask for each setting that is missing, say where to find it, and check the answer at once."""

from __future__ import annotations

import getpass
from typing import Final, NamedTuple

import httpx

from connector.cli.announce import WEBHOOK_EVENT, local_url, webhook_url
from connector.cli.setup.answers import Answers
from connector.cli.setup.checks import is_healthy
from connector.cli.startup import run_in_context, settings_files
from connector.cli.terminal import say
from connector.context import Context
from connector.errors import SettingsError
from connector.net.unreached import unreached
from connector.service.checks.credentials import CREDENTIALS, Finding, credential_check
from connector.service.checks.webhooks import refused_webhooks
from connector.settings.model import Settings
from connector.text.cells import clean

_PATIENCE = 8.0  # seconds
_BELONGS: Final = {"pk_live_": "KOJI_API_KEY", "koji_sk_": "KOJI_API_KEY", "whsec_": "KOJI_WEBHOOK_SECRET"}
"""How keys of Koji begin, and the setting that takes them."""


class Question(NamedTuple):
    """One setting; a secret is hidden while a person types it. `hint` may name {local} and {webhook}."""

    setting: str
    hint: str
    secret: bool = True


KEYS: Final = (
    Question(
        "KOJI_API_KEY",
        "Koji, in the project: Settings > Integrations > API keys. Let it read, start and complete\n"
        "interviews (interview:read, interview:start, interview:complete).",
    ),
    Question(
        "KOJI_PROJECT_ID",
        "Koji: the id in the project's address. The links that people get need it.",
        secret=False,
    ),
    Question("AMPLITUDE_API_KEY", "Amplitude: Settings > Projects > your project > API Key."),
    Question(
        "AMPLITUDE_SECRET_KEY", "Amplitude, beside it: Secret Key. Cohorts need it; results sync without."
    ),
)
ADDRESS: Final = (
    Question(
        "PUBLIC_URL",
        "The https address under which Koji reaches {local}, without a path.\n"
        "A tunnel prints one; leave it running in another terminal:\n"
        "  cloudflared tunnel --url {local}",
        secret=False,
    ),
    Question(
        "KOJI_WEBHOOK_SECRET",
        "Koji: Settings > Integrations > Webhooks > Add Webhook Endpoint. Save\n"
        "  URL    {webhook}\n"
        f"  Event  {WEBHOOK_EVENT}\n"
        "and copy the secret that Koji then shows.",
    ),
)
SETTINGS: Final = ("AMPLITUDE_REGION", *(question.setting for question in (*KEYS, *ADDRESS)))
"""What `init` writes; the region follows from the key."""


def worded(question: Question, settings: Settings, connection: str) -> str:
    """Return a question's hint with this server's addresses."""
    return question.hint.format(local=local_url(settings), webhook=webhook_url(settings, connection))


def ask(question: Question, answers: Answers) -> None:
    """Ask for a setting that is not set, or that is refused, until an answer passes; Enter skips it."""
    name = answers.variable(question.setting)
    if answers.is_set(question.setting):
        status, message = _examined(question.setting, answers)[0]
        say(f"{name} is set. {message}".rstrip())
        if status != "fail":
            return
        if answers.in_environment(question.setting):
            say(f"  It comes from the environment, which wins over files: change {name} there.")
            return
    say("\n" + worded(question, answers.loaded().settings, answers.connection))
    while value := _read(name, secret=question.secret):
        pasted = f"{len(value)} characters. " if question.secret else ""
        try:
            (status, message), values = _examined(question.setting, answers, value)
        except SettingsError as error:
            status, message, values = "fail", f"{error}", {}
        if pasted or message:
            say(f"  {pasted}{message}")
        if status != "fail":
            answers.keep(values)
            return


def _examined(setting: str, answers: Answers, value: str | None = None) -> tuple[Finding, dict[str, str]]:
    """Check a value, or the one that is set; return the finding, and the settings that go with the value.

    Raises SettingsError for a value that cannot be right.
    """
    values = {} if value is None else {setting: value}
    if value is not None and (wrong := _mixed_up(setting, value)):
        return ("fail", wrong), values
    finding = _checked(setting, answers, values)
    if setting == "AMPLITUDE_API_KEY" and finding[0] == "fail":
        present = answers.loaded().settings.connections[answers.connection].amplitude_region
        region = "us" if present == "eu" else "eu"
        elsewhere = {**values, "AMPLITUDE_REGION": region}
        if value is not None and _checked(setting, answers, elsewhere)[0] == "ok":
            found = f"Amplitude refuses the key in the region {present} and accepts it in {region}"
            return ("ok", f"{found}: AMPLITUDE_REGION={region} is kept too."), elsewhere
    return finding, values


def _checked(setting: str, answers: Answers, values: dict[str, str]) -> Finding:
    settings = answers.loaded(values).settings
    if setting == "PUBLIC_URL":
        return _reached(settings)
    connection = settings.connections[answers.connection]
    if setting == "KOJI_WEBHOOK_SECRET" and not values:
        return run_in_context(settings, lambda ctx: _signed(ctx, answers))
    if setting.lower() not in CREDENTIALS:
        return "ok", ""
    check = run_in_context(settings, lambda ctx: credential_check(ctx, connection, setting.lower()))
    return check.status, check.message


async def _signed(ctx: Context, answers: Answers) -> Finding:
    """Doubt the secret that is set if the last webhook, within an hour, was refused for its signature."""
    refused = await refused_webhooks(ctx, answers.connection)
    latest = await ctx.ledger.inbox.latest_webhook(answers.connection)
    is_last = refused and (latest is None or refused[0].at > latest.received_at)
    if is_last and "KOJI_WEBHOOK_SECRET" in (setting := refused[0].detail["setting"]):
        return (
            "fail",
            f"The last webhook was refused. {setting} Restart a server that runs ({settings_files()}).",
        )
    return "ok", ""


def _mixed_up(setting: str, value: str) -> str | None:
    """Return what is wrong with a value that has the shape of another setting, or None."""
    for beginning, owner in _BELONGS.items():
        if value.startswith(beginning) and owner != setting:
            return f"It begins with {beginning}, as {owner} does: that one is asked for elsewhere."
    if setting == "KOJI_PROJECT_ID" and (not value.isprintable() or set(value) & set("/?@# ")):
        return "It must be the id alone, without the rest of the address."
    return None


def _reached(settings: Settings) -> Finding:
    """Call the server by its public address; a new tunnel may take a while, so failing is no refusal."""
    url = settings.public_url
    if not url.startswith("https://"):
        return "warn", "Koji sends webhooks to https addresses only."
    try:
        reply = httpx.get(f"{url}/healthz", timeout=_PATIENCE)
    except httpx.RequestError as error:
        return "unknown", unreached(error, "The server", url, "PUBLIC_URL").message
    if is_healthy(reply):
        return "ok", "The server answers there."
    return "unknown", f"Something else answers there ({reply.status_code}): check PUBLIC_URL and the tunnel."


def _read(name: str, *, secret: bool) -> str:
    prompt = clean(f"{name}: ")
    try:
        return (getpass.getpass(prompt) if secret else input(prompt)).strip()
    except EOFError:  # Ctrl-D
        say()
        return ""
