"""A stranger's package is opened file by file, and only plain files inside of it are files."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from packages import write_package

from hlsdl.bundle import movie_package
from hlsdl.bundle.movie_package import PackageFolder, read_package
from hlsdl.errors import IntegrityError, LimitError, PolicyError, UsageError

STREAMS = ("sdr-180/index.m3u8", "aac-en/index.m3u8")
URL = "https://films.invalid/a/"


@pytest.fixture
def package(film: Path, tmp_path: Path) -> Path:
    return write_package(tmp_path / "theirs.movpkg", film, URL, STREAMS)


@pytest.fixture
def folder(package: Path) -> Iterator[PackageFolder]:
    with PackageFolder.open(package) as opened:
        yield opened


def test_it_is_read_with_its_playlists(folder: PackageFolder, film: Path) -> None:
    """NUL characters behind a playlist are not of it."""
    package = read_package(folder)
    assert package.playlists == ((film / "master.m3u8").read_bytes(),)
    assert [one.playlist for one in package.streams] == [(film / name).read_bytes() for name in STREAMS]
    assert [one.network_url for one in package.streams] == [URL + name for name in STREAMS]
    assert package.left_out == ()


def test_plain_files_have_a_size_and_bytes(folder: PackageFolder) -> None:
    assert folder.size("root.xml") == len(folder.read("root.xml", limit=10_000))
    assert folder.size("nothing") is None
    assert folder.size("no/folder") is None
    with pytest.raises(IntegrityError):
        folder.open_file("nothing")


def test_a_file_at_its_limit_is_read_and_one_byte_more_is_not(folder: PackageFolder) -> None:
    size = folder.size("root.xml")
    assert size is not None
    assert len(folder.read("root.xml", limit=size)) == size
    with pytest.raises(LimitError):
        folder.read("root.xml", limit=size - 1)


@pytest.mark.parametrize("kind", ["link", "hard link", "pipe", "folder", "linked folder"])
def test_what_is_no_plain_file_is_refused(package: Path, folder: PackageFolder, tmp_path: Path, kind: str) -> None:
    target, path = tmp_path / "target", "x"
    target.write_bytes(b"of this machine")
    match kind:
        case "link":
            (package / "x").symlink_to(target)
        case "hard link":
            (package / "x").hardlink_to(target)
        case "pipe":
            os.mkfifo(package / "x")
        case "folder":
            (package / "x").mkdir()
        case "linked folder":
            (package / "x").symlink_to(tmp_path)
            path = "x/target"
    for look in (folder.size, folder.open_file):
        with pytest.raises(PolicyError):
            look(path)


def test_what_is_no_package_is_said_to_be_none(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for path in (tmp_path / "nothing", tmp_path / "file"):
        with pytest.raises(UsageError):
            PackageFolder.open(path)
    with PackageFolder.open(tmp_path) as folder, pytest.raises(UsageError, match=r"boot\.xml"):
        read_package(folder)


class TestLeftOut:
    def left_out(self, folder: PackageFolder) -> str:
        (sentence,) = read_package(folder).left_out
        return sentence

    def info(self, package: Path) -> Path:
        return min(package.glob("1-*/StreamInfoBoot.xml"))

    def test_a_stream_that_its_own_file_calls_unfinished(self, package: Path, folder: PackageFolder) -> None:
        info = self.info(package)
        info.write_text(info.read_text().replace(">YES<", ">NO<"))
        assert "not complete" in self.left_out(folder)

    def test_a_stream_without_its_file_or_playlist(self, package: Path, folder: PackageFolder) -> None:
        (self.info(package).parent / "remote.m3u8").unlink()
        assert "whose playlist is not in the package" in self.left_out(folder)
        self.info(package).unlink()
        assert "without `StreamInfoBoot.xml`" in self.left_out(folder)

    def test_a_stream_of_no_address(self, package: Path, folder: PackageFolder) -> None:
        for path in (package / "boot.xml", self.info(package)):
            path.write_text(path.read_text().replace(f"{URL}aac-en/index.m3u8", "ftp://x/y"))
        assert "whose address nothing says" in self.left_out(folder)

    def test_a_hundred_streams_are_one_sentence(self, package: Path, folder: PackageFolder) -> None:
        boot = (package / "boot.xml").read_text()
        begun = "".join(f'<Stream Path="begun-{n}"><Complete>NO</Complete></Stream>' for n in range(100))
        (package / "boot.xml").write_text(boot.replace("</Streams>", f"{begun}</Streams>"))
        assert self.left_out(folder).endswith("`begun-0`, `begun-1`, `begun-2` and 97 more")

    def test_interstitials(self, package: Path, folder: PackageFolder) -> None:
        (package / "InterstitialAssets").mkdir()
        assert "interstitials" in self.left_out(folder)


def test_bytes_and_objects_have_a_limit_over_all_streams(
    package: Path, folder: PackageFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    listings = [one.listing for one in read_package(folder).streams]
    objects = sum(len(one.segments) + len(one.inits) for one in listings)
    names = [p for p in package.rglob("*") if p.suffix in (".xml", ".m3u8", ".data")]
    total = sum(one.stat().st_size for one in names)
    monkeypatch.setattr(movie_package, "MOST_OBJECTS", objects)
    monkeypatch.setattr(movie_package, "MOST_BYTES", total)
    read_package(folder)
    monkeypatch.setattr(movie_package, "MOST_OBJECTS", objects - 1)
    with pytest.raises(LimitError, match="objects"):
        read_package(folder)
    monkeypatch.setattr(movie_package, "MOST_OBJECTS", objects)
    monkeypatch.setattr(movie_package, "MOST_BYTES", total - 1)
    with pytest.raises(LimitError):
        read_package(folder)
