"""Read the short answers to structured questions, which can be counted."""

from __future__ import annotations

from typing import Any, Final

from connector.text import values

_MOST, _LONGEST, _LONGEST_QUESTION = 50, 80, 200
_CHOSEN: Final = frozenset({"scale", "single_choice", "multiple_choice", "ranking", "yes_no"})
_KEYS: Final = ("structured_value", "structuredValue")


def short_answers(listed: Any) -> tuple[tuple[str, ...], ...] | None:
    """Return each question with its answers: a choice, a number, yes or no, or the items of a list.

    A text counts only under a type of question that has choices: any other may be the respondent's own
    words. Koji writes the keys in snake case or camel case.
    """
    found = []
    for one in listed_answers(listed)[:_MOST]:
        if not isinstance(one, dict):
            continue
        kind = values.text(one.get("question_type", one.get("questionType")))
        names = ("question_text", "questionText", "question_id", "questionId")
        question = next((name for key in names if (name := values.text(one.get(key)))), None)
        value = next((one[key] for key in _KEYS if one.get(key) is not None), None)
        items = value[:_MOST] if isinstance(value, list) else [value]
        answers = [text for item in items if (text := _short(item, is_chosen=kind in _CHOSEN))]
        if question is not None and answers and (kind is None or kind in _CHOSEN):
            found.append((question[:_LONGEST_QUESTION], *answers))
    return tuple(found) or None


def listed_answers(given: Any) -> list[Any]:
    """Return answers as a list; they may be JSON text, or an object of values by question."""
    if isinstance(given, str):
        given = values.json_of(given)
    if isinstance(given, dict):
        return [{"question_id": name, "structured_value": value} for name, value in given.items()]
    return given if isinstance(given, list) else []


def _short(item: Any, *, is_chosen: bool) -> str | None:
    if isinstance(item, bool):
        return "yes" if item else "no"
    if isinstance(item, str) and not is_chosen:
        return None
    text = values.label(item)
    return text if text is not None and len(text) <= _LONGEST else None
