"""An origin that somebody else wrote: hypercorn, with HTTP/1.1 and HTTP/2 on TCP and HTTP/3 on QUIC."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, Literal

import pytest

pytest.importorskip("hypercorn", reason="not installed: hypercorn")
from hypercorn.asyncio import serve
from hypercorn.config import Config

from hlsdl.testing import LocalAuthority

BLOCK = 16_384


@dataclass(kw_only=True)
class HypercornOrigin:
    """Answers every path with `body`, and notes by what it was asked."""

    body: bytes
    port: int
    says_length: bool = True
    gather: int = 1
    """Requests that must be under way at once before any of them is answered."""
    versions: list[str] = field(default_factory=list)
    """`1.1`, `2` or `3` for each request."""
    clients: set[tuple[str, int]] = field(default_factory=set)
    """The other ends of the connections that had requests."""
    _gathered: asyncio.Event = field(default_factory=asyncio.Event)

    def url(self, path: str) -> str:
        return f"https://127.0.0.1:{self.port}{path}"

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            return
        self.versions.append(scope["http_version"])
        self.clients.add(tuple(scope["client"]))
        if len(self.versions) >= self.gather:
            self._gathered.set()
        await self._gathered.wait()
        length = [(b"content-length", str(len(self.body)).encode())] if self.says_length else []
        await send(
            {"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"video/mp2t"), *length]}
        )
        for start in range(0, len(self.body), BLOCK):
            await send({"type": "http.response.body", "body": self.body[start : start + BLOCK], "more_body": True})
        await send({"type": "http.response.body", "body": b""})


@asynccontextmanager
async def hypercorn_origin(
    authority: LocalAuthority, body: bytes, *, over: Literal["tcp", "quic"], **settings: Any
) -> AsyncIterator[HypercornOrigin]:
    """Run one on 127.0.0.1; over `quic` there is nothing but HTTP/3."""
    kind = socket.SOCK_STREAM if over == "tcp" else socket.SOCK_DGRAM
    listening = socket.socket(socket.AF_INET, kind)
    listening.bind(("127.0.0.1", 0))
    if over == "tcp":
        listening.listen()  # at once: the server comes to it later
    origin = HypercornOrigin(body=body, port=listening.getsockname()[1], **settings)
    config = Config()
    config.certfile = config.keyfile = str(authority.certificate("127.0.0.1"))
    bound = [f"fd://{listening.detach()}"]
    config.bind, config.quic_bind = (bound, []) if over == "tcp" else ([], bound)
    config.errorlog = logging.getLogger("hypercorn.silent")
    config.graceful_timeout = 0.1
    config.alt_svc_headers = []
    server = asyncio.create_task(serve(origin, config, shutdown_trigger=asyncio.Event().wait))  # type: ignore[arg-type]
    try:
        yield origin
    finally:
        server.cancel()
        with suppress(asyncio.CancelledError):
            await server
