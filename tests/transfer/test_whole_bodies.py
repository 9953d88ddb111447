"""A server that ignores ranges sends the whole file; it is asked once, and every missing part is cut from that."""

from __future__ import annotations

import asyncio
import threading
from dataclasses import replace

import pytest

from hlsdl.access.limits import MIB, Limits
from hlsdl.errors import LimitError
from hlsdl.planning.plan import Resource
from hlsdl.testing import (
    Chunked,
    Cut,
    Hold,
    IgnoreRange,
    ScriptedOrigin,
)
from hlsdl.transfer.sink import MemorySink
from transfer.conftest import MakeClient, segment
from transfer.single_file import BODY, FILM, PART, Shelf, asked, parts_of


@pytest.fixture
def url(origin: ScriptedOrigin) -> str:
    return origin.add(FILM, BODY)


@pytest.fixture
def shelf() -> Shelf:
    return Shelf()


@pytest.fixture
def joined(monkeypatch: pytest.MonkeyPatch) -> None:
    """The parts of a test are so few and small that the fair share would leave little to join."""
    monkeypatch.setattr("hlsdl.transfer.joining.LEAST_BYTES", 5 * PART)


async def test_thirty_mebibytes_in_a_hundred_parts_come_with_one_request_where_ranges_are_ignored(
    origin: ScriptedOrigin, make_client: MakeClient
) -> None:
    body = BODY * 84
    url, size = origin.add(FILM, body), len(body) // 100
    origin.always(FILM, IgnoreRange())
    stored: dict[str, bytes] = {}
    sinks: dict[str, MemorySink] = {}

    async def finish(resource: Resource, sink: object) -> None:
        stored[resource.path] = sinks.pop(resource.path).data

    def make(resource: Resource) -> MemorySink:
        assert len(sinks) < 2, "only the part that is being cut is held"
        return sinks.setdefault(resource.path, MemorySink())

    await make_client(url).fetch_all(parts_of(url, *range(100), size=size), make, finish)
    assert len(body) > 30 * MIB
    assert [stored[f"{n}.ts"] == body[n * size : (n + 1) * size] for n in range(100)] == [True] * 100
    assert len(asked(origin)) == 1


@pytest.mark.usefixtures("joined")
async def test_a_whole_body_that_is_cut_leaves_only_the_rest_to_be_cut_from_the_next(
    origin: ScriptedOrigin, make_client: MakeClient, url: str, shelf: Shelf
) -> None:
    origin.always(FILM, IgnoreRange(), Cut(after=7 * PART + 100))

    async def finish(resource: Resource, sink: object) -> None:
        await shelf.finish(resource, sink)
        if resource.path == "6.ts":
            origin.always(FILM, IgnoreRange())

    await make_client(url).fetch_all(parts_of(url, *range(20)), shelf.make, finish)
    assert shelf.finished == [f"{n}.ts" for n in range(20)]
    assert len(asked(origin)) == 2


async def test_only_what_is_still_missing_is_cut_from_the_whole(
    origin: ScriptedOrigin, make_client: MakeClient, url: str, shelf: Shelf
) -> None:
    origin.always(FILM, IgnoreRange())
    await make_client(url).fetch_all(parts_of(url, 3, 4, 9, 15), shelf.make, shelf.finish)
    assert shelf.finished == ["3.ts", "4.ts", "9.ts", "15.ts"]
    assert len(asked(origin)) == 1


async def test_parts_that_overlap_or_stand_out_of_order_are_all_found_in_few_bodies(
    origin: ScriptedOrigin, make_client: MakeClient, url: str, shelf: Shelf
) -> None:
    origin.always(FILM, IgnoreRange())
    twice = segment(url, part=(9 * PART - 50, 100), path="over.ts", stream="0")
    await make_client(url).fetch_all([*parts_of(url, 8, 9, 2, 3), twice], shelf.make, shelf.finish)
    assert sorted(shelf.finished) == ["2.ts", "3.ts", "8.ts", "9.ts", "over.ts"]
    assert len(asked(origin)) == 2


async def test_two_streams_in_one_file_share_the_whole_body(
    origin: ScriptedOrigin, make_client: MakeClient, url: str, shelf: Shelf
) -> None:
    origin.always(FILM, IgnoreRange())
    video = parts_of(url, 0, 2, 4)
    audio = [replace(part, stream="1") for part in parts_of(url, 1, 3, 5)]
    mixed = [part for pair in zip(video, audio, strict=True) for part in pair]
    await make_client(url).fetch_all(mixed, shelf.make, shelf.finish)
    assert shelf.finished == [f"{n}.ts" for n in range(6)]
    assert len(asked(origin)) == 1


@pytest.mark.parametrize("framing", ["length", "chunked"])
async def test_the_whole_is_taken_up_to_the_limit_and_refused_one_byte_past_it(
    origin: ScriptedOrigin, make_client: MakeClient, url: str, framing: str
) -> None:
    origin.always(FILM, IgnoreRange(), *([Chunked()] if framing == "chunked" else []))
    shelf = Shelf()
    work = parts_of(url, *range(20))
    await make_client(url, limits=Limits(whole=len(BODY))).fetch_all(work, shelf.make, shelf.finish)
    assert len(shelf.finished) == 20
    shelf = Shelf()
    with pytest.raises(LimitError) as caught:
        await make_client(url, limits=Limits(whole=len(BODY) - 1)).fetch_all(work, shelf.make, shelf.finish)
    assert "ignores byte ranges" in caught.value.message
    # Without a length, what lies below the limit is known to; with one, nothing of it is fetched.
    assert sorted(shelf.finished) == sorted(f"{n}.ts" for n in range(19 if framing == "chunked" else 0))


async def test_a_server_that_honours_ranges_gets_its_second_request_when_the_first_is_answered(
    origin: ScriptedOrigin, make_client: MakeClient, shelf: Shelf
) -> None:
    """Until then it is not known whether more than one is needed."""
    body = BODY * 10
    url, release = origin.add(FILM, body), threading.Event()
    origin.script(FILM, Hold(release))
    done: list[str] = []

    async def finish(resource: Resource, sink: object) -> None:
        done.append(resource.path)

    work = parts_of(url, *range(100), size=len(body) // 100)
    other = segment(origin.add("/other.ts", BODY), path="other.ts")
    task = asyncio.create_task(make_client(url).fetch_all([*work, other], shelf.make, finish))
    await asyncio.to_thread(origin.wait_for, FILM)
    assert len(asked(origin)) == 1
    release.set()
    await task
    assert len(done) == 101


async def test_the_others_do_not_wait_for_the_patience_of_the_first(
    origin: ScriptedOrigin, make_client: MakeClient, url: str, shelf: Shelf
) -> None:
    release = threading.Event()
    origin.script(FILM, Cut(after=0), Hold(release, after=10))
    origin.script(FILM, *[Hold(release, after=10)] * 3)
    task = asyncio.create_task(make_client(url).fetch_all(parts_of(url, *range(20)), shelf.make, shelf.finish))
    await asyncio.to_thread(origin.wait_for, FILM, 4)
    release.set()
    await task
    assert len(shelf.finished) == 20
