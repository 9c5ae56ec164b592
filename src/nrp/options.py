"""Options of a command line from settings: their names, types and docstrings."""

from __future__ import annotations

import argparse
import re
from collections.abc import Collection, Mapping
from pathlib import Path
from types import NoneType
from typing import Any, Literal, NoReturn, get_args, get_origin

from nrp.base import Settings

_NUMBER = re.compile(r"-(\d+\.?\d*|\.\d+)(e[-+]?\d+)?$|-(inf|nan)$", re.IGNORECASE)


class Parser(argparse.ArgumentParser):
    """An argument parser that says what is wrong in one line, and takes no option by its beginning."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(allow_abbrev=False, **settings)
        self._negative_number_matcher = _NUMBER  # argparse itself takes -1e-1 for an option

    def error(self, message: str) -> NoReturn:
        """End with one line and status 2."""
        self.exit(2, f"{self.prog}: {' '.join(message.split())}\n")


def add_settings(
    parser: Parser,
    settings: type[Settings],
    *,
    short: Mapping[str, str],
    without: Collection[str],
    files: Mapping[str, str],
) -> None:
    """Add an option for each field of some settings, None if it is not given, under the name of the field.

    `short` has the names of options that are not those of their fields, `without` the fields that get no
    option, and `files` those that are read from a file, with what the file holds.
    """
    for name, field in settings.model_fields.items():
        if name in without:
            continue
        text = re.sub(r"[`*]", "", " ".join((field.description or "").split()))
        how: dict[str, Any] = {"type": _scalar(field.annotation)}
        if name in files:
            how, text = {"type": Path}, f"{files[name]} {text}"
        elif how["type"] is bool:
            how = {"action": argparse.BooleanOptionalAction}
        elif get_origin(field.annotation) is Literal:
            text = f"{text} One of {', '.join(get_args(field.annotation))}."
        elif get_origin(field.annotation) is tuple:
            several = Ellipsis in get_args(field.annotation)
            how |= {"action": "append"} if several else {"nargs": "+"}
            text = f"{text} May be repeated." if several else text
        if "type" in how:
            how["metavar"] = short.get(name, name).upper()
        option = f"--{short.get(name, name).replace('_', '-')}"
        parser.add_argument(option, dest=name, default=None, help=text.replace("%", "%%"), **how)


def given(options: argparse.Namespace, *settings: type[Settings]) -> dict[str, Any]:
    """Return the options that were given, under the names of their settings."""
    names = [name for each in settings for name in each.model_fields]
    return {name: value for name in names if (value := getattr(options, name, None)) is not None}


def _scalar(annotation: Any) -> Any:
    """Return the type of a single value of a setting."""
    if get_origin(annotation) is Literal:
        return str
    parts = [part for part in get_args(annotation) if part is not NoneType]
    return _scalar(parts[0]) if parts else annotation
