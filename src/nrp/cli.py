"""The command line: the functions of the book from a shell.

What cannot be allowed ends with one line and exit status 2, what goes wrong on the way with status 1.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import warnings
from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return its exit status."""
    name = "nrp"
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")  # where a terminal knows no Greek
    try:
        # Imported here, for that takes seconds in which someone may press Ctrl-C.
        from nrp.commands import parser

        options = parser().parse_args(arguments)
        name = f"nrp {options.command}"
        return _run(options, name)
    except KeyboardInterrupt:
        print(f"{name}: stopped; the same command goes on from here", file=sys.stderr)
        return 130


def _run(options: argparse.Namespace, name: str) -> int:
    from safetensors import SafetensorError

    from nrp.base import InvalidSetting, reason
    from nrp.parallel import use_scheduler
    from nrp.pipeline.profiles import profile

    def show(message: Warning | str, *_: object, **__: object) -> None:
        print(f"{name}: warning: {' '.join(str(message).split())}", file=sys.stderr)

    try:
        with warnings.catch_warnings():
            warnings.showwarning = show
            chosen = profile(options.profile)
            with use_scheduler(getattr(options, "scheduler", None)):
                options.run(options, chosen)
    except InvalidSetting as error:
        print(f"{name}: {error}", file=sys.stderr)
        return 2
    except BrokenPipeError:
        return 1
    except (ArithmeticError, MemoryError, OSError, RuntimeError, SafetensorError) as error:
        # Of a tree that could not be copied, the first file tells enough.
        first = error.args[0][0][2] if isinstance(error, shutil.Error) else error
        print(f"{name}: {reason(first)}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
