"""Bodies of requests as strict models: unknown fields and other types are refused."""

from __future__ import annotations

from typing import Annotated, Self, TypeVar

from pydantic import BaseModel, PlainSerializer, ValidationError

T = TypeVar("T", bound=str)
Texts = Annotated[frozenset[T], PlainSerializer(sorted, when_used="json")]


class Strict(BaseModel, extra="forbid", strict=True):
    """A body that is read strictly."""

    def updated(self, given: Self) -> Self:
        """Return this with the fields that `given` sets."""
        return self.model_copy(update={name: getattr(given, name) for name in given.model_fields_set})


def mistake(error: ValidationError) -> str:
    """Return the first mistake of a body in one line."""
    first = error.errors()[0]
    return f"{'.'.join(map(str, first['loc'])) or 'The body'}: {first['msg']}."
