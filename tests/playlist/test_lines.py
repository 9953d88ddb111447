"""The line model keeps every byte, finds attributes in any tag, and changes only what it is told to."""

from __future__ import annotations

import re

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from hlsdl.errors import LimitError, PlaylistError
from hlsdl.playlist.attributes import read_attributes
from hlsdl.playlist.lines import (
    PlaylistLimits,
    PlaylistText,
    attribute_spans,
    content,
    fetchable_attributes,
    is_uri,
    remove_attribute,
    set_attribute,
    tag_name,
)
from hlsdl.playlist.notes import Notes

KEY = '#EXT-X-KEY:METHOD=AES-128, URI="a,b.key?x=1" ,IV=0x1\r\n'


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"#EXTM3U", id="no-final-newline"),
        pytest.param(b"#EXTM3U\r\n#x\n\n a.ts \r\n", id="mixed-terminators"),
        pytest.param(b"\n \r\n#EXTM3U\n", id="blank-lines-first"),
        pytest.param("#EXTM3U\n#EXTINF:1,a\u2028b\u0085c\x0bd\x1ce\ra.ts".encode(), id="other-line-separators"),
        pytest.param(b"#EXTM3U\n#EXTINF:1,\x00\x1b[31m\na.ts\n", id="control-characters"),
    ],
)
def test_decoding_and_encoding_gives_the_same_bytes(data: bytes) -> None:
    assert PlaylistText.decode(data).encode() == data


def test_only_lf_and_crlf_end_a_line() -> None:
    text = PlaylistText.decode("#EXTM3U\r\n#EXTINF:1,a\u2028b\rc\x0bd\na.ts".encode())
    assert text.lines == ("#EXTM3U\r\n", "#EXTINF:1,a\u2028b\rc\x0bd\n", "a.ts")


def test_a_byte_order_mark_is_dropped() -> None:
    assert PlaylistText.decode(b"\xef\xbb\xbf#EXTM3U\n").encode() == b"#EXTM3U\n"


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        pytest.param(b"", "empty", id="empty"),
        pytest.param(b" \r\n\n", "empty", id="blank"),
        pytest.param(b"\xef\xbb\xbf", "empty", id="only-a-byte-order-mark"),
        pytest.param(b"<!DOCTYPE html>\n<html>", "HTML", id="html"),
        pytest.param(b'\n  <?xml version="1.0"?>', "HTML or XML", id="xml"),
        pytest.param(b'{"error": "token"}', "`#EXTM3U`", id="json"),
        pytest.param(b"#EXT-X-VERSION:3\n#EXTM3U\n", "`#EXTM3U`", id="not-first"),
        pytest.param(b"#EXTM3U8\n", "`#EXTM3U`", id="longer-name"),
        pytest.param(b"#EXTM3U\ra.ts\r", "`#EXTM3U`", id="lone-cr-as-line-ends"),
        pytest.param("#EXTM3U\n".encode("utf-16"), "UTF-16", id="utf-16"),
        pytest.param("#EXTM3U\n".encode("utf-16-be"), "UTF-16", id="utf-16-be-without-mark"),
        pytest.param("#EXTM3U\n".encode("utf-16-le"), "UTF-16", id="utf-16-le-without-mark"),
        pytest.param("#EXTM3U\n#EXTINF:1,é\n".encode("latin-1"), "not UTF-8", id="latin-1"),
    ],
)
def test_what_is_no_playlist_is_refused(data: bytes, reason: str) -> None:
    with pytest.raises(PlaylistError, match=re.escape(reason)):
        PlaylistText.decode(data)


def test_a_line_that_is_not_utf8_is_named() -> None:
    with pytest.raises(PlaylistError) as caught:
        PlaylistText.decode(b"#EXTM3U\n#a\n#\xff\n", url="https://h/p?token=secret")
    assert (caught.value.line, caught.value.url) == (3, "https://h/p?token=…")


@pytest.mark.parametrize(
    ("name", "data", "limits"),
    [
        pytest.param("max_bytes", b"#EXTM3U\n#23", {"max_bytes": 11}, id="bytes"),
        pytest.param("max_lines", b"#EXTM3U\n\n\n", {"max_lines": 3}, id="lines"),
        pytest.param("max_line", b"#EXTM3U\n#234567890\r\n", {"max_line": 10}, id="line"),
        pytest.param("max_line", "#EXTM3U\n#ééé3456\n".encode(), {"max_line": 11}, id="line-in-bytes"),
        pytest.param("max_data_line", b"#EXTM3U\ndata:,xy\n", {"max_line": 7, "max_data_line": 8}, id="data-line"),
    ],
)
def test_each_limit_holds_at_its_value_and_not_one_past(name: str, data: bytes, limits: dict[str, int]) -> None:
    PlaylistText.decode(data, limits=PlaylistLimits(**limits))
    with pytest.raises(LimitError, match=f"`{name}`"):
        PlaylistText.decode(data, limits=PlaylistLimits(**limits | {name: limits[name] - 1}))


