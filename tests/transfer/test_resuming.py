"""Conformance, part two: ranges and validators. Bytes are only ever appended to their own."""

from __future__ import annotations

import asyncio
from email.utils import formatdate
from itertools import pairwise

import pytest

from hlsdl.access.limits import Limits
from hlsdl.errors import HlsdlError, HttpError, IntegrityError, LimitError
from hlsdl.testing import (
    Behaviour,
    Chunked,
    ContentRange,
    Cut,
    Empty,
    Gzip,
    Headers,
    Html,
    IgnoreRange,
    Multipart,
    Redirect,
    Reset,
    ScriptedOrigin,
    ShortRange,
    Stall,
    Status,
    Without,
    WrongRange,
)
from hlsdl.transfer.fetching import LEAST_ANSWER, MOST_SCRAPS
from hlsdl.transfer.policy import RetryPolicy
from hlsdl.transfer.sink import MemorySink, Validator
from transfer.conftest import MakeClient, segment

BODY = b"".join(b"G" + n.to_bytes(4, "big") + bytes(183) for n in range(1000))
SMALL_PARTS = Limits(resume_from=1000, block=1000)
"""Resuming from the first kilobyte on, so that a test need not move eight megabytes."""


def etag_of(origin: ScriptedOrigin, path: str = "/a.ts") -> str:
    etag = origin._objects[path].etag
    assert etag is not None
    return etag


def held(origin: ScriptedOrigin, size: int = 50_000) -> MemorySink:
    """What an earlier run left."""
    return MemorySink(BODY[:size], Validator(etag=etag_of(origin), strong=True))


def ranges(origin: ScriptedOrigin, path: str = "/a.ts") -> list[str | None]:
    return [request.headers.get("range") for request in origin.requests if request.path == path]


async def test_a_large_part_with_a_strong_validator_is_resumed(origin: ScriptedOrigin, make_client: MakeClient) -> None:
    url = origin.add("/a.ts", BODY)
    sink = held(origin)
    await make_client(url, limits=SMALL_PARTS).fetch(segment(url), sink)
    assert (sink.data, sink.restarts) == (BODY, 0)
    assert origin.requests[0].headers["range"] == "bytes=50000-"
    assert origin.requests[0].headers["if-range"] == etag_of(origin)
    assert origin.requests[0].body_bytes_sent == len(BODY) - 50_000


async def test_a_transfer_that_breaks_goes_on_where_it_was(origin: ScriptedOrigin, make_client: MakeClient) -> None:
    url = origin.add("/a.ts", BODY)
    origin.script("/a.ts", Cut(after=60_000), Reset(after=60_000), Cut(after=30_000))
    sink = MemorySink()
    await make_client(url, limits=SMALL_PARTS).fetch(segment(url), sink)
    assert (sink.data, sink.restarts) == (BODY, 0)
    starts = [int((asked or "bytes=0-").removeprefix("bytes=").rstrip("-")) for asked in ranges(origin)]
    assert len(starts) == 4
    assert all(later > earlier for earlier, later in pairwise(starts))


async def test_the_rest_is_not_taken_from_another_place_that_a_redirect_leads_to(
    origin: ScriptedOrigin, make_client: MakeClient
) -> None:
    """A validator tells the versions of one resource apart; this is another one, by chance with the same validator."""
    other = bytes(reversed(BODY[1:])).replace(b"G", b"x")
    url = origin.add("/a.ts", b"")
    origin.add("/one/a.ts", BODY, etag='"v1"')
    origin.add("/two/a.ts", b"G" + other, etag='"v1"')
    origin.script("/a.ts", Redirect("/one/a.ts"))
    origin.always("/a.ts", Redirect("/two/a.ts"))
    origin.script("/one/a.ts", Cut(after=60_000))
    sink = MemorySink()
    await make_client(url, limits=SMALL_PARTS).fetch(segment(url), sink)
    assert sink.data == b"G" + other


async def test_a_redirect_to_the_same_place_with_another_token_is_gone_on_with(
    origin: ScriptedOrigin, make_client: MakeClient
) -> None:
    url = origin.add("/a.ts", b"")
    origin.add("/one/a.ts", BODY)
    origin.script("/a.ts", Redirect("/one/a.ts?token=1"), Redirect("/one/a.ts?token=2"))
    origin.script("/one/a.ts", Cut(after=60_000))
    sink = MemorySink()
    await make_client(url, limits=SMALL_PARTS).fetch(segment(url), sink)
    assert (sink.data, sink.restarts) == (BODY, 0)


