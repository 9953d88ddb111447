"""What a stranger's package holds is found by its playlists, and each object by more than its number."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from packages import MASTER_FILE, write_package

from hlsdl.bundle.movie_package import PackageFolder
from hlsdl.errors import IntegrityError
from hlsdl.session.received import EVERYTHING, Received, all_of, receive

STREAMS = ("sdr-180/index.m3u8", "aac-en/index.m3u8")
URL = "https://films.invalid/a/"


@pytest.fixture
def package(film: Path, tmp_path: Path) -> Path:
    return write_package(tmp_path / "theirs.movpkg", film, URL, STREAMS)


def received(package: Path) -> Received:
    with PackageFolder.open(package) as folder:
        return receive(folder)


def rewrite(path: Path, change: Callable[[str], str]) -> None:
    path.write_text(change(path.read_text()))


def video_info(package: Path) -> Path:
    return min(package.glob("0-*/StreamInfoBoot.xml"))


def lacking(found: Received) -> list[str]:
    return [one.path for one in all_of(found.contents.plan) if one.path not in found.places and one.kind != "data"]


def test_everything_that_it_has_is_asked_for_and_the_rest_counts_as_dropped(package: Path) -> None:
    found = received(package)
    asked = found.contents.asked
    assert asked.wishes == (EVERYTHING,)
    ids = {stream.id for stream in found.contents.plan.streams}
    assert len(ids) == 2
    assert not ids & asked.dropped
    assert len(asked.dropped) > 5
    assert lacking(found) == []


def test_nothing_in_it_counts_as_named_here(package: Path) -> None:
    assert not received(package).contents.source.is_named


def test_segments_without_numbers_are_taken_in_their_order(package: Path) -> None:
    before = received(package).places
    rewrite(video_info(package), lambda text: text.replace(' SeqNum="', ' Was="'))
    assert received(package).places == before


def test_a_segment_that_is_listed_under_another_address_is_another_segment(package: Path) -> None:
    """Numbers that are one off would give every scene the pictures of the next."""
    info = video_info(package)
    numbers = iter(range(1, 100))
    rewrite(info, lambda text: re.sub(r'(<SEG [^>]*SeqNum=")\d+', lambda found: f"{found[1]}{next(numbers)}", text))
    assert len(lacking(received(package))) > 1


def test_a_byte_range_at_another_place_is_another_segment(film: Path, tmp_path: Path) -> None:
    folder = film.parent / "byteranges"
    playlist = next(one for one in (folder / "master.m3u8").read_text().splitlines() if one and one[0] != "#")
    package = write_package(tmp_path / "ranges.movpkg", folder, URL, [playlist])
    assert lacking(received(package)) == []
    rewrite(video_info(package), lambda text: re.sub(r'(<SEG [^>]*Off=")(\d+)', r"\g<1>1\g<2>", text))
    assert len(lacking(received(package))) > 1


@pytest.mark.parametrize("spelling", ["film name", "film%20name", "./x/../film name"])
def test_addresses_may_be_spelt_in_any_way(film: Path, tmp_path: Path, spelling: str) -> None:
    origin = tmp_path / "origin"
    (origin / "film name").mkdir(parents=True)
    for file in (film / "aac-en").iterdir():
        (origin / "film name" / file.name).write_bytes(file.read_bytes())
    (origin / "x").mkdir()
    (origin / "master.m3u8").write_text(f"#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\n{spelling}/index.m3u8\n")
    package = write_package(tmp_path / "theirs.movpkg", origin, URL, ["film name/index.m3u8"])
    assert lacking(received(package)) == []


def test_of_several_multivariant_playlists_the_one_with_its_streams_counts(package: Path) -> None:
    other = "#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\nelsewhere.m3u8\n"
    half = "#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\nsdr-180/index.m3u8\n"
    for name, text in (("a.data", other), ("b.data", half), ("c.data", "no playlist")):
        (package / "Data" / name).write_text(text)
    item = "<DataItem><Category>Playlist</Category><DataPath>{}.data</DataPath></DataItem>"
    items = "".join(item.format(name) for name in "abc")
    rewrite(
        package / "boot.xml",
        lambda text: text.replace('<DataItems Directory="Data">', f"<DataItems Directory='Data'>{items}"),
    )
    assert len(received(package).contents.plan.streams) == 2


def test_without_a_multivariant_playlist_several_streams_belong_to_nothing(package: Path) -> None:
    (package / "Data" / MASTER_FILE).unlink()
    with pytest.raises(IntegrityError, match="no multivariant playlist"):
        received(package)


def test_a_package_of_nothing_complete_says_what_it_has(package: Path) -> None:
    rewrite(package / "boot.xml", lambda text: text.replace(">YES<", ">NO<"))
    with pytest.raises(IntegrityError, match="that are not complete"):
        received(package)
