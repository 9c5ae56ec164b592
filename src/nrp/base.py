"""The base class of all settings: frozen, validated, and refused in one line.

A setting is checked where it enters.  What cannot be allowed raises `InvalidSetting`, whose text is one line:
the setting, its value, what is allowed.  Each part of the package keeps its own settings.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self, TypeVar, get_args, get_origin

import pydantic
from numpy import ndarray
from pydantic import BeforeValidator, Field

Positive = Annotated[float, Field(gt=0)]
NonNegative = Annotated[float, Field(ge=0)]
Count = Annotated[int, Field(ge=1)]
Index = Annotated[int, Field(ge=0, lt=2**63)]
Pair = Annotated[
    tuple[Positive, Positive], BeforeValidator(lambda v: v if isinstance(v, tuple | list) else (v, v))
]
Values = TypeVar("Values", float, ndarray)
"""A number, or an array of numbers: what a function is given and what it returns are of the same kind."""


def as_tuple(value: Any) -> Any:
    """Return a single value as a tuple of one, and a sequence as it is."""
    return value if isinstance(value, tuple | list | set) else (value,)


class InvalidSetting(ValueError):
    """A setting that is not allowed; the message is one line."""


def reason(error: Exception) -> str:
    """Return what an error from elsewhere says, in one line."""
    return " ".join(str(error).split())[:300] or type(error).__name__


class Settings(pydantic.BaseModel):
    """Base of all settings: immutable, strict about names, finite numbers only."""

    model_config = pydantic.ConfigDict(
        frozen=True, extra="forbid", allow_inf_nan=False, use_attribute_docstrings=True
    )

    @classmethod
    def parse(cls, values: dict[str, Any]) -> Self:
        """Build the settings from plain values.

        Raises
        ------
        InvalidSetting
            With one line that names the first wrong setting, its value and what is allowed.
        """
        try:
            return cls.model_validate(values)
        except pydantic.ValidationError as error:
            raise InvalidSetting(_one_line(error)) from None

    def replace(self, **changes: Any) -> Self:
        """Return a validated copy with some settings changed."""
        return type(self).parse(self.model_dump() | changes)

    def differing(self) -> dict[str, Any]:
        """Return the settings that differ from their defaults, as plain values.

        Tags that tell one class of settings from another are always among them.
        """
        return {
            name: _plain(getattr(self, name))
            for name, field in type(self).model_fields.items()
            if _is_tag(field.annotation)
            or getattr(self, name) != field.get_default(call_default_factory=True)
        }


def _is_tag(annotation: Any) -> bool:
    return get_origin(annotation) is Literal and len(get_args(annotation)) == 1


def _plain(value: Any) -> Any:
    if isinstance(value, Settings):
        return value.differing()
    if isinstance(value, tuple | list):
        return [_plain(each) for each in value]
    return {name: _plain(each) for name, each in value.items()} if isinstance(value, dict) else value


def _one_line(error: pydantic.ValidationError) -> str:
    first = error.errors()[0]
    if first["type"] == "value_error":  # raised by a validator of ours, which names the setting itself
        return first["msg"].removeprefix("Value error, ")
    # Positions in a tuple are not names that a user typed.
    name = next((part for part in reversed(first["loc"]) if isinstance(part, str)), "settings")
    if first["type"] == "extra_forbidden":
        return f"{name}: there is no such setting"
    message = first["msg"][0].lower() + first["msg"][1:]
    return f"{name} = {first['input']!r}: {message}".replace("\n", " ")
