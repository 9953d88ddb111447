"""Which of libcurl's sockets wait for what: in an epoll of our own on Linux, elsewhere on the event loop.

An idle socket stays watched, so that what arrives between two requests is seen; what that means, `curl_driver` says.
"""

from __future__ import annotations

import asyncio
import select
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any, Protocol

import pycurl

from hlsdl.transfer.descriptors import name_of

AT_ONCE = 64
"""Events taken in one look."""

_UNKNOWN = object()
_IN: int = pycurl.POLL_IN
_READABLE: int = pycurl.CSELECT_IN


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

    def resting(self) -> list[int]:
        """The sockets that are idle now, and still open."""
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

    def resting(self) -> list[int]:
        """Whose numbers the kernel still knows here: those of what was closed may be anybody's by now."""
        return [one for one in self._masks if one not in self._busy and self._is_known(one)]

    def _is_known(self, descriptor: int) -> bool:
        try:
            self._epoll.modify(descriptor, select.EPOLLIN)
        except OSError:
            return False
        return True

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

    def resting(self) -> list[int]:
        """Those that have the name with which they became idle."""
        return [one for one, name in self._idling.items() if name is not None and name == name_of(one)]

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