def test_a_line_with_a_data_uri_may_be_longer() -> None:
    limits = PlaylistLimits(max_line=10, max_data_line=20)
    PlaylistText.decode(b"#EXTM3U\ndata:text/plain,123\n", limits=limits)
    with pytest.raises(LimitError, match=r"line 2: .*`max_line`"):
        PlaylistText.decode(b"#EXTM3U\nhttps://h/abcdef\n", limits=limits)


@pytest.mark.parametrize(
    ("line", "name", "uri"),
    [
        pytest.param("#EXT-X-ENDLIST\r\n", "EXT-X-ENDLIST", False, id="no-value"),
        pytest.param("#EXT-X-KEY:METHOD=NONE\n", "EXT-X-KEY", False, id="value"),
        pytest.param("#EXT-X-ENDLIST-FOO", "EXT-X-ENDLIST-FOO", False, id="longer-name-is-another-tag"),
        pytest.param(" \t#EXTINF: 4,\n", "EXTINF", False, id="blanks-around"),
        pytest.param('#EXTM3U x-tvg-url="http://h"\n', "EXTM3U", False, id="iptv"),
        pytest.param("# EXTINF:4\n", None, False, id="comment"),
        pytest.param("#ext-x-endlist\n", None, False, id="lower-case-is-a-comment"),
        pytest.param("  \r\n", None, False, id="blank"),
        pytest.param("a.ts\n", None, True, id="uri"),
        pytest.param(" a b.ts", None, True, id="uri-with-blanks"),
    ],
)
def test_a_line_is_a_tag_a_uri_or_neither(line: str, name: str | None, uri: bool) -> None:
    assert (tag_name(line), is_uri(line)) == (name, uri)


@pytest.mark.parametrize(("line", "text"), [("a\r\n", "a"), ("a\n", "a"), ("a", "a"), ("a\r", "a\r"), ("\n", "")])
def test_content_is_the_line_without_its_terminator(line: str, text: str) -> None:
    assert content(line) == text


def values(line: str) -> dict[str, str]:
    return {name: line[start:end] for name, (start, end) in attribute_spans(line).items()}


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        pytest.param(KEY, {"METHOD": "AES-128", "URI": '"a,b.key?x=1"', "IV": "0x1"}, id="blanks-and-commas"),
        pytest.param('#EXT-X-FOO:A=,B="",C=x=y,\n', {"A": "", "B": '""', "C": "x=y"}, id="empty-and-trailing-comma"),
        pytest.param('#EXT-X-FOO:A="1"x,B=2', {"A": '"1"', "B": "2"}, id="text-after-quote"),
        pytest.param('#EXT-X-FOO:"a,B=1",C=2', {"C": "2"}, id="nameless-quoted"),
        pytest.param("#EXT-X-FOO:bar,C=2", {"C": "2"}, id="nameless"),
        pytest.param('#EXT-X-FOO:A="x,B=2', {"A": '"x', "B": "2"}, id="unclosed-quote"),
        pytest.param('#EXTINF:4,URI="http://h"', {}, id="a-title-is-no-list"),
        pytest.param('# URI="x"', {}, id="comment"),
        pytest.param('x#EXT-X-KEY:URI="x"', {}, id="uri-line"),
    ],
)
def test_attribute_spans_cover_the_raw_values(line: str, expected: dict[str, str]) -> None:
    assert values(line) == expected


@pytest.mark.parametrize(
    ("line", "name", "value", "expected"),
    [
        pytest.param(KEY, "URI", '"k"', '#EXT-X-KEY:METHOD=AES-128, URI="k" ,IV=0x1\r\n', id="replace"),
        pytest.param("#EXT-X-KEY:METHOD=NONE\n", "IV", "0x2", "#EXT-X-KEY:METHOD=NONE,IV=0x2\n", id="append"),
        pytest.param("#EXT-X-FOO \r\n", "A", "1", "#EXT-X-FOO:A=1 \r\n", id="first"),
        pytest.param("#EXT-X-FOO:A=1,\n", "B", "2", "#EXT-X-FOO:A=1,B=2\n", id="after-a-trailing-comma"),
        pytest.param("#EXT-X-FOO:bar", "B", "2", "#EXT-X-FOO:bar,B=2", id="after-something-else"),
        pytest.param('#EXT-X-FOO:A="1",A="2"\n', "A", "3", "#EXT-X-FOO:A=3,A=3\n", id="repeated-name"),
        pytest.param('#EXT-X-FOO:A="1"x,B=2\n', "A", "3", "#EXT-X-FOO:A=3,B=2\n", id="text-after-the-old-value"),
    ],
)
def test_setting_an_attribute_leaves_all_other_bytes_alone(line: str, name: str, value: str, expected: str) -> None:
    assert set_attribute(line, name, value) == expected


