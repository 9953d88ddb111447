"""A small HTTP/2 origin whose streams end as they are told to: for the faults that HTTP/1.1 cannot have."""

from __future__ import annotations

import asyncio
import ssl
from collections import deque
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import pytest

pytest.importorskip("h2", reason="not installed: h2")
import h2.config
import h2.connection
import h2.errors
import h2.events


class Http2Origin:
    """Serves one body, or one for each path; `faults` are used up one for each request: `short`, `reset`, `quiet`, `goaway`, or a status."""

    def __init__(self, body: bytes | Mapping[str, bytes]) -> None:
        self.body = body
        self.faults: deque[str] = deque()
        self.fault_of: dict[str, deque[str]] = {}
        """Faults of single paths, which come first."""
        self.requests = 0
        self.asked: list[str] = []
        self.url = ""

    async def converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False))
        connection.initiate_connection()
        try:
            while True:
                writer.write(connection.data_to_send())
                await writer.drain()
                data = await reader.read(65_536)
                if not data:
                    return
                for event in connection.receive_data(data):
                    if isinstance(event, h2.events.RequestReceived):
                        self.requests += 1
                        self.asked.append(dict(event.headers)[b":path"].decode())
                        if not self.answer(connection, event.stream_id, self.asked[-1]):
                            writer.write(connection.data_to_send())
                            await writer.drain()
                            return
        finally:
            writer.close()

    def answer(self, connection: Any, stream: int, path: str) -> bool:
        faults = self.fault_of.get(path) or self.faults
        fault = faults.popleft() if faults else ""
        body = self.body if isinstance(self.body, bytes) else self.body[path]
        if fault.isdecimal():
            connection.send_headers(stream, [(":status", fault), ("content-length", "0")], end_stream=True)
            return True
        length = [] if fault == "quiet" else [("content-length", str(len(body)))]
        connection.send_headers(stream, [(":status", "200"), *length])
        if fault == "quiet":  # no error, no length: the end could be one
            connection.send_data(stream, body[:100])
            connection.reset_stream(stream, h2.errors.ErrorCodes.NO_ERROR)
        elif fault == "short":
            connection.config.validate_outbound_headers = False
            connection.send_data(stream, body[:-5], end_stream=True)
        elif fault == "reset":
            connection.send_data(stream, body[:100])
            connection.reset_stream(stream, h2.errors.ErrorCodes.INTERNAL_ERROR)
        elif fault == "goaway":
            connection.send_data(stream, body[:100])
            connection.close_connection(last_stream_id=0)
            return False
        else:
            connection.send_data(stream, body, end_stream=True)
        return True


@asynccontextmanager
async def http2_origin(body: bytes | Mapping[str, bytes], context: ssl.SSLContext) -> AsyncIterator[Http2Origin]:
    """Run one on 127.0.0.1."""
    context.set_alpn_protocols(["h2"])
    origin = Http2Origin(body)
    server = await asyncio.start_server(origin.converse, "127.0.0.1", 0, ssl=context)
    origin.url = f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}/a.ts"
    async with server:
        yield origin
        server.close()
