"""Progress of long work: a bar on a terminal, plain lines elsewhere."""

from __future__ import annotations

import multiprocessing
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache

from tqdm import tqdm

_SECONDS_BETWEEN_LINES = 20.0
_quiet = ContextVar("quiet", default=False)


def progress(items: Iterable, *, total: int, title: str) -> Iterator:
    """Yield the items and tell on standard error how far they are."""
    if not total or _quiet.get():
        yield from items
    elif sys.stderr.isatty():
        yield from tqdm(items, total=total, desc=title)
    else:
        yield from _lines(items, total, title)


@contextmanager
def quiet() -> Iterator[None]:
    """Let `progress` tell nothing; warnings still reach standard error."""
    token = _quiet.set(True)
    try:
        yield
    finally:
        _quiet.reset(token)


def _lines(items: Iterable, total: int, title: str) -> Iterator:
    start = told = time.monotonic()
    for done, item in enumerate(items, 1):
        yield item
        now = time.monotonic()
        if done == total or now - told > _SECONDS_BETWEEN_LINES:
            told = now
            tell(f"{title}: {done}/{total} in {now - start:.0f} s")


def tell(line: str) -> None:
    """Print a line on standard error, at once, so that lines of two threads do not mix."""
    print(f"{line}\n", end="", file=sys.stderr, flush=True)


@cache
def tell_once(line: str) -> None:
    """Print a line the first time only; processes that work for another one leave it to that."""
    if multiprocessing.parent_process() is None:
        tell(line)
