"""What can be asked of, and done to, a connection that libcurl owns and of which we know the descriptor."""

from __future__ import annotations

import os
import socket
import struct
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from hlsdl.errors import DiskError

MOST_READS = 64
"""Of up to 64 KiB, of a connection that is cut off: whoever keeps speaking is not listened to for ever."""

_TOLD = struct.Struct("2xB21xI")
"""Of Linux's `struct tcp_info`: tcpi_retransmits, tcpi_unacked."""


def none_left() -> DiskError:
    """The error where the system gives no more descriptors; said as the bundle says it of its files."""
    return DiskError("too many files are open", hint="use fewer connections with `-N`, or raise `ulimit -n`")


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


def times_sent_again(descriptor: int) -> int:
    """How often TCP has sent again what was sent last, without the other system saying that it got it.

    0 when it has said so (which is no word of who reads there), and where the system does not tell: it is Linux that
    does.
    """
    if sys.platform != "linux":
        return 0
    try:
        with borrowed(descriptor) as line:
            told = line.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _TOLD.size)
    except OSError:
        return 0
    again, unacknowledged = _TOLD.unpack(told)
    return int(again) if unacknowledged else 0


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
