"""Another name of a file is a doubt once, and none where it was proven or where names say nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal

import pytest

from hlsdl.bundle.journal import Entry
from hlsdl.planning.plan import Resource
from hlsdl.playlist.models import ByteRange
from hlsdl.session.versions import MOST_NAMES, Versions


def part(number: int, url: str = "http://h/all.ts?token=1") -> Resource:
    return Resource(
        path=f"0/{number}.ts",
        url=url,
        byte_range=ByteRange(length=10, offset=10 * number),
        kind="segment",
        limit=10,
        stream="0",
        start=Decimal(number),
    )


def entry(number: int, etag: str | None, size: int = 10) -> Entry:
    return Entry(path=f"0/{number}.ts", size=size, sha256="0" * 64, etag=etag)


def entries(*etags: str | None) -> Mapping[str, Entry]:
    return {f"0/{number}.ts": entry(number, etag) for number, etag in enumerate(etags)}


@pytest.mark.parametrize(
    ("etags", "doubted"),
    [
        pytest.param(['"a"', '"a"'], None, id="one-version"),
        pytest.param(['"a"', '"b"', '"a"'], "0/1.ts", id="another"),
        pytest.param(['"a"', None, None], None, id="no-name"),
        pytest.param(['"a"', 'W/"a"'], "0/1.ts", id="a-weak-name"),
        pytest.param([None, '"a"', '"b"'], "0/2.ts", id="the-first-that-has-one-counts"),
    ],
)
def test_the_first_part_of_another_version_is_doubted(etags: list[str | None], doubted: str | None) -> None:
    found = Versions().doubted_of([part(number) for number in range(len(etags))], entries(*etags))
    assert (found and found[0].path) == doubted


def test_where_there_is_no_etag_another_length_of_the_whole_is_another_version() -> None:
    versions, first = Versions(), replace(entry(0, None), complete_length=100)
    assert versions.fits(part(0), first)
    assert versions.fits(part(1), replace(first, path="0/1.ts"))
    assert not versions.fits(part(2), replace(first, path="0/2.ts", complete_length=101))
    assert versions.fits(part(3), entry(3, None)), "nothing at all is told of it"


def test_the_query_of_a_url_makes_no_other_file_and_its_host_does() -> None:
    versions = Versions()
    assert versions.fits(part(0), entry(0, '"a"'))
    assert not versions.fits(part(1, "http://h/all.ts?token=2"), entry(1, '"b"'))
    assert versions.fits(part(1, "http://other/all.ts"), entry(1, '"b"'))


def test_a_known_part_and_the_doubted_one_are_compared() -> None:
    versions, parts = Versions(), [part(number) for number in range(4)]
    stored = {one.path: one for one in (entry(0, '"a"', 9), entry(1, '"a"', 5), entry(2, '"b"', 1), entry(3, '"b"', 1))}
    doubted = versions.doubted_of(parts, stored)
    assert doubted == (parts[2], stored["0/2.ts"])
    assert versions.parts_to_compare(parts[2], parts, stored) == [parts[0], parts[2]]
    assert versions.paths_like(parts[2], parts, stored) == ["0/2.ts", "0/3.ts"]


def test_where_four_names_were_proven_to_mean_the_same_a_fifth_says_nothing() -> None:
    versions = Versions()
    for number in range(MOST_NAMES):
        one = entry(number, f'"{number}"')
        assert versions.fits(part(number), one) == (number == 0)
        versions.accept(part(number), one)
    assert versions.fits(part(9), entry(9, '"other"'))


def test_each_stream_may_have_a_file_of_its_own_at_one_place() -> None:
    """As a script has that is asked for the picture and for the sound."""
    versions = Versions()
    picture, sound = part(0, "http://h/get?f=v"), replace(part(1, "http://h/get?f=a"), stream="1")
    assert versions.doubted_of([picture, sound], entries('"a"', '"b"')) is None
