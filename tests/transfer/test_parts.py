"""Byte ranges that are asked for together: every part arrives once, whatever the server makes of it."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hlsdl.errors import DiskError, HlsdlError, HttpError, IntegrityError
from hlsdl.planning.plan import Resource
from hlsdl.testing import (
    Behaviour,
    ContentRange,
    Cut,
    Headers,
    Hold,
    Multipart,
    Reset,
    ScriptedOrigin,
    ShortRange,
    Status,
    Without,
    WrongRange,
)
from hlsdl.transfer.parts import Cutter
from hlsdl.transfer.policy import RetryPolicy
from hlsdl.transfer.sink import MemorySink, Validator
from transfer.conftest import MakeClient, segment
from transfer.single_file import BODY, FILM, PART, Shelf, asked, parts_of, sent


@pytest.fixture
def url(origin: ScriptedOrigin) -> str:
    return origin.add(FILM, BODY)


@pytest.fixture
def shelf() -> Shelf:
    return Shelf()


FIVE = tuple(f"{n}.ts" for n in range(5))


@pytest.fixture
def joined(monkeypatch: pytest.MonkeyPatch) -> None:
    """The parts of a test are so few and small that the fair share would leave little to join."""
    monkeypatch.setattr("hlsdl.transfer.joining.LEAST_BYTES", 5 * PART)


@pytest.mark.usefixtures("joined")
async def test_neighbours_arrive_with_one_request_each_in_its_own_sink(
    origin: ScriptedOrigin, make_client: MakeClient, url: str, shelf: Shelf
) -> None:
    await make_client(url).fetch_all(parts_of(url, *range(5)), shelf.make, shelf.finish)
    assert asked(origin) == [f"bytes=0-{5 * PART - 1}"]
    assert shelf.finished == list(FIVE)
    assert all(sink.validator and sink.validator.strong for sink in shelf.sinks.values())


@pytest.mark.usefixtures("joined")
async def test_a_part_is_finished_when_its_bytes_are_whole_not_when_the_request_is(
    origin: ScriptedOrigin, make_client: MakeClient, url: str, shelf: Shelf
) -> None:
    release, second = threading.Event(), asyncio.Event()
    origin.script(FILM, Hold(release, after=2 * PART + 100))

    async def finish(resource: Resource, sink: object) -> None:
        await shelf.finish(resource, sink)
        if len(shelf.finished) == 2:
            second.set()

    task = asyncio.create_task(make_client(url).fetch_all(parts_of(url, *range(5)), shelf.make, finish))
    await asyncio.wait_for(second.wait(), 10)
    assert shelf.finished == ["0.ts", "1.ts"]
    release.set()
    await task
    assert (shelf.finished, len(asked(origin))) == (list(FIVE), 1)


@pytest.mark.usefixtures("joined")
@pytest.mark.parametrize("fault", [Cut(after=2 * PART + 9000), Reset(after=2 * PART + 9000)], ids=str)
async def test_cut_in_the_third_of_five_only_the_third_and_what_follows_is_asked_for_again(
    origin: ScriptedOrigin, make_client: MakeClient, url: str, shelf: Shelf, fault: Behaviour
) -> None:
    origin.script(FILM, fault)
    await make_client(url, retry=RetryPolicy(retries=1)).fetch_all(parts_of(url, *range(5)), shelf.make, shelf.finish)
    first, second = asked(origin)
    assert first == f"bytes=0-{5 * PART - 1}"
    begins_at = int((second or "").removeprefix("bytes=").partition("-")[0])
    if isinstance(fault, Cut):  # after a reset the system may drop bytes that had come
        assert begins_at == 2 * PART
        assert sent(origin) == 2 * PART + 9000 + 3 * PART
    assert shelf.finished == list(FIVE)


@pytest.mark.usefixtures("joined")
async def test_progress_of_whole_parts_does_not_use_up_patience(
    origin: ScriptedOrigin, make_client: MakeClient, url: str, shelf: Shelf
) -> None:
    origin.script(FILM, *[Cut(after=PART + 1000)] * 4)
    await make_client(url, retry=RetryPolicy(retries=0)).fetch_all(parts_of(url, *range(5)), shelf.make, shelf.finish)
    assert [int((one or "")[6:].partition("-")[0]) // PART for one in asked(origin)] == [0, 1, 2, 3, 4]


@pytest.mark.usefixtures("joined")
@pytest.mark.parametrize(
    "fault",
    [
        WrongRange(),
        Without("Content-Range"),
        ContentRange("bytes 1-94000/376000"),
        ContentRange("bytes 0-94000/376000"),
        Multipart(),
        Status(416),
        Headers([("Content-Encoding", "gzip")]),
        Status(503),
        Cut(after=0),
        Cut(after=300),
    ],
    ids=str,
)
async def test_every_wrong_answer_to_a_joint_range_is_survived(
    origin: ScriptedOrigin, make_client: MakeClient, url: str, shelf: Shelf, fault: Behaviour
) -> None:
    origin.script(FILM, fault)
    await make_client(url).fetch_all(parts_of(url, *range(5)), shelf.make, shelf.finish)
    assert shelf.finished == list(FIVE)
    assert len(asked(origin)) <= 6


@pytest.mark.usefixtures("joined")
async def test_a_server_that_misunderstands_joint_ranges_is_asked_for_one_part_at_a_time_from_then_on(
    origin: ScriptedOrigin, make_client: MakeClient, url: str, shelf: Shelf
) -> None:
    origin.script(FILM, WrongRange())
    await make_client(url, connections=1).fetch_all(parts_of(url, *range(10)), shelf.make, shelf.finish)
    assert asked(origin)[1:] == [f"bytes={n * PART}-{(n + 1) * PART - 1}" for n in range(10)]


@pytest.mark.usefixtures("joined")
async def test_a_short_206_is_continued_where_it_ended_though_parts_of_it_are_finished(
    origin: ScriptedOrigin, make_client: MakeClient, url: str, shelf: Shelf
) -> None:
    origin.always(FILM, ShortRange(2 * PART + 100))
    await make_client(url).fetch_all(parts_of(url, *range(5)), shelf.make, shelf.finish)
    end = 5 * PART - 1
    assert asked(origin) == [f"bytes=0-{end}", f"bytes={2 * PART + 100}-{end}", f"bytes={4 * PART + 200}-{end}"]
    assert [request.headers.get("if-range") is not None for request in origin.requests] == [False, True, True]
    assert sent(origin) == 5 * PART


@pytest.mark.usefixtures("joined")
async def test_an_entity_that_changes_between_two_answers_never_mixes_inside_a_part(
    origin: ScriptedOrigin, make_client: MakeClient, url: str
) -> None:
    """Finished parts stay as they are; the part that was begun starts anew."""
    shelf, changed = Shelf(), BODY[::-1]
    stored: dict[str, bytes] = {}
    origin.script(FILM, ShortRange(2 * PART + 100))

    async def finish(resource: Resource, sink: object) -> None:
        assert resource.path not in stored
        stored[resource.path] = shelf.sinks[resource.path].data
        origin.add(FILM, changed)

    await make_client(url).fetch_all(parts_of(url, *range(5)), shelf.make, finish)
    for number in range(5):
        truth = (BODY if number < 2 else changed)[number * PART : (number + 1) * PART]
        assert stored[f"{number}.ts"] == truth
    assert {sink.validator is not None and sink.validator.strong for sink in shelf.sinks.values()} == {True}


@pytest.mark.usefixtures("joined")
async def test_a_weakly_marked_short_206_is_not_spliced(
    origin: ScriptedOrigin, make_client: MakeClient, shelf: Shelf
) -> None:
    url = origin.add(FILM, BODY, etag='W/"weak"')
    origin.script(FILM, ShortRange(2 * PART + 100))
    await make_client(url).fetch_all(parts_of(url, *range(5)), shelf.make, shelf.finish)
    assert asked(origin)[1] == f"bytes=0-{PART - 1}"
    assert shelf.finished == list(FIVE)


@pytest.mark.usefixtures("joined")
async def test_an_error_names_the_part_that_failed_and_those_before_it_are_kept(
    origin: ScriptedOrigin, make_client: MakeClient, url: str, shelf: Shelf
) -> None:
    origin.script(FILM, Cut(after=2 * PART + 9000))
    origin.always(FILM, Status(403))
    failed: list[tuple[str, HlsdlError]] = []

    def forgive(resource: Resource, error: HlsdlError) -> bool:
        failed.append((resource.path, error))
        return False

    with pytest.raises(HttpError) as caught:
        await make_client(url).fetch_all(parts_of(url, *range(5)), shelf.make, shelf.finish, forgive=forgive)
    assert failed == [("2.ts", caught.value)]
    assert caught.value.http_status == 403
    assert shelf.finished == ["0.ts", "1.ts"]


@pytest.mark.usefixtures("joined")
async def test_a_range_past_the_end_costs_only_its_own_part(
    origin: ScriptedOrigin, make_client: MakeClient, url: str, shelf: Shelf
) -> None:
    past = [*parts_of(url, 18, 19), *parts_of(url, 20)]
    failed: list[tuple[str, int | None]] = []

    def forgive(resource: Resource, error: HlsdlError) -> bool:
        failed.append((resource.path, error.http_status))
        return True

    await make_client(url).fetch_all(past, shelf.make, shelf.finish, forgive=forgive)
    assert failed == [("20.ts", 416)]
    assert shelf.finished == ["18.ts", "19.ts"]


@pytest.mark.usefixtures("joined")
async def test_a_part_that_is_forgiven_is_left_out_and_the_others_are_tried(
    origin: ScriptedOrigin, make_client: MakeClient, url: str, shelf: Shelf
) -> None:
    origin.script(FILM, *[Status(404)] * 3)
    forgiven: list[str] = []

    def forgive(resource: Resource, error: HlsdlError) -> bool:
        forgiven.append(resource.path)
        return True

    await make_client(url).fetch_all(parts_of(url, *range(5)), shelf.make, shelf.finish, forgive=forgive)
    assert (forgiven, shelf.finished) == (["0.ts", "1.ts"], ["2.ts", "3.ts", "4.ts"])


@pytest.mark.usefixtures("joined")
async def test_a_joint_refusal_is_held_against_no_part_that_can_be_had_alone(
    origin: ScriptedOrigin, make_client: MakeClient, url: str, shelf: Shelf
) -> None:
    origin.script(FILM, Status(404))
    await make_client(url).fetch_all(parts_of(url, *range(5)), shelf.make, shelf.finish, forgive=lambda *_: False)
    assert (shelf.finished, len(asked(origin))) == (list(FIVE), 6)


@pytest.mark.usefixtures("joined")
async def test_once_stopped_nothing_more_is_asked_for(
    origin: ScriptedOrigin, make_client: MakeClient, url: str, shelf: Shelf
) -> None:
    origin.always(FILM, Status(403))
    failed: list[str] = []

    def forgive(resource: Resource, error: HlsdlError) -> bool:
        failed.append(resource.path)
        return True

    client = make_client(url, connections=1)
    await client.fetch_all(
        parts_of(url, *range(20)), shelf.make, shelf.finish, forgive=forgive, stopped=lambda: bool(failed)
    )
    assert (failed, len(asked(origin))) == (["0.ts"], 2)


@pytest.mark.usefixtures("joined")
async def test_what_finishing_raises_comes_bare_and_is_never_forgiven(
    origin: ScriptedOrigin, make_client: MakeClient, url: str, shelf: Shelf
) -> None:
    error = DiskError("full")

    async def finish(resource: Resource, sink: object) -> None:
        raise error

    with pytest.raises(DiskError) as caught:
        await make_client(url).fetch_all(
            parts_of(url, *range(5)), shelf.make, finish, forgive=lambda _resource, _error: True
        )
    assert (caught.value, len(asked(origin))) == (error, 1)


@pytest.mark.usefixtures("joined")
async def test_a_job_with_joint_requests_can_be_cancelled_and_begun_again(
    origin: ScriptedOrigin, make_client: MakeClient, url: str, shelf: Shelf
) -> None:
    release = threading.Event()
    origin.always(FILM, Hold(release))
    client, work = make_client(url), parts_of(url, *range(20))
    task = asyncio.create_task(client.fetch_all(work, shelf.make, shelf.finish))
    await asyncio.to_thread(origin.wait_for, FILM)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    release.set()
    await client.fetch_all(work, shelf.make, shelf.finish)
    assert sorted(shelf.finished) == sorted(part.path for part in work)


async def test_a_stream_in_one_file_uses_several_connections(
    origin: ScriptedOrigin, make_client: MakeClient, shelf: Shelf
) -> None:
    body = BODY * 10
    url = origin.add(FILM, body)
    release, done = threading.Event(), []
    origin.always(FILM, Hold(release, after=1000))
    work = parts_of(url, *range(100), size=len(body) // 100)

    async def finish(resource: Resource, sink: object) -> None:
        done.append(resource.path)

    task = asyncio.create_task(make_client(url).fetch_all(work, shelf.make, finish))
    await asyncio.to_thread(origin.wait_for, FILM, 8)
    release.set()
    await task
    assert origin.most_at_once >= 8
    assert 8 <= len(asked(origin)) <= 50
    assert len(done) == 100


@pytest.mark.usefixtures("joined")
async def test_a_page_in_place_of_media_is_refused_before_anything_is_finished(
    origin: ScriptedOrigin, make_client: MakeClient, shelf: Shelf
) -> None:
    url = origin.add(FILM, b"<!doctype html><title>Sign in</title>".ljust(len(BODY), b" "))
    with pytest.raises(IntegrityError) as caught:
        await make_client(url, retry=RetryPolicy(retries=2)).fetch_all(
            parts_of(url, *range(5)), shelf.make, shelf.finish
        )
    assert "HTML" in caught.value.message
    assert shelf.finished == []


# -- the cutter alone --------------------------------------------------------------------------------------------------


@given(
    lengths=st.lists(st.tuples(st.integers(0, 3), st.integers(1, 20)), min_size=1, max_size=12),
    tries=st.lists(st.lists(st.integers(1, 30), max_size=8), max_size=4),
)
@settings(deadline=None)
def test_however_the_bytes_come_and_however_often_they_break_off_each_part_is_finished_once_and_right(
    lengths: list[tuple[int, int]], tries: list[list[int]]
) -> None:
    """With holes between the parts; a try that broke off is followed by one that begins at the first byte again."""
    parts, at = [], 3
    for hole, length in lengths:
        parts.append(segment("https://films.example/a", part=(at + hole, length), path=f"{at + hole}"))
        at += hole + length
    data = BODY[: at + 5]
    finished: dict[str, bytes] = {}

    async def finish(resource: Resource, sink: Any) -> None:
        assert resource.path not in finished
        finished[resource.path] = sink.data

    async def feed() -> None:
        cutter = Cutter(parts, lambda _: MemorySink(), finish)
        for sizes in [*tries, [len(data)]]:
            await cutter.aim(0)
            cutter.describe(validator=Validator(), length_verified=True)
            position = 0
            for size in sizes:
                await cutter.write(data[position : position + size])
                position = min(len(data), position + size)
            assert cutter.size == position
        assert not cutter.rest

    asyncio.run(feed())
    expected = {part.path: data[part.byte_range.offset : part.byte_range.end] for part in parts if part.byte_range}
    assert finished == expected
