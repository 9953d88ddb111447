"""Drives libcurl from one event loop: which sockets wait for what, when time is up, who has finished.

One `Driver` is one libcurl multi handle with its connections. On Linux its sockets wait in an epoll of their own, which
the event loop watches as one descriptor. A socket stays there while its connection is idle, so that whatever arrives
between two requests is seen: an idle connection has nothing to say, and one that speaks is cut off before a request
could take its words for an answer. What a transfer is about, `curl_transfer` knows.
"""

from __future__ import annotations

import asyncio
import select
from collections.abc import Callable
from typing import Any

import pycurl

from hlsdl.transfer.curl_interest import EpollInterest, Interest, LoopInterest
from hlsdl.transfer.descriptors import cut_off, none_left

Finished = Callable[[int, str], None]
"""Told once: libcurl's result code (0: none) and its message."""


_NOT_TAKEN = -1
"""A result code of our own: libcurl did not even begin."""
_NEVER = float("inf")
_NO_INTEREST = frozenset({pycurl.POLL_REMOVE, pycurl.POLL_NONE})


def _nothing() -> None:
    """Done, and nobody to tell."""


class Driver:
    """Starts and cancels transfers of one event loop. Handles (`pycurl.Curl`) are the caller's.

    Nothing here may be called from inside a libcurl callback, or from another thread.
    """

    def __init__(
        self,
        *,
        idle: int,
        per_host: int,
        multiplex: bool,
        begun: Callable[[], None] = _nothing,
        interest: type[Interest] | None = None,
    ) -> None:
        """Keep at most `idle` connections open and use at most `per_host` for one host.

        `begun` is told when libcurl has begun all that was started, each on a connection of its own or a kept one.
        """
        self._loop, self._begun = asyncio.get_running_loop(), begun
        self._finished: dict[pycurl.Curl, Finished] = {}
        self._starting: dict[pycurl.Curl, Finished] = {}
        """Started, and not yet with libcurl."""
        self._timer: asyncio.TimerHandle | None = None
        self._rings = self._due = _NEVER
        """When the timer rings, and when libcurl wants to be called."""
        self._is_acting_soon = False
        self._is_closed = False
        self._connections: set[int] = set()
        """Descriptors that were connections when they were opened; libcurl has others, for its own purposes."""
        kind: Any = interest or (EpollInterest if hasattr(select, "epoll") else LoopInterest)
        try:
            self._interest: Interest = kind(self._loop, self._look)
        except OSError as error:
            raise none_left() from error
        try:
            self._multi = pycurl.CurlMulti()  # it has descriptors of its own, to be woken by
        except pycurl.error as error:
            self._interest.close()
            raise none_left() from error
        self._multi.setopt(pycurl.M_SOCKETFUNCTION, self._on_socket)
        self._multi.setopt(pycurl.M_MAXCONNECTS, idle)
        self._multi.setopt(pycurl.M_MAX_HOST_CONNECTIONS, per_host)
        self._multi.setopt(pycurl.M_PIPELINING, pycurl.PIPE_MULTIPLEX if multiplex else pycurl.PIPE_NOTHING)

    def start(self, curl: pycurl.Curl, finished: Finished) -> None:
        """Begin a transfer; `finished` is called from the event loop, once, unless it is cancelled."""
        if not self._starting:
            # Together with the others of this round: one look at the sockets and one call of libcurl serve them all.
            self._loop.call_soon(self._begin)
        self._starting[curl] = self._finished[curl] = finished

    def cancel(self, curl: pycurl.Curl) -> None:
        """End a transfer now, its connection with it (HTTP/2: its stream); its handle may be used again at once."""
        if self._finished.pop(curl, None) is None:
            return
        if self._starting.pop(curl, None) is None:
            self._multi.remove_handle(curl)
            self._heed_time()

    def resume(self, curl: pycurl.Curl) -> None:
        """Let a paused transfer go on; its callback may be called before this returns."""
        if curl in self._finished:
            curl.pause(pycurl.PAUSE_CONT)
            self._heed_time()

    def adopted(self, descriptor: int, *, is_stream: bool) -> None:
        """A new socket has this descriptor. May be called from a libcurl callback.

        One of datagrams may speak whenever it likes: QUIC does, and says with each word whose answer it is.
        """
        self._interest.forget(descriptor)
        if is_stream:
            self._connections.add(descriptor)
        else:
            self._connections.discard(descriptor)

    def keep_at_most(self, connections: int) -> None:
        """Cut off what is idle beyond so many open ones."""
        resting = [one for one in self._interest.resting() if one in self._connections]
        for descriptor in resting[: max(0, len(resting) + len(self._finished) - connections)]:
            cut_off(descriptor)

    def close(self) -> None:
        """Cancel everything and close all connections."""
        if self._is_closed:
            return
        self._is_closed = True
        if self._timer is not None:
            self._timer.cancel()
        for curl in tuple(self._finished):
            self.cancel(curl)
        self._multi.close()
        self._interest.close()

    def _look(self) -> None:
        """Take what happened on the sockets to libcurl."""
        if self._is_closed:
            return
        acted = False
        for descriptor, mask in self._interest.events():
            if mask:
                acted = True
                self._multi.socket_action(descriptor, mask)
            else:
                self._spoke(descriptor)
        if acted:
            self._tell()
            self._heed_time()

    def _spoke(self, descriptor: int) -> None:
        """Cut off a connection that spoke without being asked; that of a paused transfer waits to be read."""
        if descriptor not in self._connections:
            return
        if any(curl.getinfo(pycurl.ACTIVESOCKET) == descriptor for curl in self._finished):
            return
        cut_off(descriptor)

    def _begin(self) -> None:
        """Hand over all that was started, after one look."""
        if self._is_closed:
            return
        self._is_acting_soon = True  # below: libcurl need not ask for it
        self._look()  # idle connections that spoke must not get these requests
        starting, self._starting = self._starting, {}
        for curl in starting:
            try:
                self._multi.add_handle(curl)
            except pycurl.error as error:
                self._finished.pop(curl)(_NOT_TAKEN, str(error))
        self._act(self._begun)

    def _act(self, then: Callable[[], None] = _nothing) -> None:
        """Let libcurl do what it was waiting to do."""
        self._is_acting_soon = False
        if not self._is_closed:
            self._multi.socket_action(pycurl.SOCKET_TIMEOUT, 0)
            then()
            self._tell()
            self._heed_time()

    def _tell(self) -> None:
        """Tell those whose transfers have finished."""
        waiting = 1
        while waiting:
            waiting, good, bad = self._multi.info_read()
            for curl in good:
                self._end(curl, 0, "")
            for curl, code, message in bad:
                self._end(curl, code, message)

    def _end(self, curl: pycurl.Curl, code: int, message: str) -> None:
        finished = self._finished.pop(curl, None)
        if finished is not None:
            self._multi.remove_handle(curl)
            finished(code, message)

    def _on_socket(self, what: int, descriptor: int, _multi: Any, _assigned: Any) -> None:
        if self._is_closed:
            return
        if what in _NO_INTEREST:
            self._interest.rest(descriptor)
        else:
            self._interest.want(descriptor, what)

    def _heed_time(self) -> None:
        """Ask when libcurl wants to be called next: once after whatever was done, where its own callback for this would
        come twice for each transfer."""
        if self._is_closed:
            return
        milliseconds = self._multi.timeout()
        if milliseconds == 0:
            self._due = _NEVER
            if not self._is_acting_soon:
                self._is_acting_soon = True
                self._loop.call_soon(self._act)
            return
        self._due = self._loop.time() + milliseconds / 1000 if milliseconds > 0 else _NEVER
        # A timer that rings too early is left alone, since nearly every transfer ends long before its time-outs.
        if self._due < self._rings:
            self._ring_at(self._due)

    def _ring_at(self, due: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer, self._rings = self._loop.call_at(due, self._ring), due

    def _ring(self) -> None:
        """The timer is up; that of libcurl perhaps is not."""
        rang, self._timer, self._rings = self._rings, None, _NEVER
        if self._due <= rang:
            self._due = _NEVER
            self._act()
        elif self._due < _NEVER:
            self._ring_at(self._due)
