"""What the chapters promise a reader: code beside equations, short cells, few numbers in a paragraph."""

import re
from pathlib import Path
from pydoc import locate

import pytest

CHAPTERS = sorted((Path(__file__).parents[1] / "chapters").glob("0*.md"))
EQUATION = re.compile(r"^:label: (eq-\S+)$", re.MULTILINE)
ROLE = re.compile(r"\{(?:func|class|meth)\}`(nrp\.[\w.]+)`")
NEAR = 1500
"""Characters after an equation within which its code is named."""
CELL = re.compile(
    r"^```\{code-cell\} ipython3\n(?:---\n.*?^---\n|:.*?\n)*(.*?)^```$", re.MULTILINE | re.DOTALL
)
HIDDEN = re.compile(
    r"^```\{code-cell\} ipython3\n:tags: \[remove-(?:cell|input)\]\n(.*?)^```$", re.MULTILINE | re.DOTALL
)
LONG_STRING = re.compile(r'f?"[^"]{60,}"')
"""A caption or the name of a claim, which goes on for as long as it must."""
BLOCK = re.compile(r"\n\s*\n|\n(?=- |\d\. )")
MEASURED = "{glue:text}"


@pytest.fixture(params=CHAPTERS, ids=lambda path: path.stem)
def text(request):
    return request.param.read_text(encoding="utf-8")


def test_equations_lead_to_their_code(text):
    for equation in EQUATION.finditer(text):
        nearby = ROLE.search(text, equation.end(), equation.end() + NEAR)
        assert nearby, equation[1]
        assert locate(nearby[1]), nearby[1]


def test_no_paragraph_holds_more_than_six_measured_numbers(text):
    for paragraph in BLOCK.split(text):
        assert paragraph.startswith("|") or paragraph.count(MEASURED) <= 6, paragraph


def test_cells_are_short(text):
    for cell in CELL.findall(text):
        assert len(cell.strip().splitlines()) <= 15, cell


def test_no_line_of_code_is_cut_by_the_column(text):
    for cell in CELL.findall(HIDDEN.sub("", text)):
        for line in cell.splitlines():
            assert len(line) <= 88 or LONG_STRING.search(line), line


def test_little_code_is_hidden():
    texts = [path.read_text(encoding="utf-8") for path in CHAPTERS[0].parent.glob("*.md")]
    hidden = [cell for text in texts for cell in HIDDEN.findall(text)]
    assert sum(len(cell.strip().splitlines()) for cell in hidden) <= 60
