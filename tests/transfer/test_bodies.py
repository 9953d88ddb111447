"""Conformance, part one: broken, lying and endless bodies, over real sockets and through every door.

The promise is always the same: the stored bytes are the origin's, or there is one clear error; never a wrong byte.
"""

from __future__ import annotations

from dataclasses import replace

import pytest

from hlsdl.access.limits import Limits
from hlsdl.errors import HlsdlError, HttpError, IntegrityError, LimitError, NetworkError
from hlsdl.testing import (
    Answer,
    Behaviour,
    Body,
    Chunked,
    Close,
    CloseDelimited,
    Cut,
    Drip,
    Empty,
    Endless,
    FlipBit,
    Gzip,
    HangUp,
    Html,
    Json,
    Raw,
    Request,
    Reset,
    ScriptedOrigin,
    Silence,
    Stall,
    Status,
)
from hlsdl.transfer.policy import RetryPolicy
from hlsdl.transfer.sink import MemorySink
from transfer.conftest import SHORT_STALL, MakeClient, segment
from transfer.doors import FakeClock

PACKETS = b"".join(b"G" + n.to_bytes(4, "big") + bytes(183) for n in range(500))
PLAYLIST = b"#EXTM3U\n" + b"#EXTINF:4,\na.ts\n" * 300
FEW = RetryPolicy(retries=2)


def patience_for(fault: Behaviour) -> dict[str, float]:
    return {"stall_timeout": SHORT_STALL} if isinstance(fault, Stall | Silence) else {}


