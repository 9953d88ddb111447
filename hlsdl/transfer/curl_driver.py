"""Drives libcurl from one event loop: which sockets wait for what, when time is up, who has finished.

One `Driver` is one libcurl multi handle with its connections. On Linux its sockets wait in an epoll of their own, which
the event loop watches as one descriptor. A socket stays there while its connection is idle, so that whatever arrives
between two requests is seen: an idle connection has nothing to say, and one that speaks is cut off before a request
could take its words for an answer. What a transfer is about, `curl_transfer` knows.
"""

from __future__ import annotations

import asyncio
import select
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any, Protocol

import pycurl

from hlsdl.transfer.descriptors import cut_off, name_of

Finished = Callable[[int, str], None]
"""Told once: libcurl's result code (0: none) and its message."""

AT_ONCE = 64
"""Events taken in one look."""

_UNKNOWN = object()
_NOT_TAKEN = -1
"""A result code of our own: libcurl did not even begin."""
_NEVER = float("inf")
_IN: int = pycurl.POLL_IN
_READABLE: int = pycurl.CSELECT_IN
_NO_INTEREST = frozenset({pycurl.POLL_REMOVE, pycurl.POLL_NONE})


class Interest(Protocol):
    """Which sockets wait for what."""

    def want(self, descriptor: int, mask: int) -> None:
        """A transfer waits on this socket for `mask` (POLL_IN, POLL_OUT, both)."""
        ...

    def rest(self, descriptor: int) -> None:
        """No transfer waits on this socket any more: it is idle, or about to be closed."""
        ...

    def forget(self, descriptor: int) -> None:
        """The number of this descriptor was given to a new socket."""
        ...

    def events(self) -> Iterator[tuple[int, int]]:
        """What happened: (descriptor, CSELECT mask); mask 0: a resting socket spoke, and is not watched any more."""
        ...

    def close(self) -> None:
        """Watch nothing any more."""
        ...


class EpollInterest:
    """Linux: an epoll of our own, one descriptor to the event loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop, wake: Callable[[], None]) -> None:
        self._loop = loop
        self._epoll = select.epoll()
        self._masks: dict[int, int] = {}
        """What each socket is registered for, in libcurl's terms; idle ones stay registered."""
        self._busy: set[int] = set()
        loop.add_reader(self._epoll.fileno(), wake)

    def want(self, descriptor: int, mask: int) -> None:
        """Register or change; nothing is to be done for a connection that is used again."""
        self._busy.add(descriptor)
        known = self._masks.get(descriptor)
        if known == mask:
            return
        self._masks[descriptor] = mask
        wanted = (select.EPOLLIN if mask & pycurl.POLL_IN else 0) | (select.EPOLLOUT if mask & pycurl.POLL_OUT else 0)
        if known is None:
            self._epoll.register(descriptor, wanted)
        else:
            self._epoll.modify(descriptor, wanted)

    def rest(self, descriptor: int) -> None:
        """Leave it registered for input: should it speak now, that is no answer to anything."""
        self._busy.discard(descriptor)
        if self._masks.get(descriptor, _IN) != _IN:
            self._masks[descriptor] = _IN
            self._epoll.modify(descriptor, select.EPOLLIN)

    def forget(self, descriptor: int) -> None:
        """The old socket of this number is closed, and the kernel has dropped it from the epoll."""
        self._busy.discard(descriptor)
        if self._masks.pop(descriptor, None) is not None:
            with suppress(OSError):
                self._epoll.unregister(descriptor)

    def events(self) -> Iterator[tuple[int, int]]:
        """Look once, without waiting."""
        for descriptor, events in self._epoll.poll(0, AT_ONCE):
            if descriptor in self._busy:
                yield descriptor, _READABLE if events == select.EPOLLIN else _cselect(events, select.EPOLLOUT)
            else:
                self.forget(descriptor)
                yield descriptor, 0

    def close(self) -> None:
        """Let go of the epoll."""
        if not self._epoll.closed:
            self._loop.remove_reader(self._epoll.fileno())
            self._epoll.close()


class LoopInterest:
    """Anywhere else with a selector loop: each busy socket is the event loop's, idle ones are looked at on demand."""

    def __init__(self, loop: asyncio.AbstractEventLoop, wake: Callable[[], None]) -> None:
        self._loop, self._wake = loop, wake
        self._masks: dict[int, int] = {}
        self._idle = select.poll()
        self._idling: dict[int, Any] = {}
        """Each with the name it had when it became idle: libcurl does not say when it closes one."""
        self._ready: list[tuple[int, int]] = []

    def want(self, descriptor: int, mask: int) -> None:
        """Register what changed."""
        self.forget_idle(descriptor)
        changed = mask ^ self._masks.get(descriptor, 0)
        if changed & pycurl.POLL_IN:
            if mask & pycurl.POLL_IN:
                self._loop.add_reader(descriptor, self._happened, descriptor, pycurl.CSELECT_IN)
            else:
                self._loop.remove_reader(descriptor)
        if changed & pycurl.POLL_OUT:
            if mask & pycurl.POLL_OUT:
                self._loop.add_writer(descriptor, self._happened, descriptor, pycurl.CSELECT_OUT)
            else:
                self._loop.remove_writer(descriptor)
        self._masks[descriptor] = mask

    def rest(self, descriptor: int) -> None:
        """Unregister, and remember that it is idle."""
        self._unwatch(descriptor)
        self._idle.register(descriptor, select.POLLIN)
        self._idling[descriptor] = name_of(descriptor)

    def forget(self, descriptor: int) -> None:
        """Nothing known of this number is true any more."""
        self._unwatch(descriptor)
        self.forget_idle(descriptor)

    def forget_idle(self, descriptor: int) -> None:
        """It is not idle any more."""
        if self._idling.pop(descriptor, _UNKNOWN) is not _UNKNOWN:
            self._idle.unregister(descriptor)

    def events(self) -> Iterator[tuple[int, int]]:
        """What the event loop said, after a look at the idle ones."""
        for descriptor, events in self._idle.poll(0) if self._idling else ():
            name = self._idling[descriptor]
            self.forget_idle(descriptor)
            # Its number may long be that of somebody else's file or socket.
            if not events & select.POLLNVAL and name is not None and name == name_of(descriptor):
                yield descriptor, 0
        ready, self._ready = self._ready, []
        yield from ready

    def close(self) -> None:
        """Unregister everything."""
        for descriptor in tuple(self._masks):
            self._unwatch(descriptor)

    def _happened(self, descriptor: int, mask: int) -> None:
        self._ready.append((descriptor, mask))
        self._wake()

    def _unwatch(self, descriptor: int) -> None:
        mask = self._masks.pop(descriptor, 0)
        if mask & pycurl.POLL_IN:
            self._loop.remove_reader(descriptor)
        if mask & pycurl.POLL_OUT:
            self._loop.remove_writer(descriptor)


def _cselect(events: int, writable: int) -> int:
    mask = 0
    if events & ~writable:
        mask |= pycurl.CSELECT_IN
    if events & writable:
        mask |= pycurl.CSELECT_OUT
    return mask


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
        self._interest: Interest = kind(self._loop, self._look)
        self._multi = pycurl.CurlMulti()
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
