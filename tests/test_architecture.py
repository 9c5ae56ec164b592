"""The house: which part may know which, who may name a system, and how long a module may be."""

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "src" / "nrp"
ORDER = ("systems", "simulation", "reduction", "evaluation", "analysis", "pipeline", "book")
"""From below; each part may import those before it, and all of them the ground."""
TOP = ("cli", "commands")
"""Modules that may import everything."""
SYSTEMS = {"film", "swift_hohenberg", "bead", "cahn_hilliard"}
NAMING = (
    "systems/",
    *(f"pipeline/{n}.py" for n in ("profiles", "sizes", "control_campaigns", "landscape_controls")),
)
"""Where systems may be named: where they are, and in the profiles."""
OF_THE_FILM = ("analysis/film/", "pipeline/parameters.py", "book/figures/")
"""What may import the film, or the bead: its own analyses and figures, and the parameters of chapters."""
MODULES = sorted(path.relative_to(PACKAGE).as_posix() for path in PACKAGE.rglob("*.py"))


def tree(module):
    return ast.parse((PACKAGE / module).read_text(encoding="utf-8"))


def imported(module):
    """Yield the names of all modules that a module imports, also those inside of functions."""
    for node in ast.walk(tree(module)):
        if isinstance(node, ast.ImportFrom):
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)


def part_of(name):
    """Return the number of the part of a module of the package, 0 for the ground; None for other packages."""
    first, *rest = name.split(".")
    if first != "nrp":
        return None
    part = rest[0] if rest else ""
    if part in TOP:
        return len(ORDER) + 1
    return ORDER.index(part) + 1 if part in ORDER else 0


@pytest.mark.parametrize("module", MODULES)
def test_no_import_points_upwards(module):
    name = "nrp." + module.removesuffix(".py").replace("/", ".")
    wrong = [other for other in imported(module) if (part_of(other) or 0) > part_of(name)]
    assert wrong == []


@pytest.mark.parametrize("module", MODULES)
def test_only_the_book_knows_pictures_and_notebooks(module):
    libraries = {"matplotlib", "ipywidgets", "papermill", "jupytext", "nbformat", "myst_nb", "sphinx"}
    known = {name.split(".")[0] for name in imported(module)} & libraries
    assert module.startswith("book/") or known == set()


@pytest.mark.parametrize("module", [name for name in MODULES if not name.startswith(NAMING)])
def test_nobody_else_names_a_system(module):
    """No text that is a system's name, no import of one, no question for its class."""
    found, whole = [], tree(module)
    whole.body = [node for node in whole.body if "__all__" not in ast.unparse(node)[:9]]
    for node in ast.walk(whole):
        if isinstance(node, ast.Constant) and node.value in SYSTEMS - {"bead"}:
            found.append((node.lineno, node.value))
        if isinstance(node, ast.ImportFrom) and node.module and not module.startswith(OF_THE_FILM):
            name = node.module.removeprefix("nrp.systems.").partition("_theory")[0]
            found += [(node.lineno, node.module)] if name in SYSTEMS else []
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "isinstance":
            asked = ast.unparse(node.args[1])
            found += [(node.lineno, asked)] if any(f"{name}" in asked for name in CLASSES) else []
    assert found == []


CLASSES = ("Film", "SwiftHohenberg", "Bead", "CahnHilliard")


@pytest.mark.parametrize("module", MODULES)
def test_a_module_fits_the_head(module):
    assert len((PACKAGE / module).read_text(encoding="utf-8").splitlines()) <= 300
