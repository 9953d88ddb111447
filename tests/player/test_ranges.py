"""One range is honoured; everything else is answered as RFC 9110 §14 says."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hlsdl.player.ranges import Slice, choose_range


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("bytes=0-9", (0, 10)),
        ("bytes=90-", (90, 10)),
        ("bytes=-10", (90, 10)),
        ("bytes=-1000", (0, 100)),
        ("bytes=99-99", (99, 1)),
        ("bytes=50-1000000000000000000000000", (50, 50)),
        ("bytes=0000000000000000000000000000007-8", (7, 2)),
        ("BYTES=1-2", (1, 2)),
        ("bytes= 1-2", (1, 2)),
        ("bytes=100-", "unsatisfiable"),
        ("bytes=-0", "unsatisfiable"),
        (f"bytes={2**64}-", "unsatisfiable"),
        ("bytes=" + "9" * 15000 + "-", "unsatisfiable"),
        ("bytes=5-1", "whole"),
        ("bytes=-", "whole"),
        ("bytes=", "whole"),
        ("bytes=a-b", "whole"),
        ("bytes=1-2,4-5", "whole"),
        ("bytes=" + ",".join(f"{n}-{n}" for n in range(10_000)), "whole"),
        ("bytes=1--2", "whole"),
        ("bytes=+1-2", "whole"),
        ("bytes=0x1-0x2", "whole"),
        ("bytes=\u0661-\u0662", "whole"),
        ("items=0-9", "whole"),
        ("0-9", "whole"),
        ("", "whole"),
    ],
)
def test_a_range_header_gets_what_the_rfc_says(value: str, expected: tuple[int, int] | str) -> None:
    chosen = choose_range([value], 100)
    assert (chosen if isinstance(chosen, str) else (chosen.start, chosen.length)) == expected


def test_without_a_range_or_with_two_headers_the_whole_file_is_sent() -> None:
    assert choose_range([], 100) == "whole"
    assert choose_range(["bytes=0-1", "bytes=2-3"], 100) == "whole"


def test_no_range_of_an_empty_file_can_be_had() -> None:
    assert choose_range(["bytes=0-"], 0) == "unsatisfiable"
    assert choose_range(["bytes=-5"], 0) == "unsatisfiable"


@given(
    value=st.one_of(st.text(max_size=60), st.from_regex(r"bytes=[0-9]{0,30}-[0-9]{0,30}", fullmatch=True)),
    size=st.integers(0, 2**50),
)
def test_a_slice_always_lies_inside_the_file(value: str, size: int) -> None:
    chosen = choose_range([value], size)
    if isinstance(chosen, Slice):
        assert chosen.start >= 0
        assert chosen.length > 0
        assert chosen.start + chosen.length <= size
    else:
        assert chosen in {"whole", "unsatisfiable"}


def test_a_long_header_costs_next_to_nothing() -> None:
    started = time.process_time()
    for _ in range(100):
        choose_range(["bytes=" + "1-2," * 4000], 100)
        choose_range(["bytes=" + "9" * 16000 + "-" + "9" * 16000], 100)
    assert time.process_time() - started < 1.0
