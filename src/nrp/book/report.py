"""Numbers on the page: tables and glued values, all of them rows of a result in the store."""

from __future__ import annotations

import math

import pandas as pd
from myst_nb import glue

from nrp.evaluation import Result

_SUPERSCRIPT = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
_ROUNDING = 1e-12
"""What is smaller is what is left of a 0 computed in double precision."""
_NARROW = 3
"""So many columns with intervals fit on one line each."""
_KEY = ("metric", "case", "arm", "split", "anisotropy")


def number(value: float | None) -> str:
    """Return a number as it is printed: three significant digits, a dash for none."""
    if value is None or math.isnan(value):
        return "–"
    value = 0.0 if abs(value) < _ROUNDING else float(f"{value:.2e}")
    if value != 0 and not 1e-3 <= abs(value) < 1e5:
        mantissa, exponent = f"{value:.2e}".split("e")
        return f"{mantissa} × 10{str(int(exponent)).translate(_SUPERSCRIPT)}"
    digits = max(0, 2 - math.floor(math.log10(abs(value)))) if value else 0
    return f"{value:.{digits}f}"


def glue_rows(result: Result, *metrics: str, prefix: str = "", arm: str | None = None) -> None:
    """Make the numbers of a result citable in the text: ``{glue:text}`metric.case.arm.split.α```.

    Columns that are null are left out of the name, and a lead time of more than one frame comes last.  Where
    there is an interval, the same name with ``.interval`` stands for the value with it.

    Parameters
    ----------
    metrics
        Only these; by default all, which in a long table makes a heavy page.
    prefix
        Put before each name.
    arm
        Only the rows of this arm, where several results hold the same rows of others.
    """
    table = result.table if arm is None else result.select(arm=arm)
    if metrics:
        table = table[table["metric"].isin(metrics)]
    for entry in table.to_dict(orient="records"):
        name = ".".join(str(entry[part]) for part in _KEY if entry[part] is not None)
        if (entry["lead_time"] or 1) > 1:
            name += f".{entry['lead_time']:g}"
        glue(prefix + name, number(entry["value"]), display=False)
        if entry["low"] is not None:
            glue(f"{prefix}{name}.interval", _with_interval(entry), display=False)


def only(result: Result, metric: str) -> tuple[str, str]:
    """Return value and anisotropy of the one row with a metric, as they are printed."""
    entry = result.select(metric=metric).iloc[0]
    return number(entry["value"]), f"{entry['anisotropy']:g}"


def glue_words(**words: str) -> None:
    """Make words citable that depend on the numbers, such as a verdict."""
    for name, word in words.items():
        glue(name, word, display=False)


def _with_interval(entry: dict, between: str = " ") -> str:
    if entry["low"] is None:
        return number(entry["value"])
    return f"{number(entry['value'])}{between}[{number(entry['low'])}, {number(entry['high'])}]"


def table(rows: pd.DataFrame, *, index: str, columns: str, caption: str):
    """Return a table of values: one line per value of `index`, one column per value of `columns`.

    Where the rows carry an interval it stands behind the value, in a wide table below it.
    """
    between = " " if rows[columns].nunique() <= _NARROW else "\n"
    text = [_with_interval(entry, between) for entry in rows.to_dict("records")]
    names = rows.fillna({index: "all", columns: "all"})
    wide = names.assign(text=text).pivot(index=index, columns=columns, values="text")
    order = [list(dict.fromkeys(names[axis])) for axis in (index, columns)]
    wide = wide.reindex(index=order[0], columns=order[1]).fillna("–")
    words = {name: str(name).replace("_", " ") for name in (*order[0], *order[1])}
    wide = wide.rename(index=words, columns=words).rename_axis(index=None, columns=None)
    return wide.style.set_caption(caption).set_table_attributes('class="dataframe"')
