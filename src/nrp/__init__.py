"""Neural reduced potentials: simulate, reduce and test large gradient systems.

The package behind the book.  Its parts depend on each other in one direction only:
``book`` → ``pipeline`` → ``analysis`` → ``evaluation`` → ``reduction`` → ``simulation`` → ``systems``, all
of them standing on ``base``, ``store``, ``progress`` and ``parallel``.
"""

import os
from importlib.metadata import version

# Read when torch is loaded.  Its threads spin while they wait for each other, which takes the cores from
# other processes: on a busy machine training then becomes many times slower.  So they spin only briefly.
os.environ.setdefault("GOMP_SPINCOUNT", "2000")

__version__ = version("neural-reduced-potential")
