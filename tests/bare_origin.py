"""An HLS origin without a line of `hlsdl.testing`: asyncio, requests read by hand, and faults that hold the connection.

A misunderstanding that the product shares with its own scripted origin would show here.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from email.utils import formatdate
from pathlib import Path

from commands import Done, command, environment
from faults import TRUTH, playlist


@dataclass
class Asked:
    """One request, as it came."""

    target: str
    headers: dict[str, str]
    port: int

    def span(self, size: int) -> tuple[int, int] | None:
        """The single range asked for, end exclusive."""
        found = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("range", ""))
        return (int(found[1]), min(size, int(found[2]) + 1) if found[2] else size) if found else None


Fault = Callable[["Bare", Asked, asyncio.StreamWriter], Awaitable[bool | None]]
"""Writes an answer of its own and returns None; True: the request is to be answered normally."""


def head(status: str, *fields: str) -> bytes:
    """The head of a response."""
    return "\r\n".join([f"HTTP/1.1 {status}", f"Date: {formatdate(usegmt=True)}", *fields, "", ""]).encode()


@dataclass
class Bare:
    """Files by path, faults by path, and a log."""

    files: dict[str, bytes] = field(default_factory=dict)
    faults: dict[str, Fault] = field(default_factory=dict)
    log: list[Asked] = field(default_factory=list)
    etag: str = '"one"'
    port: int = 0
    conversations: set[asyncio.Task[None]] = field(default_factory=set)

    def url(self, path: str, host: str = "127.0.0.1") -> str:
        return f"http://{host}:{self.port}{path}"

    def times(self, path: str) -> int:
        return sum(request.target.partition("?")[0] == path for request in self.log)

    async def converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self.conversations.add(task)
        task.add_done_callback(self.conversations.discard)
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            while await self.answer(await reader.readuntil(b"\r\n\r\n"), writer):
                await writer.drain()
        writer.close()

    async def answer(self, text: bytes, writer: asyncio.StreamWriter) -> bool:
        """Answer one request; whether the connection stays."""
        first, *lines = text.decode("latin-1").strip().split("\r\n")
        pairs = (line.split(":", 1) for line in lines)
        request = Asked(first.split(" ")[1], {name.lower(): value.strip() for name, value in pairs}, self.port)
        self.log.append(request)
        path = request.target.partition("?")[0]
        fault = self.faults.get(path) or self.faults.get("*")
        if fault is not None and not await fault(self, request, writer):
            return False
        self.serve(path, request, writer)
        return True

    def serve(self, path: str, request: Asked, writer: asyncio.StreamWriter) -> None:
        """The right answer."""
        whole = self.files.get(path)
        if whole is None:
            writer.write(head("404 Not Found", "Content-Length: 0"))
            return
        condition = request.headers.get("if-range", self.etag)
        span = request.span(len(whole)) if condition == self.etag else None
        if span is None:
            writer.write(head("200 OK", f"ETag: {self.etag}", f"Content-Length: {len(whole)}") + whole)
            return
        part = whole[span[0] : span[1]]
        told = f"Content-Range: bytes {span[0]}-{span[1] - 1}/{len(whole)}"
        writer.write(head("206 Partial Content", f"ETag: {self.etag}", told, f"Content-Length: {len(part)}") + part)


async def gone(origin: Bare, request: Asked, writer: asyncio.StreamWriter) -> None:
    """What ends a run for good."""
    writer.write(head("451 No More", "Content-Length: 0"))


@asynccontextmanager
async def bare() -> AsyncIterator[Bare]:
    """A bare origin with the film on it."""
    origin = Bare({f"/v/{number}.ts": body for number, body in enumerate(TRUTH)})
    origin.files["/v/index.m3u8"] = playlist()
    server = await asyncio.start_server(origin.converse, "127.0.0.1", 0)
    origin.port = server.sockets[0].getsockname()[1]
    async with server:
        yield origin
    for task in origin.conversations.copy():
        task.cancel()
    await asyncio.gather(*origin.conversations, return_exceptions=True)


async def hlsdl(*words: str | Path) -> Done:
    """Run `hlsdl …` to its end while the servers of this loop go on."""
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(*command(*words), env=environment(), stdout=pipe, stderr=pipe)
    out, err = await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode is not None
    return Done(process.returncode, out.decode(), err.decode())
