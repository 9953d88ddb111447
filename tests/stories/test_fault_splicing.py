"""Large segments that break off: the rest is asked for by range where that is safe, and never spliced wrongly.

The numbers are those of docs/faults.md.
"""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass
from email.utils import formatdate
from pathlib import Path

import pytest
from bare_origin import Asked, Bare, Fault, bare, gone, head
from faults import PHASES, TRUTH, playlist, require_whole, stopped

import hlsdl as library

BIG = b"".join(b"\x47" + random.Random(number).randbytes(187) for number in range(60_000))
HALF = 9_000_000
"""Of 11 MB: above what is worth resuming."""


async def other_etag(origin: Bare, request: Asked, writer: asyncio.StreamWriter) -> bool:
    origin.etag = '"two"'
    return True


async def range_ignored(origin: Bare, request: Asked, writer: asyncio.StreamWriter) -> bool:
    request.headers.pop("range", None)
    return True


async def range_shifted(origin: Bare, request: Asked, writer: asyncio.StreamWriter) -> bool | None:
    span = request.span(len(BIG))
    if span is None:
        return True
    part = BIG[span[0] + 188 :]
    told = f"Content-Range: bytes {span[0] + 188}-{len(BIG) - 1}/{len(BIG)}"
    fields = (f"ETag: {origin.etag}", told, f"Content-Length: {len(part)}")
    writer.write(head("206 Partial Content", *fields) + part)
    await writer.drain()
    return None


async def range_refused(origin: Bare, request: Asked, writer: asyncio.StreamWriter) -> bool | None:
    if request.span(len(BIG)) is None:
        return True
    writer.write(head("416 Range Not Satisfiable", f"Content-Range: bytes */{len(BIG)}", "Content-Length: 0"))
    return None


async def nothing_missing(origin: Bare, request: Asked, writer: asyncio.StreamWriter) -> None:
    assert request.headers["range"] == f"bytes={len(BIG)}-"
    writer.write(head("416 Range Not Satisfiable", f"Content-Range: bytes */{len(BIG)}", "Content-Length: 0"))


async def in_order(origin: Bare, request: Asked, writer: asyncio.StreamWriter) -> bool:
    return True


STRONG = ('ETag: "one"',)
WEAK = ('ETag: W/"one"',)
YOUNG = ("Last-Modified: {now}",)


@dataclass(frozen=True)
class Broken:
    """A large segment whose first answer breaks off, and what comes then."""

    then: Fault
    fields: tuple[str, ...] = STRONG
    """What the first answer says of the version."""
    chunked: bool = False
    """All of it has come, but not the end that says so."""

    def first(self) -> bytes:
        fields = [field.format(now=formatdate(usegmt=True)) for field in self.fields]
        if self.chunked:
            return head("200 OK", *fields, "Transfer-Encoding: chunked") + b"%X\r\n" % len(BIG) + BIG + b"\r\n"
        return head("200 OK", *fields, f"Content-Length: {len(BIG)}") + BIG[:HALF]

    @property
    def asks_for_the_rest(self) -> bool:
        return self.fields == STRONG


BROKEN = {
    "29 another ETag": Broken(other_etag),
    "22 range ignored": Broken(range_ignored),
    "23 another range": Broken(range_shifted),
    "27 416 when everything is there": Broken(nothing_missing, chunked=True),
    "28 416": Broken(range_refused),
    "30 weak ETag": Broken(in_order, WEAK),
    "31 Last-Modified as young as the answer": Broken(in_order, YOUNG),
    "the rest": Broken(in_order),
}


@pytest.mark.parametrize("phase", PHASES)
@pytest.mark.parametrize("name", BROKEN)
async def test_the_rest_of_a_large_segment_is_never_spliced_wrongly(tmp_path: Path, name: str, phase: str) -> None:
    """The first answer breaks off behind the middle, so that the rest is asked for by range, if it may be."""
    bundle, broken, tries = tmp_path / "b.movpkg", BROKEN[name], list[str]()

    async def large(origin: Bare, request: Asked, writer: asyncio.StreamWriter) -> bool | None:
        if phase == "resume" and not finished_before:
            return await gone(origin, request, writer)
        tries.append(request.headers.get("range", ""))
        if len(tries) > 1:
            return await broken.then(origin, request, writer)
        writer.write(broken.first())
        await writer.drain()
        return None

    small = [] if phase == "fresh" else ["0.ts", "1.ts"]
    finished_before: list[str] = []
    async with bare() as origin:
        origin.files["/v/big.ts"] = BIG
        origin.files["/v/index.m3u8"] = playlist([*small, "big.ts"])
        origin.faults["/v/big.ts"] = large
        url = origin.url("/v/index.m3u8")
        if phase == "resume":
            await stopped(url, bundle)
            finished_before += small
            origin.log.clear()
        await library.fetch(url, output=bundle, connections=1, retries=3, stall_timeout=5, proxy="")
        assert all(origin.times(f"/v/{one}") == (phase != "resume") for one in small)
    assert (tries[1][:7] in {"bytes=8", "bytes=9", "bytes=1"}) is broken.asks_for_the_rest, tries
    require_whole(bundle, [*TRUTH[: len(small)], BIG])
