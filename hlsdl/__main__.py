"""`python -m hlsdl`, and the `hlsdl` command: a door before the door, that is there at once.

The command line takes a tenth of a second to load, and then has its own way with signals (`cli.interrupts`). One that
comes before that is kept until there is somebody who can tell of it; a second one ends the process.
"""

from __future__ import annotations

import os
import signal

TYPE_CHECKING = False

if TYPE_CHECKING:
    from types import FrameType
    from typing import NoReturn

INTERRUPTED = 130
"""As `errors.Interrupted` has it, which is not loaded yet."""
SIGNALS = ("SIGINT", "SIGTERM", "SIGHUP")
"""As in `cli.interrupts`; Windows has not all of them."""


def main() -> NoReturn:
    """Load the command line and run it; ends the process."""
    came: list[int] = []

    def caught(number: int, _frame: FrameType | None) -> None:
        if came:
            os._exit(INTERRUPTED)
        came.append(number)

    for number in filter(None, (getattr(signal, name, None) for name in SIGNALS)):
        if signal.getsignal(number) is not signal.SIG_IGN:  # as `nohup` has it, and a shell for its background
            signal.signal(number, caught)
    from hlsdl.cli.app import run

    run(came)


if __name__ == "__main__":
    main()
