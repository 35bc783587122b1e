"""Search texts with regular expressions in time that grows with the text alone.

The engine is Rust's `regex`, which pydantic-core contains. It never goes back, so that no respondent's text
makes a careless expression slow; for that it knows no look-around and no references.
"""

from __future__ import annotations

from functools import cache

from pydantic_core import SchemaError, SchemaValidator, core_schema


def is_found(pattern: str, text: str) -> bool:
    """Tell whether a regular expression is found in a text, whatever the case. Raises `ValueError`."""
    return _compiled(pattern).isinstance_python(text)


@cache
def _compiled(pattern: str) -> SchemaValidator:
    try:
        return SchemaValidator(core_schema.str_schema(pattern=f"(?i){pattern}", regex_engine="rust-regex"))
    except SchemaError as error:
        raise ValueError(str(error).rpartition("\n")[2].rpartition("rror: ")[2].rstrip(".")) from None
