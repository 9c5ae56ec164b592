"""Neural reduced potentials: simulate, reduce and test large gradient systems.

The package behind the book.  Its parts depend on each other in one direction only:
``book`` → ``analysis`` → ``reduction`` → ``simulation`` → ``systems``, all of them standing on
``settings`` and ``store``.
"""

from importlib.metadata import version

__version__ = version("neural-reduced-potential")
