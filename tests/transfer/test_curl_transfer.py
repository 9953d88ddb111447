"""Response heads as libcurl hands them over: line by line, with whatever came before and after."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("pycurl", reason="not installed: pycurl")

from typing import Any

from hlsdl.access.limits import Limits
from hlsdl.errors import LimitError
from hlsdl.transfer.curl_transfer import Transfer, read_head
from hlsdl.transfer.doors import Question, Timeouts

EARLY = [b"HTTP/1.1 103 Early Hints\r\n", b"Link: </a>\r\n", b"\r\n"]
TRAILERS = [b"Digest: x\r\n", b"\r\n"]

names = st.from_regex(rb"[A-Za-z-]{1,12}", fullmatch=True)
values = st.from_regex(rb"[!-~\x80-\xff]([\t -~\x80-\xff]{0,20}[!-~\x80-\xff])?", fullmatch=True)
ends = st.sampled_from([b"\r\n", b"\n"])


@given(st.lists(st.tuples(names, values, ends), max_size=12), ends, st.sampled_from([b"1.1", b"1.0", b"2"]))
def test_a_head_is_read_alike_alone_and_between_others(
    fields: list[tuple[bytes, bytes, bytes]], end: bytes, version: bytes
) -> None:
    lines = [b"HTTP/" + version + b" 206 Fine" + end, *(name + b": " + value + e for name, value, e in fields), end]
    alone, between = read_head(lines, Limits()), read_head([*EARLY, *lines, *TRAILERS], Limits())
    assert alone is not None
    assert between is not None
    assert alone.status == between.status == 206
    expected = [(name.decode().lower(), value.decode("latin-1")) for name, value, _ in fields]
    assert list(alone.fields) == list(between.fields) == expected
    assert alone.size == between.size == sum(len(line) for line in lines[1:-1])
    assert alone.http_version == between.http_version == ("HTTP/2" if version == b"2" else f"HTTP/{version.decode()}")


@pytest.mark.parametrize("fold", [b"\r\n ", b"\r\n\t", b" \r\n  ", b"\n "])
def test_a_folded_field_is_one_with_a_space_where_the_line_broke(fold: bytes) -> None:
    lines = (b"HTTP/1.1 200 OK\r\nLong: first" + fold + b"second\r\nShort: x\r\n\r\n").splitlines(keepends=True)
    head = read_head(lines, Limits())
    assert head is not None
    assert list(head.fields) == [("long", "first second"), ("short", "x")]


@pytest.mark.parametrize("missing", [1, 2, 3])
def test_a_head_without_its_blank_line_is_none(missing: int) -> None:
    lines = [b"HTTP/1.1 200 OK\r\n", b"Content-Length: 3\r\n", b"\r\n"]
    assert read_head(lines[:-missing], Limits()) is None
    assert read_head([*EARLY, *lines[:-missing]], Limits()) is None


def test_too_many_interim_responses_are_refused() -> None:
    limits = Limits()
    with pytest.raises(LimitError):
        read_head(EARLY * (limits.interim_responses + 1), limits)


class Unmoved:
    """A door that is asked for nothing."""

    def resume(self, transfer: Transfer) -> None:
        raise AssertionError("whoever reads no further wants no more")

    def ended(self, transfer: Transfer, code: int, message: str) -> None:
        raise AssertionError("it did not end")


@pytest.mark.parametrize("count", [0, 1, 5, 12, 40])
def test_whoever_reads_no_further_gets_all_that_was_gathered_and_calls_for_no_more(count: int) -> None:
    unused: Any = None
    transfer = Transfer(Question(url=unused, headers=(), timeouts=Timeouts(), block=100), unused, Unmoved())
    pieces = [bytes([number]) * 17 for number in range(count)]
    came = b"".join(piece for piece in pieces if transfer.on_body(piece) is None)
    assert transfer.take_rest() == came
    assert len(came) <= 2 * 100 + 17
    assert (transfer.take_rest(), transfer.ready) == (b"", 0)
