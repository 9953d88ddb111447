"""The stream that is fetched under torture: bytes that follow from a number, served, and known again on disk."""

from __future__ import annotations

import hashlib
from functools import cached_property

from hlsdl.testing import ScriptedOrigin

PACKET = 188
SMALL_PACKETS, BIG_PACKETS = 20, 6_000
"""A segment is one write (4 kB), or grows in several through its temporary (1.1 MB)."""


class Film:
    """`segments` transport stream segments; each `big_every`th is larger than what hlsdl stores in one go."""

    def __init__(self, segments: int, *, big_every: int = 97) -> None:
        self.segments = segments
        self._big_every = big_every

    def body(self, number: int) -> bytes:
        """The bytes of one segment. No two are alike, and none has a long run of zeros, as lost pages do."""
        is_big = number % self._big_every == self._big_every // 2
        seed = hashlib.sha512(f"segment {number}".encode()).digest() * 3
        packet = b"\x47" + seed[: PACKET - 1]
        return packet * (BIG_PACKETS if is_big else SMALL_PACKETS)

    @cached_property
    def hashes(self) -> tuple[tuple[int, str], ...]:
        """(size, SHA-256) of each segment: the truth that every stored file is held against."""
        bodies = (self.body(number) for number in range(self.segments))
        return tuple((len(body), hashlib.sha256(body).hexdigest()) for body in bodies)

    def has(self, number: int, data: bytes) -> bool:
        """Whether these are exactly the bytes of that segment."""
        return (len(data), hashlib.sha256(data).hexdigest()) == self.hashes[number]

    def serve(self, origin: ScriptedOrigin) -> str:
        """Add everything to an origin; returns the URL to fetch."""
        lines = ["#EXTM3U", "#EXT-X-VERSION:4", "#EXT-X-TARGETDURATION:4", "#EXT-X-PLAYLIST-TYPE:VOD"]
        for number in range(self.segments):
            origin.add(f"/film/{number}.ts", self.body(number))
            lines += ["#EXTINF:4,", f"{number}.ts"]
        origin.add("/film/video.m3u8", "\n".join([*lines, "#EXT-X-ENDLIST", ""]).encode())
        variant = '#EXT-X-STREAM-INF:BANDWIDTH=100000,CODECS="avc1.64001f,mp4a.40.2",RESOLUTION=640x360'
        return origin.add("/film/master.m3u8", f"#EXTM3U\n{variant}\nvideo.m3u8\n".encode())


def asked_for(origin: ScriptedOrigin, agent: str) -> list[int]:
    """The numbers of the segments that one process asked for, in order of arrival; those never answered, too.

    The origin may read the last requests of a killed process only when the next one is running: processes are told
    apart by their User-Agent.
    """
    requests = [request for request in origin.requests if request.headers.get("user-agent") == agent]
    names = (request.path.rpartition("/")[2] for request in requests)
    return [int(name.removesuffix(".ts")) for name in names if name.endswith(".ts")]
