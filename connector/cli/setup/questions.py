"""Ask for each setting, say where to find it, and keep the answers in `.env`."""

from __future__ import annotations

import getpass
import re
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from dotenv import set_key

from connector.cli.terminal import clean, say
from connector.errors import SettingsError
from connector.settings.files import read_dotenv
from connector.settings.sources import load
from connector.settings.types import is_set

_PLAIN = re.compile(r"[A-Za-z0-9_@%+=:,./~-]+")


class Question(NamedTuple):
    """One setting; a secret is hidden while a person types it."""

    name: str
    hint: str
    secret: bool = True


QUESTIONS = (
    Question("KOJI_API_KEY", "Koji: Settings > Integrations > API keys. It needs interview:read."),
    Question("AMPLITUDE_API_KEY", "Amplitude: Settings > Projects > your project > API Key."),
    Question(
        "AMPLITUDE_SECRET_KEY", "Amplitude: Secret Key, beside the API key. For look-ups; syncs do without."
    ),
    Question("AMPLITUDE_REGION", "us, or eu when you log in at app.eu.amplitude.com.", secret=False),
    Question(
        "PUBLIC_URL",
        "The https address under which Koji reaches this machine, without a path. A tunnel gives one:\n"
        "  cloudflared tunnel --url http://127.0.0.1:8080",
        secret=False,
    ),
    Question(
        "KOJI_WEBHOOK_SECRET",
        "Koji: Settings > Integrations > Webhooks. Koji shows it once the endpoint is saved, and\n"
        "calls it then. No endpoint yet? Skip, save it when init serves at its end, and run init again.",
    ),
)


def ask(environ: Mapping[str, str], directory: Path) -> dict[str, str]:
    """Ask for every setting and return the answers; an empty answer keeps the present value."""
    written = read_dotenv(directory / ".env")
    answers: dict[str, str] = {}
    say("Enter keeps what is set, or skips.")
    for question in QUESTIONS:
        say()
        say(question.hint)
        while answer := _read(question, _state(question, environ, written)):
            try:
                load({**environ, question.name: answer}, directory)
            except SettingsError as error:
                say(f"  {error}")
            else:
                answers[question.name] = answer
                break
    return answers


def from_environment(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the values of the questions' settings in the environment."""
    values = {question.name: environ.get(question.name, "") for question in QUESTIONS}
    return {name: value.strip() for name, value in values.items() if is_set(value)}


def write(path: Path, values: Mapping[str, str]) -> None:
    """Write values into an `.env` file, all or none of them, readable by its owner alone. Raises OSError.

    A value replaces its old line, or is appended; other lines do not change. Only a value that needs quotes
    gets quotes, because some programs that read `.env` files do not support quotes.
    """
    target = path.resolve()  # keep a symbolic link
    text = target.read_text(encoding="utf-8-sig") if target.exists() else ""
    with tempfile.TemporaryDirectory(prefix=".env-", dir=target.parent) as folder:
        copy = Path(folder, ".env")
        copy.touch(mode=0o600)
        copy.write_text(text, encoding="utf-8")
        for name, value in values.items():
            set_key(copy, name, value, quote_mode="never" if _PLAIN.fullmatch(value) else "always")
        copy.replace(target)


def _read(question: Question, state: str) -> str:
    prompt = clean(f"{question.name}{state}: ")
    try:
        return (getpass.getpass(prompt) if question.secret else input(prompt)).strip()
    except EOFError:  # Ctrl-D
        say()
        return ""


def _state(question: Question, environ: Mapping[str, str], written: Mapping[str, str]) -> str:
    for place, values in (("the environment", environ), (".env", written)):
        if is_set(value := values.get(question.name, "")):
            return f" [set in {place}]" if question.secret else f" [{value.strip()}]"
    return ""
