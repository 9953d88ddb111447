"""Notes say each kind of oddity once, with a count, in text that is safe to show."""

from __future__ import annotations

from hlsdl.playlist.notes import LONGEST_SHOWN, Notes, shown


def test_the_same_oddity_is_told_once_with_its_first_line_and_a_count() -> None:
    notes = Notes()
    notes.add("odd", 4)
    notes.add("missing")
    for index in range(5, 9):
        notes.add("odd", index)
    assert notes.sentences() == ("line 5 (and 4 more): odd", "missing")


def test_shown_text_is_short_and_without_control_characters() -> None:
    assert shown("a\x1b[31mb\u2028c") == "a\\x1b[31mb\\u2028c"
    assert len(shown("x" * 1000)) == LONGEST_SHOWN
