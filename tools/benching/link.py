"""A distant network on loopback: 25 ms each way and 200 Mbit/s towards the client, shared by all connections.

A process of its own between client and server (`link.py LISTEN ORIGIN LOG [LIMIT]`), since netem is not
in every kernel. What it imitates of TCP: a new connection costs one round trip before its first request, and sends 10
packets in the first round trip, then twice as much in each (slow start). Connections take turns of 10 packets, as
behind a fair queue; nothing is lost. With LIMIT, a connection beyond so many open ones is answered 429 and closed.

Datagrams to the same port travel as they are, since QUIC brings its own congestion control: late, at the link's rate,
and dropped when they would wait longer than a tenth of a second for their turn.

LOG gets a line of JSON every 50 ms in which something changed: time, open connections, bytes delivered, refusals.
"""

from __future__ import annotations

import asyncio
import json
import socket
import sys
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TextIO, cast

DELAY = 0.025
RATE = 200e6 / 8
"""Bytes per second."""
TURN = 14_600
"""Bytes: ten packets, what one connection may send before another gets its turn; also the first window."""
LARGEST_WINDOW = 4 << 20
LONGEST_QUEUE = 0.1
"""Seconds that a datagram may wait for its turn."""
SOCKET_BUFFER = 8 << 20
BURST = 0.005
"""Seconds that the link may make up for when a timer fires late."""
SAMPLE = 0.05
REFUSAL = b"HTTP/1.1 429 Too Many Requests\r\nRetry-After: 1\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


class Bucket:
    """The link's capacity: a token bucket whose waiters are served in the order they came."""

    def __init__(self, rate: float = RATE) -> None:
        self._rate = rate
        self._free_at = 0.0

    @property
    def queue(self) -> float:
        """Seconds until the next byte has its turn."""
        return self._free_at - time.monotonic()

    def reserve(self, size: int) -> float:
        """The moment when `size` bytes will have passed."""
        self._free_at = max(self._free_at, time.monotonic() - BURST) + size / self._rate
        return self._free_at

    async def pass_through(self, size: int) -> None:
        """Wait until `size` bytes have passed."""
        left = self.reserve(size) - time.monotonic()
        if left > 0:
            await asyncio.sleep(left)


class Window:
    """How much of one connection may be on its way: it doubles each round trip."""

    def __init__(self) -> None:
        self._size = TURN
        self._under_way = 0
        self._room = asyncio.Event()

    async def take(self, size: int) -> None:
        """Wait until `size` bytes fit, and send them on their way; they have been acknowledged a round trip later."""
        while self._under_way and self._under_way + size > self._size:
            self._room.clear()
            await self._room.wait()
        self._under_way += size
        asyncio.get_running_loop().call_later(2 * DELAY, self._acknowledge, size)

    def _acknowledge(self, size: int) -> None:
        self._under_way -= size
        self._size = min(self._size + size, LARGEST_WINDOW)
        self._room.set()


class Log:
    """What happened when, for the plots."""

    def __init__(self, file: TextIO) -> None:
        self.open = self.delivered = self.refused = 0
        self._file = file
        self._told: tuple[int, int, int] | None = None

    async def keep(self) -> None:
        """Write a line whenever something has changed, for ever."""
        while True:
            state = (self.open, self.delivered, self.refused)
            if state != self._told:
                self._told = state
                line = {"t": time.monotonic(), "open": state[0], "bytes": state[1], "refused": state[2]}
                print(json.dumps(line), file=self._file, flush=True)
            await asyncio.sleep(SAMPLE)


class Link:
    """Takes connections and joins each with one to the origin."""

    def __init__(self, origin: int, log: Log, limit: int | None, bucket: Bucket) -> None:
        self._origin, self._log, self._limit, self._bucket = origin, log, limit, bucket

    async def take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection to its end."""
        if self._limit is not None and self._log.open >= self._limit:
            await self._refuse(reader, writer)
            return
        self._log.open += 1
        upstream: asyncio.StreamWriter | None = None
        try:
            answers, upstream = await asyncio.open_connection("127.0.0.1", self._origin, limit=4 * TURN)
            await asyncio.gather(self._ask(reader, upstream), self._answer(answers, writer))
        except ConnectionError:
            pass  # one side went away: the other is closed below
        finally:
            self._log.open -= 1
            for one in (writer, upstream):
                if one is not None:
                    one.close()

    async def _refuse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._log.refused += 1
        try:
            await reader.readuntil(b"\r\n\r\n")
            await asyncio.sleep(4 * DELAY)  # the handshake, the request and the answer
            writer.write(REFUSAL)
            await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass  # it did not wait for the answer
        writer.close()

    async def _ask(self, reader: asyncio.StreamReader, upstream: asyncio.StreamWriter) -> None:
        """Requests travel one way late, the first of a connection after its handshake too."""
        later, handshake = asyncio.get_running_loop().call_later, time.monotonic() + 2 * DELAY
        while data := await reader.read(TURN):
            later(DELAY + max(0.0, handshake - time.monotonic()), _write, upstream, data)
        later(DELAY, upstream.close)

    async def _answer(self, answers: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answers wait for their connection's window and for their share of the link, then travel."""
        window, later = Window(), asyncio.get_running_loop().call_later
        while data := await answers.read(TURN):
            await window.take(len(data))
            await self._bucket.pass_through(len(data))
            later(DELAY, self._deliver, writer, data)
            await writer.drain()
        arrived = asyncio.Event()
        later(DELAY, arrived.set)
        await arrived.wait()
        writer.close()

    def _deliver(self, writer: asyncio.StreamWriter, data: bytes) -> None:
        self._log.delivered += len(data)
        _write(writer, data)


