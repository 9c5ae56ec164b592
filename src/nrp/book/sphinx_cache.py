"""A Sphinx extension with two cures.

Pages that Sphinx executes itself are executed again when the package changes: the cache of
``jupyter-book build`` knows the code cells only, so each state of ``src`` gets a cache of its own.
And the text before a colon in the docstring of an attribute is not taken for its type.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from nrp.book.chapters import source_digest

if TYPE_CHECKING:
    from sphinx.application import Sphinx
    from sphinx.config import Config


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the extension."""
    app.setup_extension("sphinx.ext.autodoc")
    app.connect("config-inited", _choose_cache)
    app.connect("autodoc-process-docstring", _keep_colon, priority=400)  # before napoleon
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def _choose_cache(app: Sphinx, config: Config) -> None:
    config.nb_execution_cache_path = str(Path(app.outdir).parent / ".jupyter_cache" / source_digest())


def _keep_colon(app: Sphinx, what: str, name: str, obj: object, options: object, lines: list[str]) -> None:
    head, colon, rest = lines[0].partition(": ") if lines else ("", "", "")
    if what in ("attribute", "data") and colon:
        lines[:1] = [head + ":", rest]
