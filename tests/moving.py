"""A stream that moves while it is downloaded: its segments, its playlist, signed URLs, and a run that is interrupted."""

from __future__ import annotations

import os
import signal
import time
from dataclasses import replace
from pathlib import Path

from commands import start

from hlsdl.testing import Answer, Behaviour, Request, ScriptedOrigin, Status

SEGMENTS = 20


def body(number: int) -> bytes:
    return (b"\x47" + f"segment {number} ".encode().ljust(187, b".")) * 20


def playlist(tail: str = "", *, segments: int = SEGMENTS, duration: str = "4") -> bytes:
    lines = [f"#EXTINF:{duration},\n{number}.ts{tail}" for number in range(segments)]
    return "\n".join(["#EXTM3U", "#EXT-X-TARGETDURATION:9", *lines, "#EXT-X-ENDLIST", ""]).encode()


class Signed:
    """Every URL needs the token of now; it changes when so many segments have been served."""

    def __init__(self, *changes_after: int) -> None:
        self.changes_after = list(changes_after)
        self.token = 1
        self.served = 0
        self.is_shut = False

    def apply(self, request: Request, answer: Answer) -> Answer:
        if request.path.endswith(".m3u8"):
            return replace(answer, body=playlist(f"?token={self.token}"))
        if self.is_shut or request.target.rpartition("=")[2] != str(self.token):
            return Status(403).apply(request, answer)
        self.served += 1
        if self.changes_after and self.served >= self.changes_after[0]:
            self.changes_after.pop(0)
            self.token += 1
        return answer


def serve(origin: ScriptedOrigin, text: bytes = b"", at: str = "/v") -> str:
    for number in range(SEGMENTS):
        origin.add(f"{at}/{number}.ts", body(number))
    origin.add(f"{at}/index.m3u8", text or playlist())
    return origin.url(f"{at}/index.m3u8")


def stored(bundle: Path) -> list[bytes]:
    return [path.read_bytes() for path in sorted(bundle.glob("0-*/*.ts"))]


TRUTH = [body(number) for number in range(SEGMENTS)]


class Once:
    """Nothing the first time, then what is given."""

    def __init__(self, behaviour: Behaviour) -> None:
        self.behaviour, self.asked = behaviour, 0

    def apply(self, request: Request, answer: Answer) -> Answer:
        self.asked += 1
        return answer if self.asked == 1 else self.behaviour.apply(request, answer)


def interrupted(url: str, origin: ScriptedOrigin, bundle: Path) -> set[str]:
    """Kill a download in its middle; the names of the segments it finished."""
    origin.delay = 0.05
    process = start("fetch", url, "-o", bundle, "-N", "2")
    try:
        deadline = time.monotonic() + 30
        while len(stored(bundle)) < 6:
            assert time.monotonic() < deadline
            time.sleep(0.01)
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
    origin.wait_for_end()  # what was asked for last is answered by the rules of now
    origin.delay = 0
    return {path.name for path in bundle.glob("0-*/0*.ts")}
