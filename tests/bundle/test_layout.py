"""Names: what is safe on every file system, and what may be used inside a bundle."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hlsdl.bundle import layout
from hlsdl.bundle.layout import (
    bundle_name,
    final_name,
    is_derived,
    is_media,
    is_object_path,
    is_safe_path,
    is_segment,
    is_stream_folder,
    safe_title,
    temporary_name,
)

from .shelves import AUDIO, VIDEO


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("A film", "A film"),
        ("  A   film \t", "A film"),
        ("../../etc/passwd", "_.._etc_passwd"),
        ('a<b>:"c|d?e*', "a_b___c_d_e_"),
        ("CON", "_CON"),
        ("con.txt", "_con.txt"),
        ("COM1", "_COM1"),
        ("lpt³", "_lpt³"),
        ("CONTENT", "CONTENT"),
        ("trailing. . .", "trailing"),
        (".hidden", "hidden"),
        ("-rf", "rf"),
        ("evil\u202egnp.exe", "evilgnp.exe"),
        ("a\x00b\x1b[31m\nc", "ab[31m c"),
        ("cafe\u0301", "caf\u00e9"),
        ("", "stream"),
        ("...", "stream"),
        ("\u200b\u200e", "stream"),
    ],
)
def test_a_title_becomes_a_safe_name(text: str, expected: str) -> None:
    """Each known trap of file names has one known answer."""
    assert safe_title(text) == expected


@given(st.text(max_size=300))
def test_any_title_gives_a_usable_name(text: str) -> None:
    """Whatever the title, the name is not empty, NFC, at most 120 bytes in all, stable, and holds nothing forbidden."""
    name = bundle_name(text)
    title = name.removesuffix(".movpkg")
    assert title
    assert len(name.encode()) <= 120
    assert unicodedata.is_normalized("NFC", title)
    assert not set(title) & set('<>:"/\\|?*\x00')
    assert title[0] not in ".- "
    assert title[-1] not in ". "
    assert safe_title(title) == title
    assert not [c for c in title if unicodedata.category(c) in {"Cc", "Cf", "Cs"}]


def test_a_long_title_is_cut_between_characters() -> None:
    """A title of three-byte characters is cut at a whole one, and the number still fits."""
    assert bundle_name("語" * 100) == "語" * 37 + ".movpkg"
    assert bundle_name("語" * 100, 12).endswith(" 12.movpkg")
    assert len(bundle_name("語" * 100, 12).encode()) <= 120


def test_the_suffix_is_not_doubled() -> None:
    """A title that already ends in the suffix gets no second one; numbers begin at 2."""
    assert bundle_name("A film.movpkg") == "A film.movpkg"
    assert bundle_name("A film", 2) == "A film 2.movpkg"


@pytest.mark.parametrize(
    "path",
    [f"{VIDEO}/000000100.m4s", "keys/ABC.key", "Data/Playlist-master.m3u8-CB50.data", "index.m3u8", "a" * 200],
)
def test_our_own_paths_are_safe(path: str) -> None:
    """Every form of path that hlsdl makes is accepted."""
    assert is_safe_path(path)


@pytest.mark.parametrize(
    "path",
    [
        "", "/etc/passwd", "../x", "a/../b", "a//b", "a/", "./a", ".hidden", "a/.b", "a\\b", "C:x", "a b", "a\n", "a\x00",
        "é", "nul", "Data/CON", "Data/com1.key", "x/LPT9.m4s", "trailing.", "a./b", "-x", "~", "a" * 201, "a/" * 8 + "a",
        "/".join(["a" * 199] * 5), "%2e%2e/x", "a\u2215b",
    ],
)  # fmt: skip
def test_unsafe_paths_are_refused(path: str) -> None:
    """Nothing absolute, upward, hidden, oversized, device-like or outside the alphabet is a path."""
    assert not is_safe_path(path)


def test_the_bundles_own_names_are_no_objects() -> None:
    """Manifest, journal, lock and derived files cannot be stored as objects."""
    for path in ("manifest.json", "journal.jsonl", "lock", "index.m3u8", "boot.xml", f"{VIDEO}/StreamInfoBoot.xml"):
        assert not is_object_path(path), path
    assert is_object_path(f"{VIDEO}/source.m3u8")


def test_names_are_told_apart() -> None:
    """Segments, init sections, derived files and stream folders are recognised by their form."""
    assert is_segment("x/000000100.m4s")
    assert not is_segment("x/000000100.init.mp4")
    assert is_media("x/000000100.init.mp4")
    assert not is_media("x/source.m3u8")
    assert is_derived("index.m3u8")
    assert is_derived(f"{AUDIO}/index.m3u8")
    assert not is_derived("InterstitialAssets/x.movpkg/index.m3u8")
    assert is_stream_folder(VIDEO)
    assert not is_stream_folder("0-abc-1")


def test_a_temporary_knows_its_final_name() -> None:
    """The name a temporary will get can be read from it, and only from ours."""
    assert final_name(temporary_name("000000042.m4s", "0badcafe")) == "000000042.m4s"
    for other in (".x.part", ".x.0badcaf.part", "x.0badcafe.part", ".x.0BADCAFE.part"):
        assert final_name(other) is None, other


@given(st.from_regex(layout._USUAL, fullmatch=True))
def test_the_short_cut_for_media_names_lets_nothing_by(path: str) -> None:
    """What is taken for a media file at first sight fulfils every rule of safe names."""
    assert is_object_path(path)
    assert is_safe_path(path)
    assert not is_derived(path)
    assert is_media(path)
    assert is_stream_folder(path.partition("/")[0])
