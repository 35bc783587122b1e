"""Take in user ids, and tell those that stand for no person."""

from __future__ import annotations

import re
import unicodedata

from connector.text.invisible import trimmed, visible
from connector.text.table import GROUPED, ROUNDED, plain
from connector.text.values import text

LONGEST = 1_024
"""Amplitude silently cuts longer ids, and two people could become one."""

AMPLITUDE_RESERVED = frozenset(
    ("anonymous", "nil", "none", "null", "n/a", "na", "undefined", "unknown", '""', "{}", "lmy47d", "0", "-1")
) | {"00000000-0000-0000-0000-000000000000"}
"""The ids that Amplitude HTTP V2 rejects; case does not matter to it."""

_PLACEHOLDERS = (
    AMPLITUDE_RESERVED
    | {"nan", r"\n", "n.a.", "n.a", "n/d", "s/d", "k.a.", "k. a.", "н/д", "нет данных", "unbekannt"}
    | {"not_set", "not-set", "not set", "not_provided", "not provided", "not available", "not applicable"}
    | {"true", "false", "no value", "empty", "blank", "missing", "tbd", "%s", "%d", "desconocido", "inconnu"}
    | {"guest", "anonymous user", "unknown user", "deleted user", "not logged in", "logged out"}
    | {"redacted", "hidden", "masked", "object object", "user_id", "userid"}
    | {"loading", "loading...", "wird geladen...", "chargement...", "%!s(<nil>)", "pd.na", "no email"}
    | {"anonymoususer", "guest user", "gast", "anonym", "anonyme", "anónimo", "аноним", "не указано"}
    | {"匿名", "ゲスト", "不明", "未設定", "неизвестно", "n.v.t.", "notset", "optional(nil)"}
    | {"9774d56d682e549c"}  # an id that many Android devices share
)
# true and false of spreadsheets, and no time of pandas; in other letter case they may be names
_AS_WRITTEN = (
    frozenset({"WAHR", "FALSCH", "VRAI", "FAUX", "VERDADERO", "FALSO", "VERDADEIRO", "VERO", "WAAR"})
    | {"PRAWDA", "FAŁSZ", "ИСТИНА", "ЛОЖЬ", "IGAZ", "HAMIS", "PRAVDA", "NEPRAVDA", "DOĞRU", "YANLIŞ", "NaT"}
    | {"ONWAAR", "SANT", "FALSKT", "SAND", "FALSK", "SANN", "USANN", "TOSI", "EPÄTOSI"}
)
# nearly all ids, and then plain words: only reserved words are left
_SIMPLE = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._@:+-]{0,255}[A-Za-z0-9._+-])?")
_WORDS = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._@:+ -]{0,255}[A-Za-z0-9._+-])?")
_BETWEEN = re.compile(r"[\s,;|@:_-]+")
_NO_ID = re.compile(
    rf"{ROUNDED.pattern}|{GROUPED.pattern}|[+-]?0+[.,]0+|-1[.,]0+|0[0 :.-]{{7,}}"
    r"|(?:err|fehler|erreur|errore|erro|ошибка):\d{3}",
    re.IGNORECASE,
)
_WHOLE = re.compile(r"([1-9]\d*)\.0+")
_MASKED = re.compile(r"\*{2}|[\u2022\u25cf]")  # j***@example.com
_SHEET_ERROR = re.compile(
    r"#[¡¿]?[^\W\d_]+(?:/\w+)?[!?]|#n/?[a-z]{1,2}"
)  # #REF!, #NOM?, #NV, in any language
_SHEET_CAPITALS = re.compile(r"#[^\W\d_]+(?:[/_ ][^\W\d_]+)*")  # #YOK, #I/T, #GETTING_DATA
_AROUND = "\"'`,;$@:!#_"  # quotes, ends of lists, and the signs of variables
_WRAPPED = re.compile(r"[(<\[{%]+([^()<>\[\]{}%]*)[)>\]}%]+")
# of Liquid, Handlebars, Jinja, shell, Ruby, ERB, Mailchimp and Marketing Cloud
_MERGE_TAG = re.compile(r"\{\{|\{%|\$\{|#\{|<%|\*\||%%[^%]+%%|\[\[|\[%")
_ID_TAG = re.compile(r"\{[!$]|<\?|%\(|&lt;")  # also of Salesforce, PHP and Python; in prose they may stand
_FIELD = re.compile(r"[a-z_][a-z_.| -]*")


def user_id_of(value: object) -> str | None:
    """Return the user id in a value; None for a placeholder, and for one of more than 1,024 characters."""
    if isinstance(value, str) and _SIMPLE.fullmatch(value):
        return None if _is_reserved(value) else whole(value)
    user_id = whole(plain(trimmed(text(value) or "")))
    return user_id if 0 < len(user_id) <= LONGEST and not is_placeholder(user_id) else None


def whole(user_id: str) -> str:
    """Return an id without the decimals of a whole number: pandas writes 42 as 42.0."""
    number = _WHOLE.fullmatch(user_id) if ".0" in user_id else None
    return number[1] if number else user_id


def _is_reserved(words: str) -> bool:
    """Tell whether words are reserved, each of them too: `null null`, `undefined@undefined`."""
    lower = words.lower()
    if lower in _PLACEHOLDERS or words in _AS_WRITTEN or _NO_ID.fullmatch(words):
        return True
    parts = list(filter(None, _BETWEEN.split(lower)))
    return bool(parts) and (_PLACEHOLDERS.issuperset(parts) or " ".join(parts) in _PLACEHOLDERS)


def has_merge_tag(text: str) -> bool:
    """Tell whether a template left a tag in a text that it should have replaced."""
    return _MERGE_TAG.search(text) is not None


def is_not_given(written: str) -> bool:
    """Tell whether a text is what programs write for no value: a reserved word or a merge tag."""
    return written.strip().lower() in AMPLITUDE_RESERVED or _MERGE_TAG.search(written) is not None


def is_placeholder(user_id: str) -> bool:
    """Tell whether an id is what programs write for no person.

    These are reserved and empty words, texts without any letter or digit, unresolved merge tags, and what
    many people share: texts with masked parts, and numbers that a spreadsheet rounded. A number with
    separators is another id than its digits.
    """
    if _WORDS.fullmatch(user_id):
        return _is_reserved(user_id)
    written = trimmed(visible(unicodedata.normalize("NFKC", user_id)))
    bare = written.strip(_AROUND) or written
    if _is_reserved(bare) or not any(map(str.isalnum, bare)):
        return True
    lower = written.lower()
    if has_merge_tag(lower) or _ID_TAG.search(lower):
        return True
    if _MASKED.search(user_id) or _SHEET_ERROR.fullmatch(lower):
        return True
    if written.isupper() and _SHEET_CAPITALS.fullmatch(written):
        return True
    inner = _WRAPPED.fullmatch(bare.lower())  # (none), <null>, {user_id}
    return inner is not None and (
        inner[1].strip() in _PLACEHOLDERS or _FIELD.fullmatch(inner[1].strip()) is not None
    )