@pytest.mark.parametrize(
    ("line", "value"),
    [
        pytest.param("a.ts\n", "1", id="uri-line"),
        pytest.param("#EXTINF:4,\n", "1", id="tag-without-attributes"),
        pytest.param("#EXT-X-FOO:A=1\n", '"a\nb"', id="newline-in-the-value"),
        pytest.param('#EXT-X-FOO:",A=1\n', '"x"', id="behind-an-unclosed-quote"),
        pytest.param("#EXT-X-FOO:A=1\n", "x,y", id="comma-in-an-unquoted-value"),
    ],
)
def test_an_attribute_that_cannot_be_written_is_refused(line: str, value: str) -> None:
    with pytest.raises(PlaylistError):
        set_attribute(line, "A", value)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        pytest.param("#EXT-X-FOO:A=1,B=2,C=3\r\n", "#EXT-X-FOO:A=1,C=3\r\n", id="middle"),
        pytest.param("#EXT-X-FOO:B=1, C=3\n", "#EXT-X-FOO: C=3\n", id="first"),
        pytest.param('#EXT-X-FOO:A=1,B="2,"', "#EXT-X-FOO:A=1", id="last"),
        pytest.param("#EXT-X-FOO:B=1\n", "#EXT-X-FOO:\n", id="only"),
        pytest.param("#EXT-X-FOO:B=1,A=1,B=2\n", "#EXT-X-FOO:A=1\n", id="repeated"),
        pytest.param("#EXT-X-FOO:A=1\n", "#EXT-X-FOO:A=1\n", id="absent"),
    ],
)
def test_removing_an_attribute_takes_one_comma_with_it(line: str, expected: str) -> None:
    assert remove_attribute(line, "B") == expected


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        pytest.param('#EXT-X-MAP:URI="i.mp4"', ("URI",), id="map"),
        pytest.param('#EXT-X-VENDOR:FOO=1,URI="http://x/y"', ("URI",), id="unknown-tag"),
        pytest.param(
            '#EXT-X-DATERANGE:ID="1",X-ASSET-LIST="l",X-ASSET-URI="u"', ("X-ASSET-URI", "X-ASSET-LIST"), id="ads"
        ),
        pytest.param('#EXT-X-CONTENT-STEERING:SERVER-URI="s"', ("SERVER-URI",), id="steering"),
        pytest.param('#EXT-X-MEDIA:TYPE=AUDIO,URI=""', (), id="empty"),
        pytest.param('#EXT-X-SESSION-DATA:DATA-ID="x",VALUE="http://h"', (), id="text-with-an-address"),
        pytest.param('#EXTINF:1,URI="http://h"', (), id="title"),
        pytest.param("http://h/URI=1", (), id="uri-line"),
    ],
)
def test_fetchable_attributes_are_found_in_any_attribute_list(line: str, expected: tuple[str, ...]) -> None:
    assert fetchable_attributes(line) == expected


@settings(deadline=None)
@given(st.text(alphabet=st.characters(codec="utf-8"), max_size=200))
@example("\r\n")
def test_any_text_after_the_first_line_survives(text: str) -> None:
    data = b"#EXTM3U\n" + text.encode()
    assert PlaylistText.decode(data).encode() == data


tag_lines = st.text(alphabet="AB-,=\"' x\r", max_size=40).map(lambda text: f"#EXT-X-FOO:{text}\n")


@settings(deadline=None)
@given(tag_lines, st.sampled_from(["A", "B", "AB"]), st.sampled_from(['"v"', "1"]))
@example('#EXT-X-FOO:",A=\n', "A", '"v"')
@example('#EXT-X-FOO:A="",B="x"y\n', "B", "1")
def test_an_attribute_that_was_set_reads_back_or_is_refused_and_one_that_was_removed_is_gone(
    line: str, name: str, value: str
) -> None:
    line = line.replace("\r", "")
    assert name not in attribute_spans(remove_attribute(line, name))
    try:
        changed = set_attribute(line, name, value)
    except PlaylistError:
        assert not is_read(line), "what the reader takes, the writer can write"
        return
    assert values(changed) == values(line) | {name: value}


def is_read(line: str) -> bool:
    try:
        read_attributes(line, 0, Notes())
    except PlaylistError:
        return False
    return True
