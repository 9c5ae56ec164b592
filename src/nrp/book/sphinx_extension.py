"""A Sphinx extension: what the configuration of Jupyter Book cannot say.

- Pages that Sphinx executes itself are executed again when the package changes.  The cache of
  ``jupyter-book build`` knows the code cells only, so each state of ``src`` gets one of its own.
- Pages of modules that are gone are removed; autosummary only adds pages.
- The text before a colon in the docstring of an attribute is not taken for its type.
- There is one field for searching, in the sidebar, the title stands beside the logo, and there are
  buttons for the repository as soon as its address is known.
- The sidebar unfolds only the branch of its own page.  All modules on every page would make each heavier by
  a third, and the build slower by a minute.
- On one page all nodes are drawn that are drawn on many.  One extension that registers nodes of its own for
  ``singlehtml`` would else hide those that others register for ``html``.
"""

from __future__ import annotations

from pathlib import Path
from pkgutil import walk_packages
from typing import TYPE_CHECKING

import nrp
from nrp.book.chapters import source_digest

if TYPE_CHECKING:
    from sphinx.application import Sphinx
    from sphinx.config import Config


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the extension."""
    app.setup_extension("sphinx.ext.autodoc")
    app.connect("config-inited", _choose_cache_and_buttons)
    app.connect("builder-inited", _forget_modules, priority=400)  # before autosummary
    app.connect("builder-inited", _draw_all_nodes_on_one_page)
    app.connect("autodoc-process-docstring", _keep_colon, priority=400)  # before napoleon
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def _choose_cache_and_buttons(app: Sphinx, config: Config) -> None:
    config.nb_execution_cache_path = str(Path(app.outdir).parent / ".jupyter_cache" / source_digest())
    options = config.html_theme_options
    known = bool(options.get("repository_url"))
    options |= {"use_repository_button": known, "use_issues_button": known}
    options["navbar_persistent"] = []
    options["collapse_navbar"] = True
    options["logo"] = {"text": config.html_title, "alt_text": "Logo: islands of a magnetic film"}


def _draw_all_nodes_on_one_page(app: Sphinx) -> None:
    drawn = app.registry.translation_handlers
    drawn["singlehtml"] = drawn.get("html", {}) | drawn.get("singlehtml", {})


def _forget_modules(app: Sphinx) -> None:
    modules = {"nrp", *(module.name for module in walk_packages(nrp.__path__, "nrp."))}
    pages = list((Path(app.srcdir) / "chapters" / "api").glob("*.rst"))
    if not modules.issuperset(page.stem for page in pages):
        # All of them, for those of packages list their modules; autosummary writes them again.
        for page in pages:
            page.unlink()


def _keep_colon(app: Sphinx, what: str, name: str, obj: object, options: object, lines: list[str]) -> None:
    head, colon, rest = lines[0].partition(": ") if lines else ("", "", "")
    if what in ("attribute", "data") and colon:
        lines[:1] = [head + ":", rest]
