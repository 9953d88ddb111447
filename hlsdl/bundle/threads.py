"""Blocking work in a thread, for coroutines that may be cancelled: the thread is always waited for.

Nothing is left behind under whose hands a descriptor is closed, and no lock is held by a writer that nobody has. Each
piece of work has a thread of its own: in the event loop's pool, work of the program around us could stand before ours,
and a cancelled download would have to wait for that as well.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from contextvars import copy_context
from typing import TypeVar

from hlsdl.errors import DiskError

T = TypeVar("T")


def started(work: Callable[[], object], name: str, *, daemon: bool = False) -> threading.Thread:
    """A thread that has begun; DiskError when the system gives none."""
    thread = threading.Thread(target=work, name=name, daemon=daemon)
    try:
        thread.start()
    except RuntimeError as error:
        told = "the system gives this program no more threads"
        raise DiskError(told, hint="end other programs, or raise `ulimit -u`") from error
    return thread


async def in_thread(work: Callable[..., T], *arguments: object) -> T:
    """Run `work` in a thread and return what it returns.

    Cancelled meanwhile, it waits for the end of the work before it raises; what the work returned or raised is then
    nobody's, so work that opens something should put it where the caller finds it.
    """
    loop, context, ended = asyncio.get_running_loop(), copy_context(), asyncio.Event()
    results: list[T] = []
    failures: list[BaseException] = []

    def run() -> None:
        try:
            results.append(context.run(work, *arguments))
        except BaseException as error:  # noqa: BLE001 - it is handed to the caller, whatever it is
            failures.append(error)
        with suppress(RuntimeError):  # the loop is closed: nobody waits any more
            loop.call_soon_threadsafe(ended.set)

    started(run, "hlsdl-work")
    try:
        await ended.wait()
    except asyncio.CancelledError:
        while not ended.is_set():
            with suppress(asyncio.CancelledError):  # once is enough; it is raised below
                await ended.wait()
        raise
    if failures:
        raise failures[0]
    return results[0]
