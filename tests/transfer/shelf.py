"""A job whose small bodies come the short way, and the shelf that they are kept on."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any

from hlsdl.errors import HlsdlError
from hlsdl.planning.plan import Resource
from hlsdl.testing import Headers, ScriptedOrigin
from hlsdl.transfer.client import Client
from hlsdl.transfer.lane import Done
from hlsdl.transfer.sink import MemorySink, Validator
from transfer.conftest import MakeClient, segment

BODY = b"G\0" + bytes(range(256)) * 20
COOKIE = Headers([("Set-Cookie", "a=b")])


@dataclass
class Shelf:
    """Keeps bodies by the short way, or by sinks."""

    most_bytes: int = 128 * 1024
    kept: dict[str, bytes] = field(default_factory=dict)
    """What came the short way."""
    sunk: dict[str, bytes] = field(default_factory=dict)
    validators: dict[str, Validator | None] = field(default_factory=dict)
    heard: int = 0

    def keep(self, resource: Resource, body: bytes, validator: Validator, done: Done) -> None:
        self.kept[resource.url] = body
        self.validators[resource.url] = validator
        asyncio.get_running_loop().call_soon(done, None)

    def hear(self, size: int) -> None:
        self.heard += size

    async def finished(self, resource: Resource, sink: Any) -> None:
        self.sunk[resource.url] = sink.data
        self.validators[resource.url] = sink.validator

    @property
    def all(self) -> dict[str, bytes]:
        return {**self.sunk, **self.kept}


async def bring(client: Client, work: list[Resource], shelf: Shelf, *, short: bool, **more: Any) -> HlsdlError | None:
    """Fetch all; returns the error that ended it."""
    try:
        await client.fetch_all(
            work, lambda _: MemorySink(), shelf.finished, on_bytes=shelf.hear, keeper=shelf if short else None, **more
        )
    except HlsdlError as error:
        return error
    return None


async def known(make_client: MakeClient, origin: ScriptedOrigin, **options: Any) -> Client:
    """A client that has looked up the origin already, as it has when the playlists were read."""
    client: Client = make_client(origin.url("/"), **options)
    assert await bring(client, [segment(origin.add("/first.ts", BODY))], Shelf(), short=True) is None
    return client


def under_way(client: Client) -> tuple[int, int]:
    """Places taken, and transfers that libcurl has."""
    door: Any = client._door
    return client._exchange.patience.host("127.0.0.1").busy, len(door._busy)
