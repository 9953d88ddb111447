"""Bytes are appended only when it is certain where they belong."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hlsdl.playlist.models import ByteRange
from hlsdl.transfer.ranges import (
    Complete,
    Discard,
    Take,
    TooLargeToSlice,
    Wanted,
    is_whole,
    may_resume,
    read_length,
    read_range_answer,
    read_validator,
)
from hlsdl.transfer.sink import Validator

STRONG = Validator(etag='"v1"', strong=True)
DATED = Validator(last_modified="Thu, 01 Jan 2026 00:00:00 GMT", strong=True)
PART = ByteRange(offset=1000, length=500)
LIMIT = 64 * 1024 * 1024


def answer(wanted: Wanted, status: int, length: int | None = None, slice_limit: int = LIMIT, **headers: str) -> object:
    return read_range_answer(
        wanted,
        status=status,
        headers={name.replace("_", "-"): value for name, value in headers.items()},
        content_length=length,
        slice_limit=slice_limit,
    )


@pytest.mark.parametrize(
    ("wanted", "headers"),
    [
        (Wanted(), ()),
        (Wanted(byte_range=PART), (("Range", "bytes=1000-1499"),)),
        (Wanted(held=100, validator=STRONG), (("Range", "bytes=100-"), ("If-Range", '"v1"'))),
        (Wanted(held=100, validator=DATED), (("Range", "bytes=100-"), ("If-Range", DATED.last_modified))),
        (
            Wanted(byte_range=PART, held=100, validator=STRONG),
            (("Range", "bytes=1100-1499"), ("If-Range", '"v1"')),
        ),
        (Wanted(byte_range=PART, by_range=False), ()),
    ],
)
def test_what_is_asked_for(wanted: Wanted, headers: tuple[tuple[str, str], ...]) -> None:
    assert wanted.headers() == headers


@pytest.mark.parametrize(
    ("headers", "strong"),
    [
        ({"etag": '"a"'}, True),
        ({"etag": '""'}, True),
        ({"etag": 'W/"a"'}, False),
        ({"etag": "a"}, False),
        ({"etag": '"a b"'}, False),
        ({}, False),
        ({"last-modified": "Fri, 20 Nov 2026 10:00:00 GMT", "date": "Fri, 20 Nov 2026 10:01:00 GMT"}, True),
        ({"last-modified": "Fri, 20 Nov 2026 10:00:00 GMT", "date": "Fri, 20 Nov 2026 10:00:59 GMT"}, False),
        ({"last-modified": "Fri, 20 Nov 2026 10:00:00 GMT"}, False),
        ({"last-modified": "garbage", "date": "Fri, 20 Nov 2026 10:01:00 GMT"}, False),
        (
            {
                "etag": 'W/"a"',
                "last-modified": "Fri, 20 Nov 2026 10:00:00 GMT",
                "date": "Fri, 20 Nov 2026 11:00:00 GMT",
            },
            False,
        ),
    ],
)
def test_a_validator_is_strong_only_when_it_proves_equality(headers: dict[str, str], strong: bool) -> None:
    assert read_validator(headers).strong is strong


@pytest.mark.parametrize(
    ("held", "validator", "expected"),
    [
        (8 * 1024 * 1024, STRONG, True),
        (8 * 1024 * 1024 - 1, STRONG, False),
        (8 * 1024 * 1024, Validator(etag='W/"a"'), False),
        (8 * 1024 * 1024, None, False),
        (0, STRONG, False),
    ],
)
def test_resuming_needs_enough_bytes_and_a_strong_validator(
    held: int, validator: Validator | None, expected: bool
) -> None:
    assert may_resume(held, validator, least=8 * 1024 * 1024) is expected


@pytest.mark.parametrize(
    ("content_range", "length", "whole"),
    [
        ("bytes 0-99/100", 100, True),
        ("bytes 0-99/100", None, True),
        ("bytes 0-98/100", 99, False),
        ("bytes 1-99/100", 99, False),
        ("bytes 0-99/*", 100, False),
        ("bytes 0-99/100", 99, False),
        ("bytes 0-100/100", 101, False),
        ("", 100, False),
    ],
)
def test_a_206_that_was_not_asked_for_is_the_whole_only_when_it_says_so(
    content_range: str, length: int | None, whole: bool
) -> None:
    assert is_whole({"content-range": content_range}, length) is whole


def test_an_unasked_206_is_taken_like_a_200() -> None:
    whole = {"content_range": "bytes 0-4999/5000"}
    assert answer(Wanted(), 206, None, **whole) == Take(restart=True, body_length=5000, total=5000)
    assert answer(Wanted(byte_range=PART, by_range=False), 206, 5000, **whole) == Take(
        restart=True, skip=1000, length=500, body_length=5000, total=5000
    )


def test_a_200_is_the_whole_and_starts_over() -> None:
    assert answer(Wanted(held=100, validator=STRONG), 200, 900) == Take(restart=True, body_length=900, total=900)
    assert answer(Wanted(), 200, None) == Take(restart=True)


def test_a_200_to_a_byte_range_is_sliced() -> None:
    assert answer(Wanted(byte_range=PART), 200, 5000) == Take(
        restart=True, skip=1000, length=500, body_length=5000, total=5000
    )
    assert answer(Wanted(byte_range=PART), 200, None) == Take(restart=True, skip=1000, length=500)


def test_a_slice_is_cut_up_to_the_limit_and_not_past_it() -> None:
    at_limit = answer(Wanted(byte_range=PART), 200, 5000, slice_limit=5000)
    assert isinstance(at_limit, Take)
    assert answer(Wanted(byte_range=PART), 200, 5001, slice_limit=5000) == TooLargeToSlice(total=5001)
    assert isinstance(answer(Wanted(byte_range=PART), 200, None, slice_limit=1500), Take)
    assert answer(Wanted(byte_range=PART), 200, None, slice_limit=1499) == TooLargeToSlice(total=None)


def test_a_200_that_is_too_short_for_the_byte_range_is_discarded() -> None:
    assert isinstance(answer(Wanted(byte_range=PART), 200, 1499), Discard)
    assert isinstance(answer(Wanted(byte_range=PART), 200, 1500), Take)


@pytest.mark.parametrize(
    ("wanted", "length", "content_range", "expected"),
    [
        (
            Wanted(held=100, validator=STRONG),
            900,
            "bytes 100-999/1000",
            Take(restart=False, body_length=900, total=1000),
        ),
        (
            Wanted(held=100, validator=STRONG),
            None,
            "bytes 100-999/*",
            Take(restart=False, body_length=900, whole=False),
        ),
        (
            Wanted(held=100, validator=STRONG, total=1000),
            None,
            "bytes 100-999/*",
            Take(restart=False, body_length=900, total=1000),
        ),
        (
            Wanted(held=100, validator=STRONG, total=1000),
            None,
            "bytes 100-599/*",
            Take(restart=False, body_length=500, whole=False, total=1000),
        ),
        (Wanted(byte_range=PART), 500, "bytes 1000-1499/9999", Take(restart=True, body_length=500, total=9999)),
        (
            Wanted(byte_range=PART, held=100, validator=STRONG),
            400,
            "bytes 1100-1499/9999",
            Take(restart=False, body_length=400, total=9999),
        ),
        (
            Wanted(byte_range=PART),
            100,
            "bytes 1000-1099/9999",
            Take(restart=True, body_length=100, whole=False, total=9999),
        ),
        (
            Wanted(held=100, validator=STRONG),
            100,
            "bytes 100-199/1000",
            Take(restart=False, body_length=100, whole=False, total=1000),
        ),
    ],
)
def test_a_206_that_fits_is_taken(wanted: Wanted, length: int | None, content_range: str, expected: Take) -> None:
    assert answer(wanted, 206, length, content_range=content_range, etag='"v1"') == expected


@pytest.mark.parametrize(
    ("wanted", "length", "headers"),
    [
        (Wanted(held=100, validator=STRONG), 900, {}),
        (Wanted(held=100, validator=STRONG), 900, {"content_range": "bytes 101-999/1000"}),
        (Wanted(held=100, validator=STRONG), 900, {"content_range": "bytes 99-998/1000"}),
        (Wanted(held=100, validator=STRONG), 899, {"content_range": "bytes 100-999/1000"}),
        (Wanted(held=100, validator=STRONG), 901, {"content_range": "bytes 100-1000/1000"}),
        (Wanted(held=100, validator=STRONG), 900, {"content_range": "bytes 999-100/1000"}),
        (Wanted(held=100, validator=STRONG), 900, {"content_range": "items 100-999/1000"}),
        (Wanted(held=100, validator=STRONG), 900, {"content_range": "bytes 100-999/1000, bytes 1-2/3"}),
        (Wanted(held=100, validator=STRONG), 900, {"content_range": "bytes 100-999/" + "9" * 30}),
        (Wanted(held=100, validator=STRONG, total=1001), 900, {"content_range": "bytes 100-999/1000"}),
        (Wanted(held=100, validator=STRONG, total=900), 900, {"content_range": "bytes 100-999/*"}),
        (Wanted(held=100, validator=STRONG), 900, {"content_range": "bytes 100-999/1000", "etag": '"v2"'}),
        (Wanted(held=100, validator=STRONG), 900, {"content_range": "bytes 100-999/1000", "etag": 'W/"v1"'}),
        (Wanted(held=100), 900, {"content_range": "bytes 100-999/1000"}),
        (Wanted(byte_range=PART), 501, {"content_range": "bytes 1000-1500/9999"}),
        (Wanted(byte_range=PART), 500, {"content_range": "bytes 1000-1499/1499"}),
        (Wanted(byte_range=PART), 100, {"content_range": "bytes 1000-1099/9999", "etag": 'W/"v1"'}),
        (Wanted(byte_range=PART), 500, {"content_type": "multipart/byteranges; boundary=x"}),
    ],
)
def test_a_206_with_any_contradiction_is_discarded_and_asked_for_without_a_range(
    wanted: Wanted, length: int, headers: dict[str, str]
) -> None:
    decision = answer(wanted, 206, length, **{"etag": '"v1"', **headers})
    assert isinstance(decision, Discard)
    assert decision.by_range is False


def test_a_206_for_a_dated_part_needs_the_same_date() -> None:
    wanted = Wanted(held=100, validator=DATED)
    fits = {"content_range": "bytes 100-999/1000"}
    assert isinstance(answer(wanted, 206, 900, last_modified=DATED.last_modified or "", **fits), Take)
    assert isinstance(answer(wanted, 206, 900, last_modified="Thu, 01 Jan 2026 00:00:01 GMT", **fits), Discard)


@pytest.mark.parametrize(
    ("wanted", "content_range", "expected"),
    [
        (Wanted(held=1000, validator=STRONG), "bytes */1000", Complete),
        (Wanted(held=1000, validator=STRONG, total=1000), "bytes */1000", Complete),
        (Wanted(held=1000, validator=STRONG, total=1188), "bytes */1000", Discard),
        (Wanted(held=1000, validator=STRONG), "bytes */999", Discard),
        (Wanted(held=1000, validator=STRONG), "bytes */1001", Discard),
        (Wanted(held=1000, validator=STRONG), "", Discard),
        (Wanted(byte_range=PART), "bytes */500", Discard),
        (Wanted(byte_range=PART, held=500, validator=STRONG), "bytes */500", Discard),
    ],
)
def test_a_416_means_complete_only_when_the_length_is_exactly_what_is_held(
    wanted: Wanted, content_range: str, expected: type
) -> None:
    assert isinstance(answer(wanted, 416, content_range=content_range), expected)


NEAR = st.integers(min_value=-2, max_value=2)


@settings(max_examples=1000, deadline=None)
@given(
    what=st.sampled_from([(0, True), (100, True), (100, False)]), shifts=st.tuples(NEAR, NEAR, NEAR, st.none() | NEAR)
)
def test_whatever_a_206_says_only_the_bytes_that_are_missing_are_appended(
    what: tuple[int, bool], shifts: tuple[int, int, int, int | None]
) -> None:
    """Every number of the answer is right, or wrong by one or two."""
    held, by_part = what
    wanted = Wanted(byte_range=PART if by_part else None, held=held, validator=STRONG, by_range=True)
    end = wanted.last if wanted.last is not None else 1999
    first, last, total = wanted.first + shifts[0], end + shifts[1], end + 1 + shifts[2]
    length = None if shifts[3] is None else end - wanted.first + 1 + shifts[3]
    decision = answer(wanted, 206, length, content_range=f"bytes {first}-{last}/{total}", etag='"v1"')
    if not isinstance(decision, Take):
        assert isinstance(decision, Discard)
        assert any(shifts)
        return
    assert (first, decision.skip, decision.length, decision.restart) == (wanted.first, 0, None, held == 0)
    assert first <= last < total
    assert decision.body_length == last - first + 1
    assert length in {None, decision.body_length}
    assert decision.whole is (last == (end if by_part else total - 1))


@pytest.mark.parametrize(
    ("headers", "length"),
    [
        ({"content-range": "bytes 0-0/188"}, 188),
        ({"content-range": " bytes 0-0/0 "}, 0),
        ({"content-range": "bytes 0-0/*"}, None),
        ({"content-range": "bytes */188"}, None),
        ({"content-range": "bytes 0-0/188", "content-encoding": "gzip"}, None),
        ({"content-range": "bytes 0-0/188", "content-encoding": "identity"}, 188),
        ({}, None),
    ],
)
def test_the_length_of_an_entity_is_read_from_the_range_of_a_part(headers: dict[str, str], length: int | None) -> None:
    assert read_length(headers) == length
