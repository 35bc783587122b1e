"""Define the types of settings: which texts become a value.

Messages never repeat a value: it may be a secret that was pasted into the wrong place.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, PlainSerializer, SecretStr

from connector.domain.launches.respondent_link import NAMES, needs
from connector.domain.results.added_properties import MOST, wrong_name
from connector.domain.results.interview import Interview
from connector.security.sealing import parse_key

SQLITE = "sqlite:///"
POSTGRESQL = "postgresql://"

_CONCLUDED = frozenset(
    {"ready", "email_given", "failed_quality_gate", "has_ended", "suppressed", "analysis", "warning"}
    | {"invitee", "launch_id", "cohort_id", "cohort_name", "variant"}
)
ALIAS_FIELDS = frozenset(Interview._fields) - _CONCLUDED | {"event"}
"""The fields of KOJI_FIELD_ALIASES: those of an interview that Koji sends, and the event's name."""

_UNEXPANDED = re.compile(r"\$\{[^{}]*\}")
_LARGEST = 1_000_000_000  # so many days in milliseconds still fit a 64-bit column


def is_set(text: str) -> bool:
    """Tell whether a value counts: it is not empty, and not an unexpanded `${…}`."""
    text = text.strip()
    return text != "" and _UNEXPANDED.fullmatch(text) is None


def _split(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    return [part.strip() for part in value.split(",") if is_set(part)]


def _split_urls(value: Any) -> Any:
    # an address may itself hold commas
    return re.split(r"\s*,\s*(?=[A-Za-z0-9]+://)", value.strip()) if isinstance(value, str) else value


def _alert_url(value: SecretStr) -> SecretStr:
    if not re.match(r"[A-Za-z0-9]+://.", value.get_secret_value()):
        raise ValueError("must be addresses that begin with a scheme, such as slack://")
    return value


def _lower(value: Any) -> Any:
    return value.lower() if isinstance(value, str) else value


def _credential(value: SecretStr) -> SecretStr:
    if not re.fullmatch(r"[!-~]+", value.get_secret_value()):
        raise ValueError("must be visible ASCII characters without spaces, because it travels in a header")
    return value


def _encryption_key(value: SecretStr) -> SecretStr:
    parse_key(value.get_secret_value())
    return value


def _base_url(value: str) -> str:
    try:
        parts = urlsplit(value)
        whole = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        whole = False
    if not whole or re.search(r"\s", value):
        raise ValueError("must begin with http:// or https:// and name a host")
    if "@" in parts.netloc:
        raise ValueError("must not carry a user or password, because it is shown in reports")
    if "?" in value or "#" in value:
        raise ValueError("must not carry a query or fragment, because paths are put after it")
    return value.rstrip("/")


def _origin(value: str) -> str:
    if urlsplit(value).path:
        raise ValueError("must be scheme and host only, without a path")
    return value.lower()


def _header_name(value: str) -> str:
    if not re.fullmatch(r"[a-z0-9!#$%&'*+.^_`|~-]+", value):
        raise ValueError("must be the name of one HTTP header")
    return value


def _link_template(value: str) -> str:
    if not value.startswith(("{base}", "http://", "https://")) or re.search(r"\s", value):
        raise ValueError("must begin with {base}, http:// or https:// and have no space")
    if unknown := sorted(needs(value) - NAMES):
        raise ValueError(f"must name known places ({', '.join(sorted(NAMES))}), not {unknown[0]!r}")
    return value


def _database_url(value: str) -> str:
    if not value.startswith((SQLITE, POSTGRESQL)):
        raise ValueError("must begin with sqlite:/// or postgresql://")
    path = value.removeprefix(SQLITE).partition("?")[0]
    if value.startswith(SQLITE) and (path in ("", ":memory:") or path.startswith("file:")):
        raise ValueError("must name a file after sqlite:///, because the ledger outlives the process")
    return value


def _window(value: Any) -> Any:
    return value.split("/") if isinstance(value, str) else value


def _alias_pairs(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    pairs: dict[str, str] = {}
    for part in _split(value):
        name, _, path = (piece.strip() for piece in part.partition("="))
        if name in pairs:
            raise ValueError(f"must name each field once, names {name!r} twice")
        pairs[name] = path
    return pairs


def _known_properties(value: Mapping[str, str]) -> Mapping[str, str]:
    names = list(value.values())
    if len(value) > MOST:
        raise ValueError(f"must be at most {MOST} pairs")
    for question, name in value.items():
        if not question or not name or "=" in name:
            raise ValueError(f"must be questionId=property pairs, not '{question}={name}'")
        if names.count(name) > 1:
            raise ValueError(f"must name each property once, names {name!r} twice")
        if wrong := wrong_name(name):
            raise ValueError(f"cannot add {name!r}: it {wrong}")
    return value


def _alias_path(value: Any) -> Any:
    return [step.strip() for step in value.split(".")] if isinstance(value, str) else value


def _known_aliases(value: Mapping[str, tuple[str, ...]]) -> Mapping[str, tuple[str, ...]]:
    for name, path in value.items():
        if name not in ALIAS_FIELDS:
            raise ValueError(f"must name known fields ({', '.join(sorted(ALIAS_FIELDS))}), not {name!r}")
        if not all(path):
            raise ValueError(f"must give the field {name!r} a path without empty steps")
    return value


LOWER_CASE = BeforeValidator(_lower)
FROZEN_MAPPING = (AfterValidator(MappingProxyType), PlainSerializer(dict))

Count = Annotated[int, Field(ge=1, le=_LARGEST)]
CountOrNone = Annotated[int, Field(ge=0, le=_LARGEST)]
InvitationWindow = Annotated[tuple[Count, Count], BeforeValidator(_window)]
"""At most so many invitations within so many days."""
Credential = Annotated[SecretStr, AfterValidator(_credential)]
Secrets = Annotated[tuple[SecretStr, ...], BeforeValidator(_split)]
AlertUrls = Annotated[
    tuple[Annotated[SecretStr, AfterValidator(_alert_url)], ...], BeforeValidator(_split_urls)
]
EncryptionKeys = Annotated[
    tuple[Annotated[SecretStr, AfterValidator(_encryption_key)], ...], BeforeValidator(_split)
]
BaseUrl = Annotated[str, AfterValidator(_base_url)]
LinkTemplate = Annotated[str, AfterValidator(_link_template)]
DatabaseUrl = Annotated[str, AfterValidator(_database_url)]
Host = Annotated[str, Field(pattern=r"^[A-Za-z0-9.:%_-]+$")]
Hosts = Annotated[tuple[Annotated[Host, LOWER_CASE], ...], BeforeValidator(_split)]
Origins = Annotated[tuple[Annotated[BaseUrl, AfterValidator(_origin)], ...], BeforeValidator(_split)]
HeaderName = Annotated[str, LOWER_CASE, AfterValidator(_header_name)]
AnswerProperties = Annotated[
    Mapping[str, str],
    BeforeValidator(_alias_pairs),
    AfterValidator(_known_properties),
    *FROZEN_MAPPING,
]
Aliases = Annotated[
    Mapping[str, Annotated[tuple[str, ...], BeforeValidator(_alias_path)]],
    BeforeValidator(_alias_pairs),
    AfterValidator(_known_aliases),
    *FROZEN_MAPPING,
]
