"""The exercises: enough of them in each chapter, each with a solution, whose code runs."""

import re
from pathlib import Path

import matplotlib as mpl
import pytest

CHAPTERS = sorted((Path(__file__).parents[1] / "chapters").glob("0*.md"))
LABEL = re.compile(r"^`{3,}\{exercise\}.*?^:label: (\S+)", re.MULTILINE | re.DOTALL)
SOLVED = re.compile(r"^`{3,}\{solution(?:-start)?\} (\S+)$", re.MULTILINE)
SNIPPET = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LONGEST = 15
"""Lines of a snippet."""


def snippets() -> list:
    """Every piece of Python in a solution, by the exercise it belongs to."""
    found = []
    for chapter in CHAPTERS:
        parts = SOLVED.split(chapter.read_text(encoding="utf-8"))
        for label, text in zip(parts[1::2], parts[2::2], strict=True):
            found += [pytest.param(code, id=label) for code in SNIPPET.findall(text)]
    return found


@pytest.mark.parametrize("chapter", CHAPTERS, ids=lambda path: path.stem)
def test_every_exercise_has_a_solution(chapter):
    text = chapter.read_text(encoding="utf-8")
    labels = LABEL.findall(text)
    assert sorted(labels) == sorted(SOLVED.findall(text))
    assert len(labels) >= 5
    for kind in ("By hand", "Ten lines", "Project"):
        assert f"**{kind}.**" in text


@pytest.mark.parametrize("code", snippets())
def test_the_code_of_a_solution_runs(code, book_store, monkeypatch):
    assert len(code.splitlines()) <= LONGEST
    monkeypatch.setenv("NRP_RUNS", str(book_store.root))
    mpl.use("agg")
    exec(compile(code, "<solution>", "exec"), {"__name__": "solution"})