@pytest.mark.parametrize(("etag", "kept"), [('"strong"', 60_000), ('W/"weak"', 0)])
async def test_whoever_is_cancelled_keeps_what_came_where_all_of_it_is_worth_keeping(
    origin: ScriptedOrigin, make_client: MakeClient, etag: str, kept: int
) -> None:
    url = origin.add("/a.ts", BODY, etag=etag)
    origin.script("/a.ts", Stall(after=60_000))
    sink, heard, has_come = MemorySink(), 0, asyncio.Event()

    def hear(size: int) -> None:
        nonlocal heard
        heard += size
        if heard == 60_000:
            has_come.set()

    fetching = asyncio.create_task(
        make_client(url, limits=Limits(resume_from=1)).fetch(segment(url), sink, on_bytes=hear)
    )
    async with asyncio.timeout(20):
        await has_come.wait()
    assert sink.size == 0
    fetching.cancel()
    with pytest.raises(asyncio.CancelledError):
        await fetching
    assert sink.data == BODY[:kept]


class FailsUnseen(MemorySink):
    """A disk that refuses a block of which nobody hears, as whoever waited for it was cancelled."""

    def __init__(self, begun: asyncio.Event) -> None:
        super().__init__()
        self._begun = begun

    async def write(self, block: bytes) -> None:
        self._begun.set()
        await asyncio.Event().wait()


async def test_no_bytes_are_put_in_the_place_of_those_whose_write_failed(
    origin: ScriptedOrigin, make_client: MakeClient
) -> None:
    url = origin.add("/a.ts", BODY)
    begun = asyncio.Event()
    sink = FailsUnseen(begun)
    limits = Limits(resume_from=1, block=1000)
    fetching = asyncio.create_task(make_client(url, limits=limits).fetch(segment(url), sink))
    await begun.wait()
    begun.clear()
    fetching.cancel()
    with pytest.raises(asyncio.CancelledError):
        await fetching
    assert (sink.size, begun.is_set()) == (0, False)


@pytest.mark.parametrize("size", [7 * 1024 * 1024, 8 * 1024 * 1024])
async def test_below_eight_mebibytes_restart_beats_splice(
    origin: ScriptedOrigin, make_client: MakeClient, size: int
) -> None:
    body = BODY * 50
    url = origin.add("/a.ts", body)
    sink = MemorySink(body[:size], Validator(etag=etag_of(origin), strong=True))
    await make_client(url).fetch(segment(url), sink)
    assert sink.data == body
    assert sink.restarts == (1 if size < 8 * 1024 * 1024 else 0)


@pytest.mark.parametrize(
    ("fault", "requests"),
    [
        (IgnoreRange(), 1),
        (WrongRange(), 2),
        (ContentRange("bytes 49999-187998/188000"), 2),
        (ContentRange("bytes 50000-187999/188001"), 3),
        (ContentRange("bytes 50000-187998/188000"), 2),
        (ContentRange("bytes 50000-187999/187999"), 2),
        (Without("Content-Range"), 2),
        (Multipart(), 2),
        (Status(416, headers={"Content-Range": "bytes */40000"}), 2),
        (Status(416), 2),
        (Without("ETag"), 2),
        (Headers([("Content-Encoding", "gzip")]), 2),
    ],
    ids=str,
)
async def test_a_wrong_answer_to_a_range_never_gets_into_the_body(
    origin: ScriptedOrigin, make_client: MakeClient, fault: Behaviour, requests: int
) -> None:
    """Rows 22-26, 28."""
    url = origin.add("/a.ts", BODY)
    origin.script("/a.ts", fault)
    sink = held(origin)
    await make_client(url, limits=SMALL_PARTS).fetch(segment(url), sink)
    assert sink.data == BODY
    assert origin.count("/a.ts") == requests


async def test_a_416_with_exactly_our_length_means_nothing_is_missing(
    origin: ScriptedOrigin, make_client: MakeClient
) -> None:
    """Row 27."""
    url = origin.add("/a.ts", BODY)
    sink = held(origin, len(BODY))
    await make_client(url, limits=SMALL_PARTS).fetch(segment(url), sink)
    assert (sink.data, sink.restarts, origin.requests[0].status) == (BODY, 0, 416)


