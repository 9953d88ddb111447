"""Ctrl-C, SIGTERM and a closed terminal: the first stops the work and lets it save, the second ends it at once.

What saving means is the engine's business: it sees an ordinary `CancelledError`. Work outside asyncio gets a
`KeyboardInterrupt`, as everywhere in Python. A signal that comes before the work, while the command line is read, waits
for it, since whoever builds classes just then would make something else of it; one that comes after the work, while its
result is told, changes nothing. One that is ignored from the beginning stays so: `nohup` does that on purpose, and a
shell for what it runs in the background.
"""

from __future__ import annotations

import _thread
import os
import signal
import sys
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeVar

from hlsdl.cli.failures import interrupted
from hlsdl.errors import Interrupted

if TYPE_CHECKING:
    import asyncio

T = TypeVar("T")

SIGNALS = (signal.SIGINT, signal.SIGTERM)
HANGUP: signal.Signals | None = getattr(signal, "SIGHUP", None)
"""The terminal was closed; Windows has none."""
AGAIN = 0.01
"""Seconds after which an interrupt that Python swallowed is raised once more; by then its callback is over."""
SHOW_CURSOR = b"\x1b[?25h\n"


def end_at_once() -> None:
    """Leave without saving anything (the bundle's journal makes that safe); bars hide the cursor, so it is shown."""
    if os.isatty(2):
        os.write(2, SHOW_CURSOR)
    os._exit(Interrupted.code)


class Interruption:
    """Catches the signals while it is entered; one for each process."""

    def __init__(self, *, told: Callable[[], None], end: Callable[[], None] = end_at_once) -> None:
        """`told` is called on the event loop when the first signal stops a running task; `end` on the second."""
        self.count = 0
        self._is_working = False
        self._told = told
        self._end = end
        self._loop: asyncio.AbstractEventLoop | None = None
        self._task: asyncio.Task[Any] | None = None
        self._before: dict[int, Any] = {}
        self._hook_before = sys.unraisablehook
        self._again: threading.Timer | None = None
        self._latest: int = signal.SIGINT

    def __enter__(self) -> Self:
        """Install the handlers, and remember those that were there."""
        heard = (number for number in (*SIGNALS, HANGUP) if number is not None)
        caught = [number for number in heard if signal.getsignal(number) is not signal.SIG_IGN]
        self._before = {number: signal.signal(number, self._caught) for number in caught}
        self._hook_before, sys.unraisablehook = sys.unraisablehook, self._swallowed
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Put the earlier handlers back."""
        sys.unraisablehook = self._hook_before
        if self._again is not None:
            self._again.cancel()
        for number, handler in self._before.items():
            signal.signal(number, handler)

    @contextmanager
    def working(self) -> Iterator[None]:
        """The time of the work itself; Interrupted when a signal came before it."""
        self._is_working = True
        try:
            if self.count:
                raise interrupted()
            yield
        finally:
            self._is_working = False

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine to its end.

        Raises:
            Interrupted: a signal cancelled it, and it has saved what it had.
        """
        self._is_working = True
        try:
            import asyncio  # in here: interrupted while it is loaded, `work` is closed all the same

            async def watched() -> T:
                self._loop, self._task = asyncio.get_running_loop(), asyncio.current_task()
                try:
                    return await work
                finally:
                    self._is_working = False

            with asyncio.Runner() as runner:
                try:
                    return runner.run(watched())
                except asyncio.CancelledError:
                    raise Interrupted("interrupted") from None
        finally:
            self._is_working, self._task = False, None
            work.close()

    def _caught(self, number: int, frame: FrameType | None) -> None:
        if number == HANGUP and self.count:
            return  # shell and kernel both say it when a terminal closes; nobody is impatient
        self.count, self._latest = self.count + 1, number
        if self.count > 1:
            self._end()
        elif not self._is_working:
            return  # `working` looks at the count; what has been done needs no interrupting
        elif self._task is None or self._loop is None:
            raise KeyboardInterrupt
        else:
            # The handler runs between two bytecodes of anything, a write to stderr included: act on the loop instead.
            self._loop.call_soon_threadsafe(self._stop, self._task)

    def _swallowed(self, what: sys.UnraisableHookArgs) -> None:
        """The handler ran inside a callback of Python's own, perhaps a finaliser, which lets nothing out."""
        if not isinstance(what.exc_value, KeyboardInterrupt):
            self._hook_before(what)
            return
        self.count -= 1  # the same signal comes once more, from a thread, since here it would be swallowed again
        self._again = threading.Timer(AGAIN, _thread.interrupt_main, (self._latest,))
        self._again.start()

    def _stop(self, task: asyncio.Task[Any]) -> None:
        task.cancel()  # first: whoever is told may be a terminal that is gone
        self._told()
