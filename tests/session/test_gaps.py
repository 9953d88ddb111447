"""Which segments a bundle does without, whatever its manifest says of them."""

from __future__ import annotations

import pytest

from hlsdl.bundle.manifest import GAPS, Manifest
from hlsdl.session.gaps import choices_of_gaps, told_of


def manifest(**choices: object) -> Manifest:
    return Manifest(
        id="i",
        created="c",
        title="t",
        source_url="http://h/m",
        final_url="http://h/m",
        hlsdl_version="0",
        choices=choices,
    )


@pytest.mark.parametrize(
    ("said", "gaps"),
    [
        (["0-A-1/000000001.ts"], {"0-A-1/000000001.ts"}),
        (["a", 7, None, ["b"]], {"a"}),
        ("abc", set()),
        ({"a": 1}, set()),
        (None, set()),
        (7, set()),
    ],
)
def test_what_is_no_list_of_paths_names_none(said: object, gaps: set[str]) -> None:
    assert manifest(**{GAPS: said}).gaps == gaps


def test_none_are_said_where_there_are_none() -> None:
    assert manifest().gaps == frozenset()
    assert choices_of_gaps(frozenset()) == {}


def test_what_is_written_is_read() -> None:
    assert manifest(**choices_of_gaps({"b", "a"})).gaps == {"a", "b"}


def test_how_many_there_are_is_told() -> None:
    assert "a segment was lost" in told_of({"a"})
    assert "2 segments were lost" in told_of({"a", "b"})
