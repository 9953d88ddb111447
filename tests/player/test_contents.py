"""A bundle's files are found by name, read afresh, and never through a link."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from hlsdl.player.contents import Contents

from .bundles import NEVER_SERVED, lay_out


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """A bundle that a test may spoil."""
    return lay_out("aes128", tmp_path / "A film.movpkg")


def read(bundle: Path, name: str) -> bytes | None:
    file = Contents(bundle).open(name)
    if file is None:
        return None
    with file:
        return file.read()


def stream_of(bundle: Path) -> str:
    return next(path.name for path in bundle.iterdir() if path.name.startswith("0-"))


def test_every_file_that_the_playlists_name_can_be_opened(own: Path) -> None:
    stream = stream_of(own)
    for name in ["index.m3u8", f"{stream}/index.m3u8", *(f"{stream}/{n:09d}.ts" for n in range(6))]:
        assert read(own, name) == (own / name).read_bytes()
    assert len(list((own / "keys").iterdir())) == 2
    for key in (own / "keys").iterdir():
        assert read(own, f"keys/{key.name}") == key.read_bytes()


def test_what_no_playlist_names_stays_shut(own: Path) -> None:
    stream = stream_of(own)
    (own / stream / "000000077.ts").write_bytes(b"not in the playlist")
    (own / "keys" / "OTHER.key").write_bytes(b"not in the playlist")
    for name in [*NEVER_SERVED, f"{stream}/000000077.ts", "keys/OTHER.key", f"{stream}/source.m3u8", stream, "keys"]:
        assert read(own, name) is None, name


def test_a_playlist_cannot_name_what_the_bundle_keeps_for_itself(own: Path) -> None:
    with (own / "index.m3u8").open("a") as file:
        file.write("#EXT-X-STREAM-INF:BANDWIDTH=1\nmanifest.json\n#EXT-X-STREAM-INF:BANDWIDTH=1\nData/master.m3u8\n")
    for name in NEVER_SERVED:
        assert read(own, name) is None, name


def test_a_segment_that_arrives_later_is_served_from_then_on(own: Path) -> None:
    contents, name = Contents(own), f"{stream_of(own)}/000000005.ts"
    data = (own / name).read_bytes()
    (own / name).unlink()
    assert contents.open(name) is None
    (own / name).write_bytes(data)
    with contents.open(name) as file:
        assert file.read() == data


def test_a_playlist_that_is_replaced_is_read_again(own: Path) -> None:
    contents, stream = Contents(own), stream_of(own)
    (own / stream / "000000006.ts").write_bytes(b"new")
    assert contents.open(f"{stream}/000000006.ts") is None
    text = (own / stream / "index.m3u8").read_text()
    replacement = own / stream / "replacement"
    replacement.write_text(text.replace("#EXT-X-ENDLIST", "#EXTINF:1,\n000000006.ts\n#EXT-X-ENDLIST"))
    replacement.replace(own / stream / "index.m3u8")
    with contents.open(f"{stream}/000000006.ts") as file:
        assert file.read() == b"new"


@pytest.mark.parametrize("kind", ["file", "folder", "playlist", "key", "root playlist"])
def test_a_symbolic_link_is_not_followed(own: Path, tmp_path: Path, kind: str) -> None:
    """A bundle made elsewhere may hold links to this user's files."""
    stream = stream_of(own)
    key = next((own / "keys").iterdir()).name
    target = {
        "file": f"{stream}/000000000.ts",
        "folder": stream,
        "playlist": f"{stream}/index.m3u8",
        "key": f"keys/{key}",
        "root playlist": "index.m3u8",
    }[kind]
    outside = tmp_path / "outside"
    (own / target).rename(outside)
    (own / target).symlink_to(outside)
    name = f"{stream}/000000000.ts" if kind in {"folder", "playlist"} else target
    assert read(own, name) is None
    (own / target).unlink()
    outside.rename(own / target)
    assert read(own, name) is not None


def test_a_pipe_or_a_folder_in_the_place_of_a_segment_is_not_there(own: Path) -> None:
    stream = stream_of(own)
    for number, make in enumerate((os.mkfifo, os.mkdir)):
        path = own / stream / f"{number:09d}.ts"
        path.unlink()
        make(path)
        assert read(own, f"{stream}/{number:09d}.ts") is None


def test_a_broken_playlist_lists_nothing_and_says_so(own: Path, caplog: pytest.LogCaptureFixture) -> None:
    stream = stream_of(own)
    (own / stream / "index.m3u8").write_bytes(b"<html>not a playlist</html>")
    assert read(own, f"{stream}/000000000.ts") is None
    assert f"`{stream}/index.m3u8` cannot be read as a playlist" in caplog.text


def test_playlists_that_name_each_other_come_to_an_end(own: Path) -> None:
    stream = stream_of(own)
    with (own / stream / "index.m3u8").open("a") as file:
        file.write("../index.m3u8\nindex.m3u8\n")
    assert read(own, "keys/NONE.key") is None
    assert read(own, f"{stream}/000000000.ts") is not None


def test_the_title_comes_from_the_manifest_and_may_be_missing(own: Path) -> None:
    assert Contents(own).describe().title == "A film"
    (own / "manifest.json").write_text("{torn")
    assert Contents(own).describe().title == ""
    (own / "manifest.json").unlink()
    assert Contents(own).describe().title == ""
