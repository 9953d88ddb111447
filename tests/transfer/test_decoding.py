"""gzip is decoded within bounds, and its end must be there."""

from __future__ import annotations

import gzip
import random

import pytest

from hlsdl.access.limits import Limits
from hlsdl.errors import LimitError
from hlsdl.transfer.decoding import BoundedGunzip, TruncatedBody

_CHANCE = random.Random(1)
TEXT = b"#EXTM3U\n" + b"".join(b"#EXTINF:4,\n%d.ts\n" % _CHANCE.randrange(10**9) for _ in range(5000))


def decode(data: bytes, *, limit: int = 10**7, limits: Limits | None = None, step: int = 1000) -> bytes:
    decoder = BoundedGunzip(limit=limit, limits=limits or Limits(), url="http://a/")
    for start in range(0, len(data), step):
        decoder.feed(data[start : start + step])
    return decoder.finish()


@pytest.mark.parametrize("step", [1, 1000, 10**6])
def test_a_gzip_body_is_decoded(step: int) -> None:
    assert decode(gzip.compress(TEXT), step=step) == TEXT


@pytest.mark.parametrize("after", [b"", bytes(10), b"\x1f", b"\x1f\x8a"])
def test_several_members_are_one_body_and_what_follows_is_ignored(after: bytes) -> None:
    """Wherever it is cut on its way, in the midst of what a member begins with, too."""
    first, second = gzip.compress(TEXT), gzip.compress(b"more")
    for cut in (*range(len(first) - 2, len(first) + 12), len(first) + len(second) + 1):
        decoder = BoundedGunzip(limit=10**7, limits=Limits(), url="http://a/")
        for piece in ((first + second + after)[:cut], (first + second + after)[cut:]):
            decoder.feed(piece)
        assert decoder.finish() == TEXT + b"more", cut
    assert decode(first + second + after, step=1) == TEXT + b"more"


@pytest.mark.parametrize("cut", [0, 1, 10, 500, -1, -8])
def test_a_cut_body_is_noticed(cut: int) -> None:
    with pytest.raises(TruncatedBody):
        decode(gzip.compress(TEXT)[:cut])


def test_a_damaged_body_is_noticed() -> None:
    damaged = bytearray(gzip.compress(TEXT))
    damaged[-5] ^= 1
    with pytest.raises(TruncatedBody):
        decode(bytes(damaged))
    with pytest.raises(TruncatedBody):
        decode(b"<html>")


def test_the_output_may_be_as_long_as_the_limit_and_no_longer() -> None:
    assert decode(gzip.compress(TEXT), limit=len(TEXT)) == TEXT
    with pytest.raises(LimitError):
        decode(gzip.compress(TEXT), limit=len(TEXT) - 1)


def test_a_bomb_is_stopped_long_before_it_is_unpacked() -> None:
    bomb = gzip.compress(bytes(64 * 1024 * 1024))
    decoder = BoundedGunzip(limit=10**9, limits=Limits(), url="http://a/")
    with pytest.raises(LimitError):
        decoder.feed(bomb)
    assert decoder._size < 100 * len(bomb) + 2 * 1024 * 1024


def test_a_high_ratio_is_fine_while_the_body_is_small() -> None:
    text = b"#EXTM3U\n" + b"#" * 1_000_000
    assert decode(gzip.compress(text)) == text
