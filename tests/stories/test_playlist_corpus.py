"""Playlists that other projects test with, good and broken: each is read, or refused for a reason, and loses no line."""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from hlsdl.errors import LimitError, PlaylistError
from hlsdl.playlist import MediaPlaylist, MultivariantPlaylist, PlaylistText, fetchable_attributes, parse_playlist

URL = "https://origin.example/films/list.m3u8"

GO_FUZZ = re.compile(rb"(?:string|\[\]byte)\((.*)\)\s*$", re.DOTALL)


def playlists(corpus: Path) -> Iterator[tuple[Path, bytes]]:
    """Each playlist; in files of Go's fuzzer it is the quoted string."""
    for path in sorted((corpus / "playlists").rglob("*")):
        if path.suffix == ".m3u8":
            yield path, path.read_bytes()
        elif path.is_file() and path.parent.name == "gohlslib-fuzz" and path.name != "LICENSE":
            match = GO_FUZZ.search(path.read_bytes())
            assert match is not None, path
            yield path, ast.literal_eval("b" + match[1].decode("ascii"))


def test_every_playlist_is_read_or_refused_and_none_loses_a_line(corpus: Path) -> None:
    counts: Counter[str] = Counter()
    for path, data in playlists(corpus):
        try:
            found = parse_playlist(data, URL)
        except (PlaylistError, LimitError):
            counts["refused"] += 1
            continue
        counts[type(found).__name__] += 1
        if b"{$" not in data:
            assert found.text.encode() == data.removeprefix(b"\xef\xbb\xbf"), path
    assert counts["MediaPlaylist"] > 350
    assert counts["MultivariantPlaylist"] > 150
    assert counts["refused"] < 300


def test_decoding_loses_nothing(corpus: Path) -> None:
    for path, data in playlists(corpus):
        try:
            text = PlaylistText.decode(data)
        except PlaylistError:
            continue
        assert text.encode() == data.removeprefix(b"\xef\xbb\xbf"), path


def test_every_playlist_of_a_real_packager_is_read_without_a_warning(corpus: Path) -> None:
    paths = sorted((corpus / "presentations").rglob("*.m3u8"))
    if not paths:
        pytest.skip("the corpus has no presentations")
    for path in paths:
        found = parse_playlist(path.read_bytes(), path.as_uri())
        assert found.warnings == (), path
        if isinstance(found, MediaPlaylist):
            assert found.segments, path


def test_every_address_in_the_values_is_found_in_the_lines(corpus: Path) -> None:
    """What a value says can be fetched, the line it points at offers for rewriting."""
    for path, data in playlists(corpus):
        try:
            found = parse_playlist(data, URL)
        except (PlaylistError, LimitError):
            continue
        lines = found.text.lines
        if isinstance(found, MultivariantPlaylist):
            entries = (*found.renditions, *found.trick_play, *found.session_data)
            places = [entry.line for entry in entries if entry.uri is not None]
        else:
            places = [one.line for one in (*found.keys, *found.inits) if one.uri is not None]
        for place in places:
            assert "URI" in fetchable_attributes(lines[place]), (path, place)
