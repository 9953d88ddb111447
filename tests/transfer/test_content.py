"""Error pages are recognised, media never is taken for one."""

from __future__ import annotations

import random

import pytest

from hlsdl.transfer.content import Ending, is_webvtt, why_not_key, why_not_media, why_not_playlist


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "an empty body"),
        (b"<!DOCTYPE html><html>", "an HTML page"),
        (b"\xef\xbb\xbf  \r\n<HTML><head>", "an HTML page"),
        (b"<!-- x --><html>", "an HTML page"),
        (b"<script>location='/login'</script>", "an HTML page"),
        ("<html><title>Zugriff verweigert für Sie</title>".encode(), "an HTML page"),
        (b'{"error":"quota"}', "a JSON document"),
        (b" \n[ {", "a JSON document"),
        (b"{}", "a JSON document"),
        (b"[]", "a JSON document"),
        (b'<?xml version="1.0"?>\n<Error><Code>AccessDenied</Code></Error>', "an XML document"),
        (b"<Error>", "an XML document"),
        (b"<s:Fault>", "an XML document"),
        (b'<?xml version="1.0"?><!-- a -->\n<!-- b --><soap:Envelope xmlns:soap="x">', "an XML document"),
        (b"<!---->" * 70 + b"<e>", "an HTML page"),
        (b"<?xml?>" + b"<!---->" * 70 + b"<e>", "an XML document"),
        (b"#EXTM3U\n#EXT-X-VERSION:3\n", "a playlist"),
        ("<html><p>ü".encode("utf-16"), "an HTML page"),
        (b"\xfe\xff" + "<html><p>ü".encode("utf-16-be"), "an HTML page"),
        ('{"error": 1}'.encode("utf-16"), "a JSON document"),
        (b"<!doctype html>" + "ü".encode() * 400, "an HTML page"),
    ],
)
def test_what_is_no_media_is_named(body: bytes, reason: str) -> None:
    assert why_not_media(body) == reason


@pytest.mark.parametrize(
    "body",
    [
        b"G" + bytes(187), b"\0\0\0\x18styp", b"ID3\x04\0", b"\xff\xf1\x50\x80", b"WEBVTT\n\n", b"\x0b\x77", b"\xff\xd8\xff",
        b'{"' + b"\x91\x02\xff" * 20, b"<html" + b"\0" * 20, b"[[" + bytes(range(256)), b"\xef\xbb\xbfWEBVTT",
        b"\xff\xfe<html" + bytes(60),
        b'<?xml version="1.0"?><tt xmlns="http://www.w3.org/ns/ttml">', b"hello", b"<tt:tt >", b"<tt/>", b"<ebu-tt:tt >",
        b'{"' + b"\xff" * 600,
    ],
)  # fmt: skip
def test_media_is_let_through_whatever_it_begins_with(body: bytes) -> None:
    assert why_not_media(body) is None


@pytest.mark.parametrize(
    ("body", "kind", "reason"),
    [
        (b"Forbidden, go away please.\n", "text/plain", "a text"),
        (b"error code: 1020", "Text/HTML; charset=utf-8", "a text"),
        (b"Forbidden, go away please.\n", "video/mp2t", None),
        (b"Forbidden, go away please.\n", None, None),
        (b"WEBVTT\n\n", "text/plain", None),
        (b"00:01.000 --> 00:02.000\nhello\n", "text/vtt", None),
        (b"G" + bytes(187), "text/html", None),
        (b"G\x81\x02\xff" * 47, "text/plain", None),
        (b"\xff\xfe" + b"\x41\x81\x02\x33" * 60, "text/vnd.trolltech.linguist", None),
        ("WEBVTT\n\n".encode("utf-16"), "text/plain", None),
        ("<html>".encode("utf-16"), "text/plain", "an HTML page"),
    ],
)
def test_text_that_is_called_text_is_no_media(body: bytes, kind: str | None, reason: str | None) -> None:
    assert why_not_media(body, content_type=kind) == reason


def test_no_encrypted_segment_is_taken_for_an_error_page() -> None:
    chance = random.Random(8216)
    for beginning in (b'{"', b"[{", b"<html>", b"<!doctype html>", b"<a>", b"#EXTM3U", b"\xff\xfe"):
        for _ in range(2000):
            assert why_not_media(beginning + chance.randbytes(64)) is None


