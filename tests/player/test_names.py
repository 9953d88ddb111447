"""Only files that players need, by names of our own making, under content types of our own choosing."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hlsdl.player.names import CONTENT_TYPES, content_type, is_player_name, names_listed
from hlsdl.playlist.lines import PlaylistText

STREAM = "0-ABCDEFGHIJKLMNOPQRSTUVWXYZ234567-800000"


def listed(*lines: str, at: str = "index.m3u8") -> set[str]:
    return set(names_listed(PlaylistText.decode("\n".join(["#EXTM3U", *lines]).encode()), at))


@pytest.mark.parametrize(
    "name",
    [
        "index.m3u8",
        f"{STREAM}/index.m3u8",
        f"{STREAM}/000000100.m4s",
        f"{STREAM}/000000100.init.mp4",
        "keys/ABC.key",
        "Data/credits.json",
    ],
)
def test_what_a_player_needs_is_a_player_name(name: str) -> None:
    assert is_player_name(name)


@pytest.mark.parametrize(
    "name",
    [
        "",
        "manifest.json",
        "journal.jsonl",
        "lock",
        "root.xml",
        "boot.xml",
        f"{STREAM}/StreamInfoBoot.xml",
        f"{STREAM}/source.m3u8",
        f"{STREAM}/manifest.json",
        f"{STREAM}/.000000100.ts.0123abcd.part",
        f"{STREAM}/000000100.ts.part",
        "Data/master.m3u8",
        "notes.txt",
        "../index.m3u8",
        f"{STREAM}/../manifest.json",
        f"{STREAM}//index.m3u8",
        "/etc/passwd",
        "keys",
        "keys/",
        "C:/index.m3u8",
        "keys\\ABC.key",
        "keys/ABC.key\x00",
        "keys/NUL",
    ],
)
def test_everything_else_is_not(name: str) -> None:
    assert not is_player_name(name)


def test_a_playlist_lists_its_uris_and_its_uri_attributes_from_its_own_folder() -> None:
    names = listed(
        '#EXT-X-KEY:METHOD=AES-128,URI="../keys/K.key"',
        '#EXT-X-MAP:URI="000000000.init.mp4"',
        '#EXTINF:2,a title, URI="keys/title.key"',
        "000000000.m4s",
        at=f"{STREAM}/index.m3u8",
    )
    assert names == {"keys/K.key", f"{STREAM}/000000000.init.mp4", f"{STREAM}/000000000.m4s"}


@pytest.mark.parametrize(
    "uri",
    [
        "https://example.com/000000000.ts",
        "file:///etc/passwd",
        "//example.com/0.ts",
        "/etc/passwd",
        "../../secret/index.m3u8",
        "../manifest.json",
        "../.ssh/id_rsa",
        "%2e%2e/%2e%2e/etc/passwd",
        "0.ts?token=1",
        "0.ts#part",
        "source.m3u8",
        "data:text/plain,hello",
    ],
)
def test_a_uri_that_is_not_of_our_making_lists_nothing(uri: str) -> None:
    assert listed("#EXTINF:2,", uri, at=f"{STREAM}/index.m3u8") == set()


@given(st.text(max_size=80))
def test_no_uri_whatever_lists_a_name_outside_the_bundle(uri: str) -> None:
    text = PlaylistText(("#EXTM3U\n", uri.replace("\n", "") + "\n"))
    for name in names_listed(text, f"{STREAM}/index.m3u8"):
        assert is_player_name(name)
        assert ".." not in name.split("/")
        assert not name.startswith("/")


def test_no_name_gets_a_type_that_a_browser_would_run() -> None:
    """Bytes of a hostile origin, stored as `.html` or `.svg`, are bytes of no kind."""
    for name in ("a/x.html", "a/x.svg", "a/x.js", "a/x.xml", "a/x.xhtml", "a/x.pdf", "a/x", "a/x.TS"):
        assert content_type(name) == "application/octet-stream"
    assert not any(word in kind for kind in CONTENT_TYPES.values() for word in ("html", "script", "xml", "svg"))
    assert content_type(f"{STREAM}/000000100.ts") == "video/mp2t"
