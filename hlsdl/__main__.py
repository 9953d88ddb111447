"""`python -m hlsdl`, and the `hlsdl` command: a door before the door, that is there at once.

The command line takes a tenth of a second to load, and then has its own way with signals (`cli.interrupts`). Who
presses Ctrl-C before that has begun nothing: the process ends with the code of an interruption, and no traceback.
"""

from __future__ import annotations

import os
import signal
from typing import NoReturn

INTERRUPTED = 130
"""As `errors.Interrupted` has it, which is not loaded yet."""


def main() -> NoReturn:
    """Load the command line and run it; ends the process."""
    signal.signal(signal.SIGINT, lambda *_: os._exit(INTERRUPTED))
    from hlsdl.cli.app import run

    run()


if __name__ == "__main__":
    main()
