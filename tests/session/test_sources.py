"""What a source is, and what its bundle is called."""

from __future__ import annotations

from pathlib import Path

import pytest
from ladders import master, stream_inf

from hlsdl.errors import UsageError
from hlsdl.session.sources import Source, parse_source, title_in_url, title_of

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
        "http://h.test/a\udcff",
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


def test_a_playlist_file_may_have_any_name_and_its_base_url_only_text(tmp_path: Path) -> None:
    path = tmp_path / "a\udcff.m3u8"
    path.write_text("#EXTM3U\n")
    assert parse_source(str(path)).url.endswith("a%FF.m3u8")
    with pytest.raises(UsageError, match="not valid UTF-8"):
        parse_source(str(path), base_url="https://h.test/\udcff")


def test_a_source_may_be_a_path_and_nothing_else_than_that_or_text(tmp_path: Path) -> None:
    (tmp_path / "a.m3u8").write_text("#EXTM3U\n")
    assert parse_source(tmp_path / "a.m3u8") == parse_source(str(tmp_path / "a.m3u8"))
    for wrong in (None, 5, b"http://h.test/a", []):
        with pytest.raises(UsageError, match="was given as"):
            parse_source(wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize("base_url", ["foo", "", "ftp://h.test/", "https://", "http://h.test:99999/"])
def test_a_base_url_is_a_url(base_url: str, tmp_path: Path) -> None:
    (tmp_path / "a.m3u8").write_text("#EXTM3U\n")
    with pytest.raises(UsageError, match="the base URL"):
        parse_source(tmp_path / "a.m3u8", base_url=base_url)
    assert parse_source(tmp_path / "a.m3u8", base_url="https://h.test/b/").base_url == "https://h.test/b/"


def test_a_base_url_is_for_playlist_files_alone() -> None:
    with pytest.raises(UsageError, match="the source is a URL"):
        parse_source(URL, base_url="https://h.test/b/")


def test_a_source_shows_no_secret() -> None:
    assert "token=1" not in repr(Source(url=URL))
    assert "token=1" not in Source(url=URL).shown
