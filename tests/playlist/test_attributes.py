"""The grammar below a tag: a value, or a PlaylistError with the 1-based line; never a guess about bytes."""

from __future__ import annotations

from decimal import Decimal

import pytest

from hlsdl.errors import LimitError, PlaylistError
from hlsdl.playlist.attributes import (
    is_date_time,
    read_attributes,
    read_byte_range,
    read_duration,
    read_float,
    read_hexadecimal,
    read_integer,
    read_list,
    read_number,
    read_resolution,
)
from hlsdl.playlist.lines import DEFAULT_LIMITS, PlaylistLimits
from hlsdl.playlist.notes import Notes


def attributes(text: str) -> tuple[dict[str, str], tuple[str, ...]]:
    notes = Notes()
    return read_attributes(f"#EXT-X-FOO:{text}\n", 4, notes), notes.sentences()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param('A=1,B="x,y=z",C=0xF', {"A": "1", "B": "x,y=z", "C": "0xF"}, id="plain"),
        pytest.param('A = 1 , B = "x" ,', {"A": "1", "B": "x"}, id="blanks-and-trailing-comma"),
        pytest.param("A=", {"A": ""}, id="empty"),
        pytest.param('A=""', {"A": ""}, id="empty-quotes"),
        pytest.param("A=1,A=1", {"A": "1"}, id="the-same-twice"),
        pytest.param("A=b c,D=e'f", {"A": "b c", "D": "e'f"}, id="unquoted-text"),
        pytest.param('A="it\'s",B="x"', {"A": "it's", "B": "x"}, id="apostrophe"),
        pytest.param("", {}, id="nothing"),
    ],
)
def test_attribute_lists_are_read(text: str, expected: dict[str, str]) -> None:
    assert attributes(text) == (expected, ())


@pytest.mark.parametrize(
    ("text", "expected", "note"),
    [
        pytest.param("A='x',B=1", {"A": "x", "B": "1"}, "single quotes", id="single-quotes"),
        pytest.param('A="x"y,B=1', {"A": "x", "B": "1"}, "after the closing quote", id="text-after-quote"),
        pytest.param("foo,B=1", {"B": "1"}, "no attribute", id="no-attribute"),
        pytest.param('A="x","y,A=2",B=1', {"A": "x", "B": "1"}, "no attribute", id="quoted-list"),
    ],
)
def test_oddities_of_attribute_lists_are_noted(text: str, expected: dict[str, str], note: str) -> None:
    found, notes = attributes(text)
    assert (found, len(notes)) == (expected, 1)
    assert note in notes[0]
    assert notes[0].startswith("line 5: ")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        pytest.param('A="x,B=1', "attribute `A` has an unclosed quote", id="unclosed"),
        pytest.param('A="', "attribute `A` has an unclosed quote", id="only-a-quote"),
        pytest.param('A=x",B=1', "attribute `A` has an unclosed quote", id="stray"),
        pytest.param('",A=1', "an item without a name has an unclosed quote", id="nameless"),
        pytest.param('=",A=1', "an item without a name has an unclosed quote", id="empty-name"),
        pytest.param('A="x"y",B=1', "attribute `A` has an unclosed quote", id="in-text-after-quote"),
        pytest.param("A=1,A=2", "attribute `A` is given twice", id="twice"),
    ],
)
def test_attribute_lists_that_hide_a_value_are_refused(text: str, reason: str) -> None:
    with pytest.raises(PlaylistError) as caught:
        attributes(text)
    assert (caught.value.reason, caught.value.line) == (reason, 5)


@pytest.mark.parametrize(("text", "number"), [("0", 0), ("007", 7), (str(2**63 - 1), 2**63 - 1)])
def test_integers_are_read_up_to_the_limit(text: str, number: int) -> None:
    assert read_integer(text, "it", 0, DEFAULT_LIMITS) == number


@pytest.mark.parametrize("text", ["", "-1", "+1", "1.0", "1e3", "0x1", "1_000", "٣", " 1"])
def test_what_is_no_decimal_integer_is_refused(text: str) -> None:
    with pytest.raises(PlaylistError) as caught:
        read_integer(text, "it", 2, DEFAULT_LIMITS)
    assert caught.value.line == 3


@pytest.mark.parametrize("text", [str(2**63), "9" * 400, "9" * 10_000])
def test_integers_past_the_limit_are_a_limit_error(text: str) -> None:
    with pytest.raises(LimitError, match="`max_integer`"):
        read_integer(text, "it", 0, DEFAULT_LIMITS)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        pytest.param("6.006,", "6.006", id="decimal"),
        pytest.param("6", "6", id="no-comma"),
        pytest.param("10.000000,a title, with commas", "10.000000", id="title"),
        pytest.param("5.9999999999999999999,", "5.9999999999999999999", id="exact"),
        pytest.param("0,", "0", id="zero"),
        pytest.param(".5,", "0.5", id="no-leading-digit"),
        pytest.param("9.", "9", id="no-fraction"),
        pytest.param("8.8E-5,", "0.000088", id="small-exponent"),
        pytest.param("-0,", "0", id="minus-zero"),
    ],
)
def test_durations_are_exact(value: str, seconds: str) -> None:
    notes = Notes()
    assert read_duration(value, 0, DEFAULT_LIMITS, notes) == Decimal(seconds)
    assert not notes.sentences()


