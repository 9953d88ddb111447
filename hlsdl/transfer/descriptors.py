"""What can be asked of, and done to, a connection that libcurl owns and of which we know the descriptor."""

from __future__ import annotations

import os
import socket
import struct
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

MOST_READS = 64
"""Of up to 64 KiB, of a connection that is cut off: whoever keeps speaking is not listened to for ever."""

_UNACKNOWLEDGED = struct.Struct("24xI")
"""Of Linux's `struct tcp_info`: tcpi_unacked."""


@contextmanager
def borrowed(descriptor: int) -> Iterator[socket.socket]:
    """A socket object for a descriptor of libcurl's, which stays open; OSError when it is no socket any more."""
    duplicate = os.dup(descriptor)
    try:
        line = socket.socket(fileno=duplicate)
    except OSError:
        os.close(duplicate)
        raise
    with line:
        yield line


def name_of(descriptor: int) -> Any:
    """The address of our end, by which a connection is known again; None for what is no socket."""
    try:
        with borrowed(descriptor) as line:
            return line.getsockname()
    except OSError:
        return None


def is_unheard(descriptor: int) -> bool:
    """Whether the other system has not yet said that it got what was sent last: no word of who reads there.

    So it stays where a server's queue of new connections has overflowed, which the client is not told, and where a
    router has forgotten a connection. False where the system does not say (it is Linux that does).
    """
    if sys.platform != "linux":
        return False
    try:
        with borrowed(descriptor) as line:
            told = line.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _UNACKNOWLEDGED.size)
    except OSError:
        return False
    return _UNACKNOWLEDGED.unpack(told) > (0,)


def cut_off(descriptor: int) -> None:
    """End a connection that libcurl shall use no more: it finds it dead and opens another one.

    What came on it is read away first: it would still be there to read after the shutdown. A descriptor that is no
    socket any more is left alone.
    """
    with suppress(OSError), borrowed(descriptor) as line:
        line.setblocking(False)
        with suppress(BlockingIOError):
            for _ in range(MOST_READS):
                if not line.recv(65_536):
                    break
        line.shutdown(socket.SHUT_RDWR)
