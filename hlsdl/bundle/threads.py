"""Blocking work in a thread, for coroutines that may be cancelled: the thread is always waited for.

anyio's `run_sync` waits in anyio's own cancel scopes only. Cancelled as asyncio does it (`Task.cancel()`, a timeout, a
`TaskGroup` that fails) it leaves at once, the thread goes on behind it, and whoever closes the file or the bundle next
does that under its hands: a descriptor may be closed while it is written to, a lock held by a writer that nobody has.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar

from anyio.to_thread import run_sync

T = TypeVar("T")


async def in_thread(work: Callable[..., T], *arguments: object) -> T:
    """Run `work` in a thread and return what it returns.

    Cancelled meanwhile, it waits for the end of the thread before it raises; what the thread returned or raised is then
    nobody's, so work that opens something should put it where the caller finds it.
    """
    running = asyncio.ensure_future(run_sync(work, *arguments))
    try:
        return await asyncio.shield(running)
    except asyncio.CancelledError:
        while not running.done():
            with suppress(asyncio.CancelledError):  # once is enough; it is raised below
                await asyncio.wait([running])
        if not running.cancelled():
            running.exception()  # looked at, so that asyncio does not log it
        raise