@pytest.mark.parametrize(
    ("value", "seconds", "notes"),
    [
        pytest.param("-1,", 0, 1, id="unknown"),
        pytest.param("-0.001,", 0, 1, id="rounding"),
        pytest.param('-1 tvg-id="x" group-title="a,b",News', 0, 2, id="iptv"),
        pytest.param("6;", 6, 1, id="semicolon"),
        pytest.param("6 seconds,", 6, 1, id="words"),
    ],
)
def test_odd_durations_are_noted(value: str, seconds: int, notes: int) -> None:
    found = Notes()
    assert read_duration(value, 0, DEFAULT_LIMITS, found) == seconds
    assert len(found.sentences()) == notes


@pytest.mark.parametrize(
    "value",
    ["", ",", "nan", "NaN,", "inf", "-inf,", "-1.01", "-2,", "abc", "1e9999", "0x10", "6,5"[1:], "1" * 65, "٣,"],
)
def test_durations_that_are_no_number_from_0_are_refused(value: str) -> None:
    with pytest.raises(PlaylistError) as caught:
        read_duration(value, 7, DEFAULT_LIMITS, Notes())
    assert caught.value.line == 8


@pytest.mark.parametrize("value", ["10.001", "1e309", "1e999", "9" * 60])
def test_durations_past_the_limit_are_a_limit_error(value: str) -> None:
    limits = PlaylistLimits(max_duration=10)
    assert read_duration("10,", 0, limits, Notes()) == 10
    with pytest.raises(LimitError, match="`max_duration` of 10"):
        read_duration(value, 0, limits, Notes())


@pytest.mark.parametrize(
    ("text", "expected"), [("50", (50, None)), ("50@0", (50, 0)), (f"1@{2**63 - 2}", (1, 2**63 - 2))]
)
def test_byte_ranges_are_read(text: str, expected: tuple[int, int | None]) -> None:
    assert read_byte_range(text, "it", 0, DEFAULT_LIMITS) == expected


@pytest.mark.parametrize("text", ["", "@", "50@", "@50", "-1@0", "50@-1", "50 @0", "1.5@0", "0@10", "0", "5@5@5"])
def test_byte_ranges_that_name_no_bytes_are_refused(text: str) -> None:
    with pytest.raises(PlaylistError):
        read_byte_range(text, "it", 0, DEFAULT_LIMITS)


@pytest.mark.parametrize("text", [f"{2**63}@0", f"1@{2**63 - 1}", f"5@{2**63}"])
def test_byte_ranges_past_the_limit_are_a_limit_error(text: str) -> None:
    with pytest.raises(LimitError):
        read_byte_range(text, "it", 0, DEFAULT_LIMITS)


@pytest.mark.parametrize("text", ["1920x1080", "1920X1080", "1920×1080"])
def test_resolutions_are_read(text: str) -> None:
    assert read_resolution(text, 0) == (1920, 1080)


@pytest.mark.parametrize("text", ["", "1920", "1920x", "1920x1080x2", "1920.0x1080", "-1x1", "9999999999x1"])
def test_what_is_no_resolution_is_refused(text: str) -> None:
    with pytest.raises(PlaylistError):
        read_resolution(text, 0)


@pytest.mark.parametrize("text", ["0x1", "0XaF", "0x" + "0" * 40 + "f" * 32])
def test_hexadecimal_text_stays_as_written(text: str) -> None:
    assert read_hexadecimal(text, "it", 0, digits=32) == text


@pytest.mark.parametrize("text", ["", "0x", "1f", "0xg", "0x1 ", "0x" + "f" * 33])
def test_what_is_no_hexadecimal_sequence_is_refused(text: str) -> None:
    with pytest.raises(PlaylistError):
        read_hexadecimal(text, "it", 0, digits=32)


def test_numbers_are_finite() -> None:
    assert (read_number("-1.5", "it", 0), read_float("23.976", "it", 0)) == (Decimal("-1.5"), 23.976)
    for text in ("nan", "inf", "1e400", "", "1,5"):
        with pytest.raises(PlaylistError):
            read_float(text, "it", 0)


@pytest.mark.parametrize(
    ("text", "full"),
    [
        ("2026-01-02T03:04:05.678Z", True),
        ("2026-01-02T03:04:05.123456789+05:30", True),
        ("2026-01-02T03:04:05+0530", True),
        ("2026-01-02T03:04:05", False),
        ("2026-01-02t03:04:05z", False),
        ("2026-01-02T03:04:60Z", False),
        ("yesterday", False),
    ],
)
def test_full_dates_are_told_from_odd_ones(text: str, full: bool) -> None:
    assert is_date_time(text) is full


def test_lists_drop_blanks_and_empty_items() -> None:
    assert read_list(" avc1.64001f, mp4a.40.2 ,,") == ("avc1.64001f", "mp4a.40.2")
