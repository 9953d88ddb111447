"""An origin and clients for it, through every door."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack
from dataclasses import replace
from typing import Any

import pytest

from hlsdl.access.credentials import Credentials
from hlsdl.access.gate import UrlPolicy
from hlsdl.access.limits import Limits
from hlsdl.access.urls import is_file_url, read_url
from hlsdl.planning.plan import Resource
from hlsdl.playlist.models import ByteRange
from hlsdl.testing import ScriptedOrigin
from hlsdl.transfer.client import Client
from hlsdl.transfer.options import TransferOptions
from hlsdl.transfer.pauses import Pauses
from hlsdl.transfer.policy import RetryPolicy
from transfer.doors import DOORS, DoorSetting, FakeClock

MakeClient = Callable[..., Any]

PATIENT = TransferOptions(timeout=5.0, stall_timeout=10.0, proxy="")
SHORT_STALL = 0.4
"""A stall time-out that a test can wait for, and a busy machine still keeps."""


@pytest.fixture
def origin() -> Iterator[ScriptedOrigin]:
    with ScriptedOrigin() as running:
        yield running


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture(params=sorted(DOORS))
def door_name(request: pytest.FixtureRequest) -> str:
    """Each test that uses it, directly or through `make_client`, runs against every door."""
    return str(request.param)


@pytest.fixture
async def make_client(door_name: str, clock: FakeClock) -> AsyncIterator[MakeClient]:
    """`make_client(source_url, …)`: a client with a clock that never waits."""
    async with AsyncExitStack() as stack:

        def make(
            source_url: str,
            *,
            options: TransferOptions = PATIENT,
            limits: Limits | None = None,
            retry: RetryPolicy | None = None,
            **changes: Any,
        ) -> Client:
            options = replace(options, **{"pauses": Pauses(), **changes})
            limits = limits or Limits()
            policy = UrlPolicy.for_typed(
                [source_url],
                allow_private=options.allow_private,
                require_https=options.require_https,
                insecure=options.insecure,
            )
            given = Credentials.given(
                sources=[read_url(url) for url in [source_url] if not is_file_url(url)],
                trusted_origins=options.trusted_origins,
            )
            setting = DoorSetting(policy=policy, options=options, limits=limits, shows_certificate_to=given.may_go_to)
            door = DOORS[door_name](setting)
            client = Client(options, source_url, door=door, limits=limits, retry=retry, clock=clock)
            stack.push_async_exit(client)
            return client

        yield make


def segment(url: str, *, part: tuple[int, int] | None = None, **fields: Any) -> Resource:
    """A resource: `part` is (offset, length)."""
    byte_range = ByteRange(offset=part[0], length=part[1]) if part else None
    return Resource(**{"path": "0/000000001.ts", "url": url, "byte_range": byte_range, **fields})
