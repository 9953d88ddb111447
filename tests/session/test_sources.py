"""What a source is, what its bundle is called, and where it goes."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from ladders import master, stream_inf

from hlsdl.bundle.manifest import Manifest
from hlsdl.bundle.writing import BundleWriter
from hlsdl.errors import DiskError, UsageError
from hlsdl.session.configuration import FetchOptions
from hlsdl.session.sources import Source, find_bundle, parse_source, place_for, title_in_url, title_of

URL = "https://films.test/big-film/master.m3u8?token=1"


@pytest.mark.parametrize(
    ("url", "title"),
    [
        ("https://h.test/films/Alpha.m3u8", "Alpha"),
        ("https://h.test/films/alpha/master.m3u8", "alpha"),
        ("https://h.test/alpha/index.m3u8?x=/beta.m3u8", "alpha"),
        ("https://h.test/Alpha%20Film/hls/playlist.m3u8", "hls"),
        ("https://h.test/a/prog_index.m3u8", "a"),
        ("https://h.test/master.m3u8", "h.test"),
        ("https://h.test/", "h.test"),
        ("https://h.test", "h.test"),
        ("https://h.test/a/chunklist", "a"),
        ("https://h.test/Show.S01/playlist.m3u8", "Show.S01"),
        ("file:///films/My%20film/main.m3u8", "My film"),
    ],
)
def test_the_title_is_the_last_telling_part_of_the_url(url: str, title: str) -> None:
    assert title_in_url(url) == title


def test_a_wanted_title_comes_before_the_streams_own_and_that_before_the_url() -> None:
    named = master(
        '#EXTM3U\n#EXT-X-SESSION-DATA:DATA-ID="com.apple.hls.title",VALUE="A film"\n' + stream_inf(1, "v.m3u8")
    )
    assert title_of(Source(url=URL), named, "Mine") == "Mine"
    assert title_of(Source(url=URL), named) == "A film"
    assert title_of(Source(url=URL), None) == "big-film"


@pytest.mark.parametrize(
    "text",
    [
        "ftp://h.test/a.m3u8",
        "file:///etc/passwd",
        "no-such-file.m3u8",
        "https:///a",
        "",
        "http://h.test:99999/a",
        "http://[::1",
    ],
)
def test_what_is_no_source_is_a_usage_error(text: str) -> None:
    with pytest.raises(UsageError):
        parse_source(text)


def test_a_playlist_file_is_a_source(tmp_path: Path) -> None:
    (tmp_path / "a b.m3u8").write_text("#EXTM3U\n")
    source = parse_source(str(tmp_path / "a b.m3u8"))
    assert source.url.startswith("file:///")
    assert source.url.endswith("a%20b.m3u8")


def test_a_source_shows_no_secret() -> None:
    assert "token=1" not in repr(Source(url=URL))
    assert "token=1" not in Source(url=URL).shown


def bundle(path: Path, url: str) -> Path:
    with BundleWriter.open(path) as writer:
        writer.save_manifest(Manifest(title=path.stem, source_url=url, final_url=url))
    return path


def test_a_second_run_finds_the_bundle_of_the_same_source(tmp_path: Path) -> None:
    place = bundle(tmp_path / "big-film.movpkg", URL)
    assert find_bundle(Source(url=URL), FetchOptions(directory=tmp_path)) == place


def test_a_bundle_named_by_the_stream_itself_is_found_too(tmp_path: Path) -> None:
    place = bundle(tmp_path / "A film.movpkg", URL)
    assert find_bundle(Source(url=URL), FetchOptions(directory=tmp_path)) == place


def test_another_source_under_the_name_gets_a_number_appended(tmp_path: Path) -> None:
    bundle(tmp_path / "big-film.movpkg", "https://other.test/x.m3u8")
    options = FetchOptions(directory=tmp_path)
    assert find_bundle(Source(url=URL), options) is None
    assert place_for("big-film", options) == tmp_path / "big-film 2.movpkg"
    second = bundle(tmp_path / "big-film 2.movpkg", URL)
    assert find_bundle(Source(url=URL), options) == second


def test_another_source_at_an_explicit_path_is_a_usage_error(tmp_path: Path) -> None:
    place = bundle(tmp_path / "x.movpkg", "https://other.test/x.m3u8")
    with pytest.raises(UsageError, match="another source"):
        find_bundle(Source(url=URL), FetchOptions(output=place))


def test_a_folder_that_is_no_bundle_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "x.movpkg").mkdir()
    (tmp_path / "x.movpkg" / "holiday.jpg").write_bytes(b"precious")
    with pytest.raises(UsageError, match="no bundle"):
        find_bundle(Source(url=URL), FetchOptions(output=tmp_path / "x.movpkg"))


def test_an_empty_folder_may_be_used(tmp_path: Path) -> None:
    (tmp_path / "x.movpkg").mkdir()
    assert find_bundle(Source(url=URL), FetchOptions(output=tmp_path / "x.movpkg")) is None


def test_a_disk_that_cannot_say_what_is_there_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Taken for a free place, the next step would start over on top of a bundle."""
    bundle = tmp_path / "film.movpkg"
    bundle.mkdir()
    for name in ("stat", "lstat"):
        real = getattr(os, name)

        def broken(path: object, *arguments: object, real: Callable[..., object] = real, **named: object) -> object:
            if path == bundle:
                raise OSError(errno.EIO, "Input/output error")
            return real(path, *arguments, **named)

        monkeypatch.setattr(os, name, broken)
    with pytest.raises(DiskError):
        find_bundle(Source(url=URL), FetchOptions(output=bundle))
