"""A distant network on loopback: 25 ms each way and 200 Mbit/s towards the client, shared by all connections.

A process of its own between client and server (`link.py LISTEN ORIGIN LOG [LIMIT]`), since netem is not
in every kernel. What it imitates of TCP: a new connection costs one round trip before its first request, and sends 10
packets in the first round trip, then twice as much in each (slow start). Connections take turns of 10 packets, as
behind a fair queue; nothing is lost. With LIMIT, a connection beyond so many open ones is answered 429 and closed.

LOG gets a line of JSON every 50 ms in which something changed: time, open connections, bytes delivered, refusals.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from pathlib import Path
from typing import TextIO

DELAY = 0.025
RATE = 200e6 / 8
"""Bytes per second."""
TURN = 14_600
"""Bytes: ten packets, what one connection may send before another gets its turn; also the first window."""
LARGEST_WINDOW = 4 << 20
BURST = 0.005
"""Seconds that the link may make up for when a timer fires late."""
SAMPLE = 0.05
REFUSAL = b"HTTP/1.1 429 Too Many Requests\r\nRetry-After: 1\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


class Bucket:
    """The link's capacity: a token bucket whose waiters are served in the order they came."""

    def __init__(self, rate: float = RATE) -> None:
        self._rate = rate
        self._free_at = 0.0

    async def pass_through(self, size: int) -> None:
        """Wait until `size` bytes have passed."""
        now = time.monotonic()
        self._free_at = max(self._free_at, now - BURST) + size / self._rate
        if self._free_at > now:
            await asyncio.sleep(self._free_at - now)


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

    def __init__(self, origin: int, log: Log, limit: int | None) -> None:
        self._origin, self._log, self._limit = origin, log, limit
        self._bucket = Bucket()

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


def _write(writer: asyncio.StreamWriter, data: bytes) -> None:
    if not writer.is_closing():
        writer.write(data)


async def run(listen: int, origin: int, log_file: Path, limit: int | None) -> None:
    """Be the link until the process is ended."""
    with log_file.open("a") as file:
        log = Log(file)
        server = await asyncio.start_server(Link(origin, log, limit).take, "127.0.0.1", listen, backlog=4096)
        async with server:
            await log.keep()


if __name__ == "__main__":
    asyncio.run(run(int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3]), int(sys.argv[4]) if sys.argv[4:] else None))