class Late:
    """Datagrams on their way in one direction, in the order they were sent."""

    def __init__(self) -> None:
        self._waiting: deque[tuple[float, Callable[[bytes], None], bytes]] = deque()
        self._timer: asyncio.TimerHandle | None = None

    def send(self, moment: float, deliver: Callable[[bytes], None], data: bytes) -> None:
        """Deliver `data` at a moment that is not before the last one's."""
        self._waiting.append((moment, deliver, data))
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_at(moment, self._arrive)

    def _arrive(self) -> None:
        self._timer, now = None, time.monotonic()
        while self._waiting and self._waiting[0][0] <= now:
            _, deliver, data = self._waiting.popleft()
            deliver(data)
        if self._waiting:
            self._timer = asyncio.get_running_loop().call_at(self._waiting[0][0], self._arrive)


class Datagrams(asyncio.DatagramProtocol):
    """The near end for datagrams: each client gets a socket of its own towards the origin."""

    def __init__(self, origin: int, log: Log, bucket: Bucket) -> None:
        self._origin, self._log, self._bucket = origin, log, bucket
        self._there, self._back = Late(), Late()
        self._upstream: dict[tuple[str, int], socket.socket] = {}
        self._socket: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the socket, with room for what arrives in a burst."""
        self._socket = cast("asyncio.DatagramTransport", transport)  # asyncio's own is of another class
        _widen(transport.get_extra_info("socket"))

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        """From a client."""
        upstream = self._upstream.get(addr)
        if upstream is None:
            upstream = self._upstream[addr] = socket.socket(type=socket.SOCK_DGRAM)
            upstream.setblocking(False)
            _widen(upstream)
            upstream.connect(("127.0.0.1", self._origin))
            asyncio.get_running_loop().add_reader(upstream, self._answered, upstream, addr)
        self._there.send(time.monotonic() + DELAY, partial(_send, upstream), data)

    def _answered(self, upstream: socket.socket, client: tuple[str, int]) -> None:
        with suppress(BlockingIOError, ConnectionError):
            while data := upstream.recv(65_536):
                if self._bucket.queue <= LONGEST_QUEUE:
                    passed = self._bucket.reserve(len(data))
                    self._back.send(passed + DELAY, partial(self._deliver, client), data)

    def _deliver(self, client: tuple[str, int], data: bytes) -> None:
        self._log.delivered += len(data)
        if self._socket is not None:
            self._socket.sendto(data, client)


def _widen(line: socket.socket) -> None:
    """More than the system gives of itself, where we may: what does not fit is lost, and is not the link's doing."""
    with suppress(OSError):
        line.setsockopt(socket.SOL_SOCKET, getattr(socket, "SO_RCVBUFFORCE", 33), SOCKET_BUFFER)


def _send(line: socket.socket, data: bytes) -> None:
    with suppress(OSError):  # nobody listens there, or its buffer is full: a datagram may be lost
        line.send(data)


def _write(writer: asyncio.StreamWriter, data: bytes) -> None:
    if not writer.is_closing():
        writer.write(data)


async def run(listen: int, origin: int, log_file: Path, limit: int | None) -> None:
    """Be the link until the process is ended."""
    with log_file.open("a") as file:
        log, bucket = Log(file), Bucket()
        server = await asyncio.start_server(Link(origin, log, limit, bucket).take, "127.0.0.1", listen, backlog=4096)
        datagrams = partial(Datagrams, origin, log, bucket)
        await asyncio.get_running_loop().create_datagram_endpoint(datagrams, local_addr=("127.0.0.1", listen))
        async with server:
            await log.keep()


if __name__ == "__main__":
    asyncio.run(run(int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3]), int(sys.argv[4]) if sys.argv[4:] else None))
