"""Neural reduced potentials: simulate, reduce and test large gradient systems.

The package behind the book.  Its parts depend on each other in one direction only:
``book`` → ``analysis`` → ``reduction`` → ``simulation`` → ``systems``, all of them standing on
``settings`` and ``store``.
"""

import os
from importlib.metadata import version

# Read when torch is loaded.  Threads that spin while they wait take the cores from other processes, and
# training on a busy machine becomes many times slower.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

__version__ = version("neural-reduced-potential")
