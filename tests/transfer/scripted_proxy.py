"""A small proxy on a real socket, HTTP, HTTPS or SOCKS5, that keeps a log and refuses when it is told to."""

from __future__ import annotations

import asyncio
import base64
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Literal
from urllib.parse import urlsplit

Address = tuple[str, int]


@dataclass(kw_only=True)
class ScriptedProxy:
    """Connects to where `names` says, never to what a resolver would say.

    `asked` holds what was wanted, as it was written: `GET http://films.example/a.ts`, `CONNECT films.example:443`,
    `SOCKS films.example:80`; `heads` the header lines of each HTTP request to the proxy itself.
    """

    names: Mapping[str, Address]
    sign_in: tuple[str, str] | None = None
    refusal: int | None = None
    """An HTTP status, or a SOCKS5 reply (RFC 1928 §6)."""
    silent: bool = False
    """Read what is wanted, and never answer."""
    socks: bool = False
    url: str = ""
    asked: list[str] = field(default_factory=list)
    heads: list[str] = field(default_factory=list)
    connections: int = 0

    async def converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            await (self._speak_socks if self.socks else self._speak_http)(reader, writer)
        except (OSError, asyncio.IncompleteReadError):
            return  # the client went away
        finally:
            writer.close()

    # -- HTTP ------------------------------------------------------------------------------------------------------

    async def _speak_http(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            method, target, _ = head.split(" ", 2)
            self.asked.append(f"{method} {target}")
            self.heads.append(head)
            if self.silent:
                await reader.read()
            status = self._status(head)
            if status != 200:
                extra = 'Proxy-Authenticate: Basic realm="proxy"\r\n' if status == 407 else ""
                writer.write(f"HTTP/1.1 {status} No\r\n{extra}Content-Length: 5\r\n\r\nsorry".encode())
            elif method == "CONNECT":
                writer.write(b"HTTP/1.1 200 Connection established\r\nX-Proxy: 1\r\n\r\n")
                await tunnel(self.names[target], reader, writer)
                return
            else:
                await self._forward(target, head, writer)

    def _status(self, head: str) -> int:
        if self.sign_in is not None:
            expected = base64.b64encode(":".join(self.sign_in).encode()).decode()
            if f"\r\nProxy-Authorization: Basic {expected}\r\n".lower() not in head.lower():
                return 407
        return self.refusal or 200

    async def _forward(self, target: str, head: str, writer: asyncio.StreamWriter) -> None:
        """One request, one connection behind: the origin closes it, and the client's stays."""
        parts = urlsplit(target)
        inner, outer = await asyncio.open_connection(*self.names[f"{parts.hostname}:{parts.port or 80}"])
        origin_form = target.removeprefix(f"{parts.scheme}://{parts.netloc}")
        kept = [line for line in head.split("\r\n")[1:-2] if not line.lower().startswith("proxy-")]
        outer.write("\r\n".join([f"GET {origin_form} HTTP/1.1", *kept, "Connection: close", "", ""]).encode("latin-1"))
        try:
            while block := await inner.read(65_536):
                writer.write(block)
                await writer.drain()
        finally:
            outer.close()

    # -- SOCKS5 (RFC 1928, RFC 1929) -------------------------------------------------------------------------------

    async def _speak_socks(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        version, count = await reader.readexactly(2)
        assert version == 5
        methods = await reader.readexactly(count)
        wanted = 0 if self.sign_in is None else 2
        writer.write(bytes([5, wanted if wanted in methods else 0xFF]))
        if wanted not in methods:
            return
        if self.sign_in is not None:
            await reader.readexactly(1)
            given = tuple([(await reader.readexactly((await reader.readexactly(1))[0])).decode() for _ in range(2)])
            writer.write(bytes([1, given != self.sign_in]))
            if given != self.sign_in:
                return
        _, _, _, kind = await reader.readexactly(4)
        if kind == 3:
            host = (await reader.readexactly((await reader.readexactly(1))[0])).decode()
        else:
            host = (
                ".".join(map(str, await reader.readexactly(4))) if kind == 1 else (await reader.readexactly(16)).hex()
            )
        where = f"{host}:{int.from_bytes(await reader.readexactly(2), 'big')}"
        self.asked.append(f"SOCKS {where}")
        if self.silent:
            await reader.read()
        writer.write(bytes([5, self.refusal or 0, 0, 1, 0, 0, 0, 0, 0, 0]))
        if not self.refusal:
            await tunnel(self.names[where], reader, writer)


async def tunnel(address: Address, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Carry bytes both ways until one side ends."""
    inner, outer = await asyncio.open_connection(*address)

    async def carry(source: asyncio.StreamReader, drain: asyncio.StreamWriter) -> None:
        try:
            while block := await source.read(65_536):
                drain.write(block)
                await drain.drain()
        except OSError:
            return  # that side went away, which ends the other one as well
        finally:
            drain.close()

    await asyncio.gather(carry(reader, outer), carry(inner, writer))


@asynccontextmanager
async def scripted_proxy(
    kind: Literal["http", "https", "socks5", "socks5h"],
    names: Mapping[str, Address],
    *,
    tls: ssl.SSLContext | None = None,
    **settings: object,
) -> AsyncIterator[ScriptedProxy]:
    """Run one on 127.0.0.1; `names` maps `host:port` to an address."""
    proxy = ScriptedProxy(names=names, socks=kind.startswith("socks"), **settings)  # type: ignore[arg-type]
    server = await asyncio.start_server(proxy.converse, "127.0.0.1", 0, ssl=tls)
    proxy.url = f"{kind}://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield proxy
    finally:
        server.close()
