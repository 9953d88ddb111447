"""Delivery: the serial queue between a session and its delegate, and what a delegate is asked and answers.

A method of the delegate may be missing, plain or async; the next call waits until it returns. What it raises is logged,
and harms no download.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from hlsdl.errors import UsageError
from hlsdl.tasks.event_loops import begun_later

logger = logging.getLogger(__name__)

_SILENT = "hlsdl.tasks.delegate"
"""The module whose methods do nothing: a subclass of its protocol hears only what it overrides."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthenticationChallenge:
    """An origin that wants to know who asks (URLAuthenticationChallenge)."""

    host: str
    http_status: int
    """401."""
    scheme: str | None = None
    """`basic`, `bearer` …, lower case, of the first WWW-Authenticate; None without one."""
    realm: str | None = None
    previous_failure_count: int = 0
    """How often an answer to this challenge was refused (previousFailureCount)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Credential:
    """An answer to a challenge (URLCredential): user and password, or a bearer token. `repr` shows neither."""

    user: str | None = field(default=None, repr=False)
    password: str | None = field(default=None, repr=False)
    token: str | None = field(default=None, repr=False)


class Delivery:
    """The serial queue between a session and its delegate. Lives on the session's event loop."""

    def __init__(self, delegate: object | None) -> None:
        """`delegate` is the session's; a task's own one (its `delegate`) comes before it."""
        self._delegate = delegate
        self._queue: asyncio.Queue[tuple[str, tuple[Any, ...], asyncio.Future[Any]]] = asyncio.Queue()
        self._worker: asyncio.Task[None] | None = None

    def hears(self, method: str, about: object = None) -> bool:
        """Whether somebody has `method`, and it is more than the empty one of the protocol."""
        return self._listener(method, about) is not None

    def _listener(self, method: str, about: object) -> Callable[..., Any] | None:
        """The method of the task's own delegate, else that of the session's."""
        for delegate in (getattr(about, "delegate", None), self._delegate):
            found: Callable[..., Any] | None = getattr(delegate, method, None)
            if found is not None and getattr(found, "__module__", None) != _SILENT:
                return found
        return None

    def tell(self, method: str, about: object, *arguments: Any) -> asyncio.Future[Any]:
        """Queue one call about a task or the session; the future has what it returned, None where it is missing or
        raised."""
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        if not self.hears(method, about) and self._queue.empty() and self._worker is None:
            answer.set_result(None)
            return answer
        self._queue.put_nowait((method, (about, *arguments), answer))
        if self._worker is None:
            self._worker = begun_later(self._work(), name="hlsdl delegate")
        return answer

    @property
    def is_delivering_here(self) -> bool:
        """Whether this very code is being run by a delegate's method."""
        return self._worker is not None and asyncio.current_task() is self._worker

    def must_not_be_waited_for_here(self) -> None:
        """UsageError in a delegate's method: what it would wait for comes after it returns."""
        if self.is_delivering_here:
            raise UsageError("a delegate's method cannot wait for its own session", hint="start a task for it instead")

    def let_go(self) -> None:
        """Forget what was queued on an event loop that is closed."""
        self._queue, self._worker = asyncio.Queue(), None

    async def drain(self) -> None:
        """Until everything that was queued has been told."""
        quiet = 0
        while quiet < 2:  # whoever hears of an answer that was just given may have more to tell
            quiet += 1
            if self._worker is not None:
                quiet = 0
                await asyncio.wait([self._worker])
            await asyncio.sleep(0)

    async def _work(self) -> None:
        try:
            while not self._queue.empty():
                await self._call(*self._queue.get_nowait())
        finally:
            self._worker = None

    async def _call(self, method: str, arguments: tuple[Any, ...], answer: asyncio.Future[Any]) -> None:
        result = None
        try:
            listener = self._listener(method, arguments[0])
            if listener is not None:
                result = listener(*arguments)
                if inspect.isawaitable(result):
                    result = await result
        except (Exception, asyncio.CancelledError):  # whatever an app's own code raises must not reach the download
            if _is_being_cancelled():
                raise
            logger.exception("the delegate's `%s` failed; the download goes on", method)
            result = None
        finally:
            if not answer.done():
                answer.set_result(result)


def _is_being_cancelled() -> bool:
    """Whether the queue itself is to stop, and not merely something that the app's code waited for."""
    worker = asyncio.current_task()
    return worker is not None and worker.cancelling() > 0
