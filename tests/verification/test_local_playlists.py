"""Local playlists: closed, complete, and in the order of their sources."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from hlsdl.bundle.reading import Bundle
from hlsdl.verification import Code, Severity

from .bundles import (
    codes,
    copied,
    first,
    resealed,
)

OPEN_LINES = [
    "https://example.com/segment.ts",
    "HTTP://example.com/segment.ts",
    "//example.com/segment.ts",
    "/etc/passwd",
    "file:///etc/passwd",
    "../../outside.ts",
    "a/../../../outside.ts",
    "\\\\host\\share.ts",
    '#EXT-X-MAP:URI="https://example.com/init.mp4"',
    '#EXT-X-KEY:METHOD=AES-128,URI="https://example.com/key"',
    '#EXT-X-DATERANGE:ID="ad",START-DATE="2024-01-01T00:00:00Z",X-ASSET-URI="https://example.com/ad.m3u8"',
    '#EXT-X-DATERANGE:ID="ad",START-DATE="2024-01-01T00:00:00Z",X-ASSET-LIST="https://example.com/ads.json"',
    '#EXT-X-CONTENT-STEERING:SERVER-URI="/steering"',
    '#EXT-X-NOBODY-KNOWS-THIS:A=1,URI="ws://example.com/"',
    '#EXT-X-PART:DURATION=1,URI="../../part.ts"',
]


@pytest.mark.parametrize("line", OPEN_LINES)
@pytest.mark.parametrize("file", ["index.m3u8", "stream"])
def test_a_way_out_of_the_bundle_is_found_in_any_line(aes: Path, line: str, file: str) -> None:
    path = first(aes, "0-*/index.m3u8") if file == "stream" else file
    if file == "index.m3u8" and line.startswith(("../../", "a/../")):
        line = line.removeprefix("../")
    report = resealed(aes, path, lambda text: f"{text}{line}\n")
    opened = [finding for finding in report.findings if finding.code is Code.OPEN_URI]
    assert [(finding.path, finding.severity) for finding in opened] == [(path, Severity.ERROR)]


CLOSED_LINES = [
    "# a comment: https://example.com/",
    '#EXT-X-VENDOR:NOTE="https://example.com/"',
    '#EXT-X-KEY:METHOD=SAMPLE-AES,URI="skd://asset",KEYFORMAT="com.apple.streamingkeydelivery"',
    '#EXT-X-KEY:METHOD=SAMPLE-AES,URI="urn:uuid:1",KEYFORMAT="urn:uuid:2"',
    '#EXT-X-VENDOR:URI="data:text/plain,https://example.com"',
    '#EXT-X-VENDOR:URI="clearkey:1"',
]


@pytest.mark.parametrize("line", CLOSED_LINES)
def test_text_and_schemes_without_a_network_are_no_way_out(aes: Path, line: str) -> None:
    report = resealed(aes, first(aes, "0-*/index.m3u8"), lambda text: f"{text}{line}\n")
    assert Code.OPEN_URI not in {finding.code for finding in report.findings}
    assert Code.UNLISTED not in {finding.code for finding in report.findings}


def test_a_licence_server_of_a_key_system_is_a_warning(aes: Path) -> None:
    line = '#EXT-X-KEY:METHOD=SAMPLE-AES,URI="https://licence.example.com/",KEYFORMAT="urn:uuid:edef8ba9"\n'
    report = resealed(aes, first(aes, "0-*/index.m3u8"), lambda text: text + line)
    opened = [finding for finding in report.findings if finding.code is Code.OPEN_URI]
    assert [finding.severity for finding in opened] == [Severity.WARNING]


def test_messages_never_repeat_an_address(aes: Path) -> None:
    """Its query may be a token."""
    line = "https://user:secret@example.com/segment.ts?token=secret\n"
    report = resealed(aes, first(aes, "0-*/index.m3u8"), lambda text: text + line)
    assert "secret" not in json.dumps(report.to_document())


def test_a_playlist_that_names_a_file_that_is_not_stored_is_found(aes: Path) -> None:
    path = first(aes, "0-*/index.m3u8")
    report = resealed(aes, path, lambda text: text.replace("000000008.ts", "000000099.ts"))
    assert ("unlisted", path) in codes(report)
    assert ("unused", f"{path.partition('/')[0]}/000000008.ts") in codes(report)


def test_a_file_that_lies_there_without_an_entry_is_not_stored(aes: Path) -> None:
    """A foreign file under a name that the playlist gives is told once, with the playlist."""
    path = first(aes, "0-*/index.m3u8")
    stranger = f"{path.partition('/')[0]}/000000099.ts"
    (aes / stranger).write_bytes(b"G" * 188)
    report = resealed(aes, path, lambda text: text.replace("000000008.ts", "000000099.ts"))
    assert ("unlisted", path) in codes(report)
    assert ("foreign", stranger) not in codes(report)


def test_a_stream_that_the_index_does_not_offer_is_unused(film: Path) -> None:
    subtitles = next(stream for stream in Bundle.open(film).streams if stream.kind == "subtitles")

    def change(text: str) -> str:
        return "".join(line for line in text.splitlines(keepends=True) if subtitles.id not in line)

    report = resealed(film, "index.m3u8", change)
    assert codes(report) == {("unused", subtitles.playlist)}


@pytest.mark.parametrize("file", ["index.m3u8", "stream"])
def test_a_local_playlist_that_is_none_is_found(aes: Path, file: str) -> None:
    path = first(aes, "0-*/index.m3u8") if file == "stream" else file
    assert ("bad-playlist", path) in codes(resealed(aes, path, lambda _text: "<html>"))


@pytest.mark.parametrize("line", ["#EXT-X-ENDLIST\n", "#EXT-X-PLAYLIST-TYPE:VOD\n"])
def test_a_local_playlist_must_say_that_it_is_finished(aes: Path, line: str) -> None:
    path = first(aes, "0-*/index.m3u8")
    report = resealed(aes, path, lambda text: text.replace(line, ""))
    assert codes(report) == {("not-sealed", path)}


def swapped(text: str) -> str:
    return text.replace("000000008.ts", "?").replace("000000009.ts", "000000008.ts").replace("?", "000000009.ts")


DISORDER: dict[str, Callable[[str], str]] = {
    "two segments swapped": swapped,
    "another duration": lambda text: text.replace("#EXTINF:1.000000,\n000000008.ts", "#EXTINF:1.5,\n000000008.ts"),
    "another media sequence": lambda text: text.replace("MEDIA-SEQUENCE:7", "MEDIA-SEQUENCE:8"),
    "a key line dropped": lambda text: text.replace(text[text.rindex("#EXT-X-KEY") :].split("\n", 1)[0] + "\n", ""),
    "a segment dropped": lambda text: text.replace("#EXTINF:1.000000,\n000000012.ts\n", ""),
    "a discontinuity added": lambda text: text.replace("#EXTINF:1.000000,\n000000009", "#EXT-X-DISCONTINUITY\n#EXTINF:1.000000,\n000000009"),
}  # fmt: skip


@pytest.mark.parametrize("change", DISORDER)
def test_a_local_playlist_plays_what_its_source_plays(aes: Path, change: str) -> None:
    path = first(aes, "0-*/index.m3u8")
    report = resealed(aes, path, DISORDER[change])
    assert ("order-mismatch", path) in codes(report)


def test_the_init_section_must_be_the_one_of_the_source(sealed: dict[str, Path], tmp_path: Path) -> None:
    odd = copied(sealed["odd"], tmp_path)
    path = first(odd, "0-*/index.m3u8")
    report = resealed(odd, path, lambda text: text.replace("000000103.init.mp4", "000000100.init.mp4"))
    assert ("order-mismatch", path) in codes(report)