@pytest.mark.parametrize(
    "fault",
    [
        Reset(after=0),
        Reset(after=20_000),
        Cut(after=0),
        Cut(after=20_000),
        Cut(after=len(PACKETS) - 1),
        Cut(after=20_000, framing="chunked"),
        Cut(after=len(PACKETS), framing="chunked"),
        Cut(after=20_000, framing="close"),
        Stall(after=0),
        Stall(after=20_000),
        Silence(),
        HangUp(),
        Html(),
        Json(),
        Empty(),
        Gzip(),
        Raw(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n12345"),
        Raw(b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n12345"),
        Raw(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n12345"),
        Raw(b"HTTP/1.1 200 OK\r\nContent-Len"),
        Raw(b"not HTTP at all"),
        Raw(b""),
        Status(408),
        Status(500),
        Status(502),
        Status(503),
        Status(504),
        Status(429),
        Status(522),
    ],
    ids=str,
)
async def test_a_passing_fault_is_healed_by_another_try(
    origin: ScriptedOrigin, make_client: MakeClient, fault: Behaviour
) -> None:
    """Rows 1-4, 9-11, 13, 18, 19, 34."""
    url = origin.add("/a.ts", PACKETS)
    origin.script("/a.ts", fault)
    sink = MemorySink()
    await make_client(url, **patience_for(fault)).fetch(segment(url), sink)
    assert sink.data == PACKETS
    assert origin.count("/a.ts") == 2


@pytest.mark.parametrize(
    ("fault", "error", "code"),
    [
        (Reset(after=20_000), NetworkError, 3),
        (Cut(after=20_000), NetworkError, 3),
        (Cut(after=20_000, framing="chunked"), NetworkError, 3),
        (Cut(after=20_000, framing="close"), NetworkError, 3),
        (Stall(after=20_000), NetworkError, 3),
        (Silence(), NetworkError, 3),
        (Html(), IntegrityError, 8),
        (Json(), IntegrityError, 8),
        (Empty(), IntegrityError, 8),
        (Status(500), NetworkError, 3),
        (Status(503), NetworkError, 3),
    ],
    ids=str,
)
async def test_a_lasting_fault_ends_in_one_clear_error_and_no_bytes(
    origin: ScriptedOrigin, make_client: MakeClient, fault: Behaviour, error: type[HlsdlError], code: int
) -> None:
    url = origin.add("/a.ts", PACKETS)
    origin.always("/a.ts", fault)
    sink = MemorySink()
    with pytest.raises(error) as caught:
        await make_client(url, retry=FEW, **patience_for(fault)).fetch(segment(f"{url}?token=secret"), sink)
    assert caught.value.code == code
    assert "secret" not in f"{caught.value} {caught.value.url}"
    assert origin.count("/a.ts") == 3
    assert sink.size < len(PACKETS)


@pytest.mark.parametrize("framing", [Chunked(), Close()], ids=str)
async def test_every_framing_brings_the_same_bytes(
    origin: ScriptedOrigin, make_client: MakeClient, framing: Behaviour
) -> None:
    url = origin.add("/a.ts", PACKETS)
    origin.always("/a.ts", framing)
    client = make_client(url)
    for _ in range(2):
        sink = MemorySink()
        await client.fetch(segment(url), sink)
        assert (sink.data, sink.length_verified) == (PACKETS, True)


async def test_a_flipped_bit_is_stored_as_it_came(origin: ScriptedOrigin, make_client: MakeClient) -> None:
    """Row 7: HTTP has no checksum; `verify` and the journal's hash are for what happens later."""
    url = origin.add("/a.ts", PACKETS)
    origin.script("/a.ts", FlipBit(at=5000))
    sink = MemorySink()
    await make_client(url).fetch(segment(url), sink)
    assert sum(a != b for a, b in zip(sink.data, PACKETS, strict=True)) == 1


async def test_two_servers_that_disagree_are_never_mixed(origin: ScriptedOrigin, make_client: MakeClient) -> None:
    """Row 8."""
    url = origin.add("/a.ts", PACKETS)
    other = bytes(reversed(PACKETS))
    origin.script("/a.ts", Cut(after=50_000), Body(other, etag='"other"'))
    sink = MemorySink()
    await make_client(url, limits=Limits(resume_from=1000, block=1000)).fetch(segment(url), sink)
    assert sink.data == other


@pytest.mark.parametrize("status", [201, 202, 204, 205, 304, 400, 402, 405, 451, 501, 505])
async def test_an_unexpected_status_is_refused_at_once(
    origin: ScriptedOrigin, make_client: MakeClient, status: int
) -> None:
    """Row 12."""
    url = origin.add("/a.ts", PACKETS)
    origin.always("/a.ts", Status(status))
    with pytest.raises(HttpError) as caught:
        await make_client(url).fetch(segment(url), MemorySink())
    assert (caught.value.http_status, caught.value.code) == (status, 4)
    assert origin.count("/a.ts") == 1


class Part:
    """A 206 that nobody asked for."""

    def __init__(self, first: int, last: int) -> None:
        self.first, self.last = first, last

    def apply(self, request: Request, answer: Answer) -> Answer:
        told = (("Content-Range", f"bytes {self.first}-{self.last}/{len(answer.body)}"),)
        return Answer(status=206, headers=told, body=answer.body[self.first : self.last + 1])


async def test_an_unasked_206_counts_only_when_it_is_the_whole(origin: ScriptedOrigin, make_client: MakeClient) -> None:
    """Row 24: half a playlist would be a whole one of a shorter film."""
    url, half = origin.add("/a.ts", PACKETS), len(PACKETS) // 2
    origin.always("/a.ts", Part(0, half))
    with pytest.raises(IntegrityError) as caught:
        await make_client(url).fetch(segment(url), MemorySink())
    assert (caught.value.code, origin.count("/a.ts")) == (8, 3)
    origin.always("/a.ts", Part(0, len(PACKETS) - 1))
    sink = MemorySink()
    await make_client(url).fetch(segment(url), sink)
    assert sink.data == PACKETS

    url, cut = origin.add("/a.m3u8", PLAYLIST), PLAYLIST.index(b"\n")
    origin.always("/a.m3u8", Part(0, cut))
    with pytest.raises(IntegrityError):
        await make_client(url).read(url, kind="playlist", limit=len(PLAYLIST))
    origin.always("/a.m3u8", Part(0, len(PLAYLIST) - 1))
    body = await make_client(url).read(url, kind="playlist", limit=len(PLAYLIST))
    assert body.data == PLAYLIST


async def test_what_is_encrypted_and_no_whole_number_of_blocks_is_asked_for_again(
    origin: ScriptedOrigin, make_client: MakeClient
) -> None:
    url, sink = origin.add("/a.ts", bytes(1600)), MemorySink()
    encrypted = replace(segment(url), block=16)
    origin.script("/a.ts", Body(bytes(1599), etag='"a"'))
    await make_client(url).fetch(encrypted, sink)
    assert (len(sink.data), origin.count("/a.ts")) == (1600, 2)
    origin.always("/a.ts", Body(bytes(1599), etag='"a"'))
    with pytest.raises(IntegrityError, match="16-byte blocks"):
        await make_client(url).fetch(encrypted, MemorySink())
    assert origin.count("/a.ts") == 5


async def test_a_page_in_place_of_a_segment_is_asked_for_twice_more(
    origin: ScriptedOrigin, make_client: MakeClient
) -> None:
    """Its URL may have expired, and whoever knows a newer one should not wait a minute."""
    url = origin.add("/a.ts", PACKETS)
    origin.always("/a.ts", Html())
    with pytest.raises(IntegrityError):
        await make_client(url).fetch(segment(url), MemorySink())
    assert len(origin.requests) == 3


async def test_a_segment_that_stays_compressed_is_tried_twice(origin: ScriptedOrigin, make_client: MakeClient) -> None:
    """Row 13."""
    url = origin.add("/a.ts", PACKETS)
    origin.always("/a.ts", Gzip())
    with pytest.raises(IntegrityError) as caught:
        await make_client(url).fetch(segment(url), MemorySink())
    assert (caught.value.code, origin.count("/a.ts")) == (8, 2)


async def test_an_endless_body_stops_at_the_limit(origin: ScriptedOrigin, make_client: MakeClient) -> None:
    """Row 16."""
    url = origin.add("/a.ts", PACKETS)
    origin.always("/a.ts", Endless())
    sink = MemorySink()
    with pytest.raises(LimitError) as caught:
        await make_client(url, limits=Limits(block=65_536)).fetch(segment(url, limit=1_000_000), sink)
    assert caught.value.code == 12
    assert sink.size <= 1_000_000
    with pytest.raises(LimitError):
        await make_client(url).read(url, kind="playlist", limit=1_000_000)
    assert origin.count("/a.ts") == 2


@pytest.mark.parametrize("framing", [None, Chunked(), CloseDelimited()], ids=str)
async def test_a_body_may_be_as_long_as_the_limit_and_no_longer(
    origin: ScriptedOrigin, make_client: MakeClient, framing: Behaviour | None
) -> None:
    url = origin.add("/a.ts", PACKETS)
    if framing is not None:
        origin.always("/a.ts", framing)
    client = make_client(url)
    sink = MemorySink()
    await client.fetch(segment(url, limit=len(PACKETS)), sink)
    assert sink.data == PACKETS
    assert (await client.read(url, kind="data", limit=len(PACKETS))).data == PACKETS
    with pytest.raises(LimitError):
        await client.fetch(segment(url, limit=len(PACKETS) - 1), MemorySink())
    with pytest.raises(LimitError):
        await client.read(url, kind="data", limit=len(PACKETS) - 1)


async def test_a_body_that_trickles_is_given_up_and_tried_again(
    origin: ScriptedOrigin, make_client: MakeClient
) -> None:
    """Row 17: each byte comes within the stall time-out, the average does not."""
    url = origin.add("/a.ts", PACKETS)
    origin.script("/a.ts", Drip(size=1, every=0.02))
    sink = MemorySink()
    limits = Limits(slowest=1000, slow_after=0.2)
    await make_client(url, limits=limits).fetch(segment(url), sink)
    assert sink.data == PACKETS
    assert origin.requests[0].body_bytes_sent < 100


async def test_a_webvtt_segment_may_be_empty(origin: ScriptedOrigin, make_client: MakeClient) -> None:
    url = origin.add("/a.vtt", b"")
    sink = MemorySink()
    await make_client(url).fetch(segment(url), sink)
    assert (sink.data, sink.validator is not None) == (b"", True)


async def test_a_large_body_comes_in_blocks_of_at_most_the_limit_and_a_small_one_whole(
    origin: ScriptedOrigin, make_client: MakeClient
) -> None:
    large = origin.add("/large.ts", PACKETS * 30)
    small = origin.add("/small.ts", PACKETS)
    client = make_client(large)
    sink = MemorySink()
    await client.fetch(segment(large), sink)
    assert sink.data == PACKETS * 30
    assert [len(block) for block in sink.blocks[:-1]] == [1024 * 1024] * (len(PACKETS * 30) // (1024 * 1024))
    sink = MemorySink()
    await client.fetch(segment(small), sink)
    assert sink.blocks == (PACKETS,)


async def test_retries_wait_longer_and_longer(
    origin: ScriptedOrigin, make_client: MakeClient, clock: FakeClock
) -> None:
    url = origin.add("/a.ts", PACKETS)
    origin.always("/a.ts", Status(500))
    with pytest.raises(NetworkError):
        await make_client(url).fetch(segment(url), MemorySink())
    assert origin.count("/a.ts") == 9
    assert clock.slept == [0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 15.0, 15.0]
