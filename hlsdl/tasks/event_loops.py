"""The event loop that a session lives on: which one is running, and waiting on it for an end that must come."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from hlsdl.errors import UsageError

T = TypeVar("T")


def running_loop() -> asyncio.AbstractEventLoop | None:
    """That of this thread, or None."""
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


def must_be_running(loop: asyncio.AbstractEventLoop | None) -> None:
    """UsageError when a session that lives on `loop` is asked on another one; None: it lives on none yet."""
    if loop is not None and loop is not running_loop():
        hint = "one session for each event loop; from another thread, use the session of `hlsdl.sync`"
        raise UsageError("the session belongs to another event loop", hint=hint)


def begun_later(work: Coroutine[Any, Any, T], name: str) -> asyncio.Task[T]:
    """A task that has not begun when this returns, on loops that begin theirs at once, too (eager_task_factory)."""
    return asyncio.Task(work, loop=asyncio.get_running_loop(), name=name)


async def to_its_end(work: asyncio.Task[None]) -> None:
    """Wait for `work` however often that is cancelled, as a scope of anyio does it; CancelledError after it, then."""
    is_cancelled = False
    while not work.done():
        try:
            await asyncio.shield(work)
        except asyncio.CancelledError:
            is_cancelled = True
    if is_cancelled:
        raise asyncio.CancelledError
    work.result()
