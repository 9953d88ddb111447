"""Which byte ranges make one request: decided before anything is asked for."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hlsdl.access.limits import KIB, MIB
from hlsdl.planning.plan import Resource
from hlsdl.transfer.joining import (
    LEAST_BYTES,
    MOST_BYTES,
    MOST_PARTS,
    Run,
    fair_share,
    is_part,
    join,
    leading,
    range_of,
    span_of,
)
from transfer.conftest import segment

FILM = "https://films.example/film.mp4"


def part(offset: int, length: int, url: str = FILM, stream: str = "0", **fields: object) -> Resource:
    return segment(url, part=(offset, length), path=f"{stream}/{offset}", stream=stream, **fields)


def row(*lengths: int, start: int = 0, **fields: str) -> list[Resource]:
    """Parts of these lengths, one behind the other."""
    parts = []
    for length in lengths:
        parts.append(part(start, length, **fields))
        start += length
    return parts


def sizes(joined: list[Resource | Run]) -> list[int]:
    """How many parts each request has; 0 for what is no run."""
    return [len(one.parts) if isinstance(one, Run) else 0 for one in joined]


def test_neighbours_make_one_request_in_their_order() -> None:
    work = row(1000, 500, 2000)
    (run,) = join(work, most_bytes=MOST_BYTES)
    assert isinstance(run, Run)
    assert run.parts == tuple(work)
    span = span_of(run.parts)
    assert (range_of(span).offset, range_of(span).length, span.limit, span.url) == (0, 3500, 3500, FILM)


def test_a_request_may_have_exactly_the_most_bytes_and_not_one_more() -> None:
    assert sizes(join(row(600, 400), most_bytes=1000)) == [2]
    assert sizes(join(row(600, 401), most_bytes=1000)) == [1, 1]


def test_a_request_may_have_exactly_the_most_parts_and_not_one_more() -> None:
    assert sizes(join(row(*[10] * MOST_PARTS), most_bytes=MOST_BYTES)) == [MOST_PARTS]
    assert sizes(join(row(*[10] * (MOST_PARTS + 1)), most_bytes=MOST_BYTES)) == [MOST_PARTS, 1]


def test_a_part_larger_than_a_request_goes_alone() -> None:
    assert sizes(join(row(10, MOST_BYTES + 1, 10), most_bytes=MOST_BYTES)) == [1, 1, 1]


@pytest.mark.parametrize(
    "second",
    [part(1001, 10), part(999, 10), part(0, 1000), part(1000, 10, url=FILM + "?2"), part(1000, 10, stream="1")],
    ids=["a gap", "an overlap", "the same again", "another URL", "another stream"],
)
def test_what_does_not_follow_in_the_same_stream_and_url_is_asked_for_alone(second: Resource) -> None:
    assert sizes(join([part(0, 1000), second], most_bytes=MOST_BYTES)) == [1, 1]


def test_streams_that_alternate_are_joined_each_for_itself() -> None:
    video, audio = row(100, 100, 100), row(10, 10, 10, url=FILM + "a", stream="1")
    mixed = [one for pair in zip(video, audio, strict=True) for one in pair]
    first, second = join(mixed, most_bytes=MOST_BYTES)
    assert isinstance(first, Run)
    assert isinstance(second, Run)
    assert (list(first.parts), list(second.parts)) == (video, audio)


def test_whole_resources_stay_as_they_are_between_the_runs() -> None:
    plain = segment("https://films.example/1.ts")
    work = [*row(10, 10), plain, *row(10, 10, start=20)]
    joined = join(work, most_bytes=MOST_BYTES)
    assert sizes(joined) == [4, 0]
    assert joined[1] is plain


@pytest.mark.parametrize(
    "odd",
    [part(0, 0), part(0, 10, limit=9), part(0, 10, url="file:///film.mp4"), segment(FILM)],
    ids=["empty", "longer than allowed", "a local file", "no range"],
)
def test_only_sound_ranges_over_the_network_are_parts(odd: Resource) -> None:
    assert not is_part(odd)
    assert join([odd], most_bytes=MOST_BYTES) == [odd]


def test_every_connection_gets_several_requests_until_they_would_be_too_small_or_too_large() -> None:
    assert fair_share(row(*[300_000] * 100), 8) == 30_000_000 // 32
    assert fair_share(row(*[10] * 100), 8) == LEAST_BYTES == 64 * KIB
    assert fair_share(row(*[MIB] * 10_000), 8) == MOST_BYTES == 8 * MIB
    assert fair_share([segment(FILM)], 8) == LEAST_BYTES


def test_a_hundred_segments_in_one_file_still_use_several_connections() -> None:
    for length in (100, 5_000, 300_000, 2_000_000):
        work = row(*[length] * 100)
        assert len(join(work, most_bytes=fair_share(work, 8))) >= 4


def test_the_leading_run_ends_at_the_first_hole() -> None:
    parts = [*row(10, 10), *row(10, 10, start=30)]
    assert leading(parts) == tuple(parts[:2])
    assert leading(parts[2:]) == tuple(parts[2:])
    assert leading(row(600, 400, 1), most_bytes=1000) == tuple(row(600, 400))


lengths = st.lists(st.integers(1, 50), min_size=1, max_size=80)


@given(
    streams=st.lists(st.tuples(lengths, st.integers(0, 5)), min_size=1, max_size=3),
    order=st.randoms(use_true_random=False),
    most_bytes=st.integers(1, 200),
    most_parts=st.integers(1, 8),
)
def test_parts_tile_their_request_nothing_is_lost_and_the_order_stays(
    streams: list[tuple[list[int], int]], order: object, most_bytes: int, most_parts: int
) -> None:
    """For any mixture of streams, with holes in them."""
    queues = []
    for number, (given_lengths, hole) in enumerate(streams):
        start, parts = 0, []
        for at, length in enumerate(given_lengths):
            start += hole if at % 7 == 6 else 0
            parts.append(part(start, length, url=f"{FILM}{number}", stream=str(number)))
            start += length
        queues.append(parts)
    work: list[Resource] = []
    while queues:
        queue = order.choice(queues)  # type: ignore[attr-defined]
        work.append(queue.pop(0))
        queues = [one for one in queues if one]
    joined = join(work, most_bytes=most_bytes, most_parts=most_parts)
    runs = [one for one in joined if isinstance(one, Run)]
    assert len(runs) == len(joined)
    assert sorted(one.path for run in runs for one in run.parts) == sorted(one.path for one in work)
    assert [work.index(run.parts[0]) for run in runs] == sorted(work.index(run.parts[0]) for run in runs)
    for run in runs:
        span = range_of(span_of(run.parts))
        assert sum(range_of(one).length for one in run.parts) == span.length
        assert all(range_of(later).offset == range_of(one).end for one, later in pairwise(run.parts))
        assert len({(one.url, one.stream) for one in run.parts}) == 1
        assert len(run.parts) == 1 or (span.length <= most_bytes and len(run.parts) <= most_parts)
    for stream in {one.stream for one in work}:
        again = [one for run in runs for one in run.parts if one.stream == stream]
        assert again == [one for one in work if one.stream == stream]
