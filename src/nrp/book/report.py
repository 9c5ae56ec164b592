"""Numbers on the page: tables and glued values, all of them rows of a result in the store."""

from __future__ import annotations

import base64
import math
from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any

import pandas as pd
from IPython.display import HTML
from myst_nb import glue
from pandas.io.formats.style import Styler

from nrp.evaluation import Result
from nrp.pipeline import Study
from nrp.pipeline.parameters import PARAMETERS
from nrp.pipeline.published import published

_SUPERSCRIPT = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
_ROUNDING = 1e-12
"""What is smaller is what is left of a 0 computed in double precision."""
_NARROW = 3
"""Up to this number of columns an interval fits on the line of its value."""
_KEY = ("metric", "case", "arm", "split", "anisotropy")
_COUNTS = ("tests", "alarms", "epochs", "best_epoch")
"""Metrics that are printed as whole numbers."""
_SHARES = ("detection_rate",)
"""Metrics that are a share of the members, which can be printed as counts, too."""


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


def cite(study: Study, result: str, *names: str, prefix: str = "") -> None:
    """Make numbers of a result citable in the text: ``{glue:text}`metric.case.arm.split.α```.

    Columns that are null are left out of the name, and a lead time of more than one frame comes last.  Where
    there is an interval, the same name with ``.interval`` stands for the value with it; of a share of runs
    the one with ``.count`` stands for words like "none of 30".  Of a published
    benchmark its machine, versions and date can be cited, too, and of ``"parameters"`` the values of
    `nrp.pipeline.parameters.PARAMETERS` in this study.

    The name of a published result has ``published`` before it.  Only those numbers become citable whose names
    are one of `names` or go on after it with a dot; ``*`` stands for anything.  By default all do, which in a
    long table makes a heavy page.  The `prefix` is put before each name.

    Raises
    ------
    KeyError
        If no number has one of the names.
    """
    unused = set(names)
    for name, text in _citable(study, result).items():
        whole = name.removesuffix(".interval").removesuffix(".count")
        meant = [each for each in names if fnmatchcase(whole, each) or fnmatchcase(whole, f"{each}.*")]
        unused.difference_update(meant)
        if meant or not names:
            glue(prefix + name, text, display=False)
    if unused:
        raise KeyError(f"{result}: no number is named {', '.join(sorted(unused))}")


def _citable(study: Study, result: str) -> dict[str, str]:
    """Return all that can be cited of a result, by name."""
    if result == "parameters":
        return {name: f"{each.usual(study.profile)}" for name, each in PARAMETERS.items()}
    kind, _, of = result.rpartition(" ")
    texts = {}
    if kind == "published":
        about = published(of)[1]
        texts = {name: about[name] for name in ("machine", "versions", "date") if name in about}
    for entry in (study.published(of) if kind == "published" else study.result(of)).records():
        name = ".".join(str(entry[part]) for part in _KEY if entry[part] is not None)
        if (entry["lead_time"] or 1) > 1:
            name += f".{entry['lead_time']}"
        is_count = entry["metric"] in _COUNTS and entry["value"] is not None
        texts[name] = f"{entry['value']:.0f}" if is_count else number(entry["value"])
        if entry["metric"] in _SHARES and entry["members"]:
            texts[f"{name}.count"] = _count(entry["value"], round(entry["members"]))
        if entry["low"] is not None:
            texts[f"{name}.interval"] = _with_interval(entry)
    return texts


def _count(share: float, of: int) -> str:
    found = round(share * of)
    return f"none of {of}" if not found else f"all {of}" if found == of else f"{found} of {of}"


def download(results: Mapping[str, Result], name: str) -> HTML:
    """Return a link that saves the rows of some results, by their names, as a file of comma-separated values.

    The file lies in the page.
    """
    rows = pd.concat([result.table.assign(result=of) for of, result in results.items()])
    data = base64.b64encode(
        rows.drop(columns="key").dropna(axis=1, how="all").to_csv(index=False).encode()
    ).decode()
    address = f'download="{name}" href="data:text/csv;base64,{data}"'
    return HTML(f'<a class="nrp-alive" {address}>{name}: {len(rows)} rows</a>')


def rows(result: Result | Sequence[Result], *metrics: str, **where: object) -> pd.DataFrame:
    """Return the rows of some metrics, whose columns have a value, or one of several (a tuple or list).

    Of several results a row that is in more than one is taken from the first.

    Raises
    ------
    KeyError
        If there is none.
    """
    results = [result] if isinstance(result, Result) else result
    found = pd.concat([each.select(metric=metric) for metric in metrics for each in results])
    found = found.drop_duplicates([*_KEY, "system", "lead_time"]) if len(results) > 1 else found
    for column, value in where.items():
        several = value if isinstance(value, tuple | list) else (value,)
        is_null = found[column].isna() if None in several else False
        found = found[found[column].isin([each for each in several if each is not None]) | is_null]
    if found.empty:
        raise KeyError(f"no row with {where}")
    return found


def columns_of(result: Result, columns: Mapping[str, dict[str, Any]], **where: Any) -> pd.DataFrame:
    """Return rows of a result for a table whose columns are chosen one by one.

    By the name that a column of the table has, `columns` holds its ``metric``, and further values, or one of
    several, that its rows have; `where` is what all rows have.  The name is in the column ``column`` of them.

    Raises
    ------
    KeyError
        If there is no row for one of them.
    """

    def column(metric: str, **of: object) -> pd.DataFrame:
        return rows(result, metric, **of)

    return pd.concat([column(**where | of).assign(column=name) for name, of in columns.items()])


def _with_interval(entry: dict, between: str = " ") -> str:
    if pd.isna(entry["low"]):
        return number(entry["value"])
    return f"{number(entry['value'])}{between}[{number(entry['low'])}, {number(entry['high'])}]"


def table(rows: pd.DataFrame, *, index: str, columns: str, caption: str, intervals: bool = True) -> Styler:
    """Return a table of values: one line per value of `index`, one column per value of `columns`.

    Where the rows carry an interval it stands behind the value, in a wide table below it, if `intervals` are
    wanted.

    Raises
    ------
    ValueError
        If two rows would stand in one place.
    """
    between = " " if rows[columns].nunique() <= _NARROW else "\n"
    text = [
        _with_interval(entry, between) if intervals else number(entry["value"])
        for entry in rows.to_dict("records")
    ]
    names = {axis: rows[axis].map(_word) for axis in (index, columns)}
    wide = rows.assign(text=text, **names).pivot(index=index, columns=columns, values="text")
    order = [list(dict.fromkeys(names[axis])) for axis in (index, columns)]
    wide = wide.reindex(index=order[0], columns=order[1]).fillna("–").rename_axis(index=None, columns=None)
    return wide.style.set_caption(caption).set_table_attributes('class="dataframe"')


def _word(name: object) -> str:
    if pd.isna(name):
        return "all"
    return f"{name:g}" if isinstance(name, float) else str(name).replace("_", " ")
