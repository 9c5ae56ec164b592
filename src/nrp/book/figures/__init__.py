"""The figures of the book.  Each takes results and returns a Matplotlib figure.

Lines differ in style as well as in colour, and images use a colour map that is even in lightness, so nothing
is told by colour alone.
"""

from nrp.book.figures import (
    bead,
    comparison,
    descriptors,
    film,
    forecast,
    landscape,
    model,
    patterns,
    style,
    transition,
)

__all__ = [
    "bead",
    "comparison",
    "descriptors",
    "film",
    "forecast",
    "landscape",
    "model",
    "patterns",
    "style",
    "transition",
]
