"""The check of types and shapes that the tests switch on in the package."""

from typing import Any, Self

from beartype import beartype
from pydantic import ValidationInfo

UNCHECKABLE = (Self, ValidationInfo)
"""What `beartype` cannot check in the functions of a class that it does not decorate itself."""


def checked(function):
    """Return the function, made to check its arguments and what it returns."""
    hints = function.__annotations__
    function.__annotations__ = {name: Any if hint in UNCHECKABLE else hint for name, hint in hints.items()}
    return beartype(function)