async def test_a_changed_object_starts_over(origin: ScriptedOrigin, make_client: MakeClient) -> None:
    """Row 29."""
    url = origin.add("/a.ts", BODY)
    sink = held(origin)
    origin.add("/a.ts", BODY[::-1])
    await make_client(url, limits=SMALL_PARTS).fetch(segment(url), sink)
    assert (sink.data, origin.count("/a.ts")) == (BODY[::-1], 1)
    told = {"etag": etag_of(origin), "last_modified": "Sat, 01 Jan 2022 00:00:00 GMT", "strong": True}
    assert sink.validator == Validator(place=url, **told)


async def test_a_server_that_ignores_if_range_after_a_change_is_found_out(
    origin: ScriptedOrigin, make_client: MakeClient
) -> None:
    url = origin.add("/a.ts", BODY)
    sink = held(origin)
    origin.add("/a.ts", BODY[::-1])

    class IgnoreIfRange:
        def apply(self, request: object, answer: object) -> object:
            from hlsdl.testing import Answer

            tail = BODY[::-1][50_000:]
            told = (("Content-Range", f"bytes 50000-{len(BODY) - 1}/{len(BODY)}"), ("ETag", '"new"'))
            return Answer(status=206, headers=told, body=tail)

    origin.script("/a.ts", IgnoreIfRange())  # type: ignore[arg-type]
    await make_client(url, limits=SMALL_PARTS).fetch(segment(url), sink)
    assert sink.data == BODY[::-1]


@pytest.mark.parametrize(
    ("etag", "age", "resumed"),
    [('W/"weak"', 3600, False), (None, 20, False), (None, 3600, True), ('"strong"', 0, True)],
)
async def test_only_a_strong_validator_lets_a_part_be_continued(
    origin: ScriptedOrigin, make_client: MakeClient, etag: str | None, age: int, resumed: bool
) -> None:
    """Rows 30 and 31."""
    import time

    modified = formatdate(time.time() - age, usegmt=True)
    url = origin.add("/a.ts", BODY, etag=etag, last_modified=modified)
    origin.script("/a.ts", Cut(after=100_000))
    sink = MemorySink()
    await make_client(url, limits=SMALL_PARTS).fetch(segment(url), sink)
    assert sink.data == BODY
    assert (ranges(origin)[1] is not None) is resumed


async def test_a_byte_range_of_the_playlist_is_asked_for_and_stored_alone(
    origin: ScriptedOrigin, make_client: MakeClient
) -> None:
    url = origin.add("/a.ts", BODY)
    sink = MemorySink()
    await make_client(url).fetch(segment(url, part=(1880, 3760)), sink)
    assert sink.data == BODY[1880:5640]
    assert ranges(origin) == ["bytes=1880-5639"]


@pytest.mark.parametrize(
    "fault",
    [
        IgnoreRange(),
        WrongRange(),
        Without("Content-Range"),
        Multipart(),
        Cut(after=100),
        Reset(after=0),
        ShortRange(1000),
    ],
    ids=str,
)
async def test_a_byte_range_survives_every_wrong_answer(
    origin: ScriptedOrigin, make_client: MakeClient, fault: Behaviour
) -> None:
    url = origin.add("/a.ts", BODY)
    origin.script("/a.ts", fault)
    sink = MemorySink()
    await make_client(url).fetch(segment(url, part=(1880, 3760)), sink)
    assert sink.data == BODY[1880:5640]


async def test_a_server_without_ranges_gives_each_slice_of_a_small_entity(
    origin: ScriptedOrigin, make_client: MakeClient
) -> None:
    """R3: the slice is cut from the whole up to the limit, and past it there is a clear error."""
    url = origin.add("/a.ts", BODY)
    origin.always("/a.ts", IgnoreRange())
    client = make_client(url, limits=Limits(whole=len(BODY)))
    for start in (0, 1880, len(BODY) - 188):
        sink = MemorySink()
        await client.fetch(segment(url, part=(start, 188)), sink)
        assert sink.data == BODY[start : start + 188]
    with pytest.raises(LimitError) as caught:
        await make_client(url, limits=Limits(whole=len(BODY) - 1)).fetch(segment(url, part=(0, 188)), MemorySink())
    assert "ranges" in caught.value.message