def test_an_empty_webvtt_segment_is_legal() -> None:
    assert why_not_media(b"", may_be_empty=True) is None
    assert is_webvtt("a/b.VTT", content_type=None)
    assert is_webvtt("a/b", content_type="text/vtt; charset=utf-8")
    assert not is_webvtt("a/b.ts", content_type="video/mp2t")


@pytest.mark.parametrize("length", [0, 15, 17, 32])
def test_a_key_has_sixteen_bytes_and_its_bytes_are_never_told(length: int) -> None:
    reason = why_not_key(b"\x9asecret-key-bytes-and-more-of-them!"[:length])
    assert reason is not None
    assert "secret" not in reason


def test_sixteen_bytes_are_a_key_whatever_they_are() -> None:
    assert why_not_key(b'{"error":"abcd"}') is None
    assert why_not_key(bytes(16)) is None


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"#EXTM3U\n", None),
        (b"\xef\xbb\xbf#EXTM3U", None),
        (b"", "an empty body"),
        (b"<html>", "an HTML page"),
        (b"not found", "something else than a playlist"),
    ],
)
def test_a_playlist_begins_with_its_tag(body: bytes, expected: str | None) -> None:
    assert why_not_playlist(body) == expected


def box(kind: bytes, size: int) -> bytes:
    return size.to_bytes(4, "big") + kind + bytes(size - 8)


def large_box(kind: bytes, size: int) -> bytes:
    return (1).to_bytes(4, "big") + kind + size.to_bytes(8, "big") + bytes(size - 16)


PACKETS = (b"G" + bytes(187)) * 20
BOXES = box(b"styp", 24) + box(b"moof", 100) + large_box(b"mdat", 1000) + box(b"free", 8)


def looks_cut(body: bytes, step: int) -> bool:
    ending = Ending()
    for start in range(0, len(body), step):
        ending.feed(body[start : start + step])
    return ending.looks_cut


@pytest.mark.parametrize("step", [1, 7, 188, 100_000])
@pytest.mark.parametrize("body", [PACKETS, BOXES])
def test_a_cut_in_the_middle_of_a_packet_or_box_shows(body: bytes, step: int) -> None:
    assert not looks_cut(body, step)
    for end in (*range(190, len(body), 97), len(body) - 1):
        whole = end % 188 == 0 if body is PACKETS else end in (24, 124, 1124)
        assert looks_cut(body[:end], step) is not whole


@pytest.mark.parametrize("size", [1, 100, 187, 188, 189])
def test_a_cut_in_the_first_packet_shows(size: int) -> None:
    assert looks_cut(PACKETS[:size], 50) is (size != 188)


@pytest.mark.parametrize(
    "body",
    [
        b"", b"x", b"WEBVTT\n\n00:01.000", b"ID3" + bytes(100), bytes(100), b"G" + bytes(range(200)), b"\0\0\0\x18none" + bytes(5),
        box(b"ftyp", 24) + (0).to_bytes(4, "big") + b"mdat" + bytes(77), b"\0\0\0\x04ftyp",
    ],
)  # fmt: skip
def test_what_shows_no_end_is_never_called_cut(body: bytes) -> None:
    assert not looks_cut(body, 5)


@pytest.mark.parametrize(
    ("page", "content_type"),
    [
        ("<!DOCTYPE html><p>Accès refusé".encode("latin-1"), None),
        ("<html><body>拒绝访问".encode("gbk"), "video/mp4"),
        (b"\x0c<html>", None),
        (b"<h1>503 Service Unavailable</h1>", "text/html"),
        ("<div>Zugriff verweigert: \xfc".encode("latin-1"), "text/html; charset=iso-8859-1"),
    ],
)
def test_a_page_is_a_page_in_whatever_encoding_and_however_it_begins(page: bytes, content_type: str | None) -> None:
    assert why_not_media(page, content_type=content_type) == "an HTML page"


@pytest.mark.parametrize(
    "body", [b"<tt xmlns='x'><body/></tt>", b"<tt:tt xmlns:tt='x'/>", b"<\x80\x01\x02" + bytes(200)]
)
def test_timed_text_and_ciphertext_may_be_called_html(body: bytes) -> None:
    assert why_not_media(body, content_type="text/html") is None
