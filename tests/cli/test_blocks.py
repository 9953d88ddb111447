"""Tables as plain text, and what people read for sizes, rates and times."""

from __future__ import annotations

import io

import pytest

from hlsdl.cli.blocks import Facts, Grid, Lines, cell, format_bitrate, format_bytes, format_duration, plain
from hlsdl.cli.drawing import draw

HOSTILE = "A\x1b[2J\x1b]0;pwned\x07film\u202egpj.\x9b31m"


def test_control_characters_of_a_server_do_not_reach_the_terminal() -> None:
    shown = plain(HOSTILE)
    assert shown == r"A\x1b[2J\x1b]0;pwned\x07film\u202egpj.\x9b31m"


def test_letters_of_every_language_stay() -> None:
    assert plain("Fünf Freunde – 日本語 🎬\n\tאב") == "Fünf Freunde – 日本語 🎬\n\tאב"


def test_a_cell_is_one_line() -> None:
    assert cell("a\nb\tc") == "a b c"
    assert (cell(None), cell(""), cell(0), cell(False)) == ("-", "-", "0", "False")


def test_a_grid_has_aligned_columns_that_are_never_cut() -> None:
    long = "x" * 300
    text = Grid("streams", ("id", "what"), [("0", long), ("long-id", None)]).plain()
    assert text == f"streams:\n  id       what\n  0        {long}\n  long-id  -"


def test_facts_have_their_values_in_one_column() -> None:
    assert Facts([("a", 1), ("long", "two")]).plain() == "a     1\nlong  two"


def test_drawn_tables_hold_the_same_text_and_nothing_hostile() -> None:
    stream = io.StringIO()
    blocks = [Facts([("title", HOSTILE)]), Grid("chosen", ("what",), [("[red]not markup[/red]",)]), Lines(["done"])]
    draw(blocks, stream, colour=False, width=120)
    drawn = stream.getvalue()
    assert "[red]not markup[/red]" in drawn
    assert "done" in drawn
    assert "\x1b" not in drawn
    assert "\x9b" not in drawn


@pytest.mark.parametrize(
    ("count", "text"), [(0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (41_234_567, "41.2 MB"), (3e12, "3.0 TB")]
)
def test_bytes_are_told_in_units_of_1000(count: float, text: str) -> None:
    assert format_bytes(count) == text


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.4, "0:00"), (24, "0:24"), (61, "1:01"), (3723, "1:02:03"), (None, "-")]
)
def test_durations_are_told_as_clocks(seconds: float | None, text: str) -> None:
    assert format_duration(seconds) == text


@pytest.mark.parametrize(("bits", "text"), [(800_000, "800 kbit/s"), (5_200_000, "5.2 Mbit/s"), (None, "-"), (0, "-")])
def test_bitrates_are_told_in_bits(bits: int | None, text: str) -> None:
    assert format_bitrate(bits) == text