@pytest.mark.parametrize("limits", [Limits(), Limits(whole=188)], ids=["could be cut", "too large to be cut"])
@pytest.mark.parametrize("is_chunked", [False, True])
@pytest.mark.parametrize(
    ("fault", "told"), [(Html(), "an HTML page"), (Empty(), "an empty body"), (Gzip(), "compresses")], ids=str
)
async def test_what_comes_in_place_of_a_part_is_told(
    origin: ScriptedOrigin, make_client: MakeClient, fault: Behaviour, told: str, *, is_chunked: bool, limits: Limits
) -> None:
    """Not that it is shorter than the playlist says, nor that it is too large to be cut up."""
    url = origin.add("/a.ts", BODY)
    origin.always("/a.ts", IgnoreRange(), fault, *([Chunked()] if is_chunked else []))
    with pytest.raises(IntegrityError, match=told):
        await make_client(url, limits=limits).fetch(segment(url, part=(1880, 188)), MemorySink())


async def test_a_byte_range_past_the_end_is_refused(origin: ScriptedOrigin, make_client: MakeClient) -> None:
    url = origin.add("/a.ts", BODY)
    with pytest.raises(HttpError) as caught:
        await make_client(url).fetch(segment(url, part=(len(BODY), 188)), MemorySink())
    assert (caught.value.http_status, origin.count("/a.ts")) == (416, 2)
    few = make_client(url, retry=RetryPolicy(retries=1))
    with pytest.raises(HlsdlError):
        await few.fetch(segment(url, part=(len(BODY) - 10, 188)), MemorySink())


async def test_a_short_206_is_continued_when_a_strong_validator_ties_the_parts(
    origin: ScriptedOrigin, make_client: MakeClient
) -> None:
    """Row 24."""
    url = origin.add("/a.ts", BODY)
    origin.always("/a.ts", ShortRange(1000))
    sink = MemorySink()
    await make_client(url).fetch(segment(url, part=(0, 3760)), sink)
    assert sink.data == BODY[:3760]
    assert ranges(origin) == ["bytes=0-3759", "bytes=1000-3759", "bytes=2000-3759", "bytes=3000-3759"]
    origin.add("/b.ts", BODY, etag='W/"weak"')
    origin.always("/b.ts", ShortRange(1000))
    sink = MemorySink()
    await make_client(url).fetch(segment(origin.url("/b.ts"), part=(0, 3760)), sink)
    assert sink.data == BODY[:3760]
    assert ranges(origin, "/b.ts") == ["bytes=0-3759", None]


async def test_a_server_that_gives_scraps_is_given_up(origin: ScriptedOrigin, make_client: MakeClient) -> None:
    """A byte at a time, with a validator that ties them together, would go on for weeks; it is tried once more."""
    url = origin.add("/a.ts", BODY)
    origin.always("/a.ts", ShortRange(10))
    most = 2 * MOST_SCRAPS
    sink = MemorySink()
    await make_client(url).fetch(segment(url, part=(0, 10 * most)), sink)
    assert (sink.data, origin.count("/a.ts")) == (BODY[: 10 * most], most)
    with pytest.raises(IntegrityError, match="32 answers in a row of less than 4 KiB"):
        await make_client(url).fetch(segment(url, part=(0, 10 * most + 1)), MemorySink())
    assert origin.count("/a.ts") == 2 * most


@pytest.mark.parametrize(("size", "is_enough"), [(LEAST_ANSWER, True), (LEAST_ANSWER - 1, False)])
async def test_an_answer_of_four_kibibytes_is_no_scrap(
    origin: ScriptedOrigin, make_client: MakeClient, size: int, is_enough: bool
) -> None:
    url = origin.add("/a.ts", BODY * 2)
    origin.always("/a.ts", ShortRange(size))
    wanted = segment(url, part=(0, size * (2 * MOST_SCRAPS + 1)))
    if is_enough:
        await make_client(url).fetch(wanted, MemorySink())
    else:
        with pytest.raises(IntegrityError, match="a few bytes at a time"):
            await make_client(url).fetch(wanted, MemorySink())


async def test_integrity_errors_keep_their_code(origin: ScriptedOrigin, make_client: MakeClient) -> None:
    url = origin.add("/a.ts", BODY)
    origin.always("/a.ts", Without("Content-Range"))
    client = make_client(url, retry=RetryPolicy(retries=1), limits=Limits(whole=100))
    with pytest.raises(IntegrityError):
        await client.fetch(segment(url, part=(188, 188)), MemorySink())
