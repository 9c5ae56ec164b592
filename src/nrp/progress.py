"""Progress of long work: a bar on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Iterator

from tqdm import tqdm

_SECONDS_BETWEEN_LINES = 20.0


def progress(items: Iterable, *, total: int, title: str) -> Iterator:
    """Yield the items and tell on standard error how far they are."""
    if not total:
        yield from items
    elif sys.stderr.isatty():
        yield from tqdm(items, total=total, desc=title)
    else:
        yield from _lines(items, total, title)


def _lines(items: Iterable, total: int, title: str) -> Iterator:
    start = told = time.monotonic()
    for done, item in enumerate(items, 1):
        yield item
        now = time.monotonic()
        if done == total or now - told > _SECONDS_BETWEEN_LINES:
            told = now
            print(f"{title}: {done}/{total} in {now - start:.0f} s", file=sys.stderr, flush=True)
