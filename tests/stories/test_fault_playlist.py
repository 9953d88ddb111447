"""Faults of playlists and keys over whole downloads.

What a playlist alone can do is tried by the millions in docs/torture.md; here each kind goes the whole way once, and
nothing may appear outside the bundle. The numbers are those of docs/faults.md.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from commands import command, environment
from faults import PHASES, TRUTH, asked, begun, body, finished, playlist, require_whole, serve, side_by_side, stopped

import hlsdl as library
from hlsdl.errors import HlsdlError, HttpError
from hlsdl.testing import (
    Answer,
    Behaviour,
    Body,
    Cut,
    Empty,
    Endless,
    Gzip,
    GzipBomb,
    Json,
    Request,
    ScriptedOrigin,
    Status,
)

INDEX = "/v/index.m3u8"
QUICK = {"retries": 1, "proxy": "", "connections": 1}
MORE_MEMORY = 64 * 1024 * 1024
"""What a hostile playlist may cost beyond a harmless one."""


@pytest.fixture
def origin() -> Iterator[ScriptedOrigin]:
    with ScriptedOrigin() as server:
        yield server


async def refused(url: str, bundle: Path) -> HlsdlError:
    with pytest.raises(HlsdlError) as caught:
        await library.fetch(url, output=bundle, **QUICK)
    assert caught.value.hint
    return caught.value


@dataclass(frozen=True)
class Gone:
    """A segment that is gone, whereupon the playlist is read again: from then on that has a fault."""

    origin: ScriptedOrigin
    faults: tuple[Behaviour, ...]

    def apply(self, request: Request, answer: Answer) -> Answer:
        self.origin.always(INDEX, *self.faults)
        return Status(404).apply(request, answer)


async def arrange(phase: str, origin: ScriptedOrigin, url: str, bundle: Path, *faults: Behaviour) -> None:
    """Let the playlist have these faults from the beginning, or when it is read again, or in the run that goes on."""
    if phase == "middle":
        origin.script("/v/3.ts", Gone(origin, faults))
        return
    if phase == "resume":
        await begun(origin, url, bundle)
    origin.always(INDEX, *faults)


async def require_goes_on(phase: str, origin: ScriptedOrigin, url: str, bundle: Path) -> None:
    """Nothing is lost by what the playlist did, and with a good one the work goes on from there."""
    before = finished(bundle)
    assert before == {"fresh": set(), "middle": {0, 1, 2}, "resume": {0, 1}}[phase]
    origin.always(INDEX)
    origin.clear_requests()
    await library.fetch(url, output=bundle, **QUICK)
    assert not before & asked(origin)
    require_whole(bundle, TRUTH)


SERVED_BADLY: dict[str, tuple[Behaviour, int]] = {
    "2 cut": (Cut(after=100), 3),
    "10 JSON": (Json(), 5),
    "11 empty": (Empty(), 5),
    "12 204": (Status(204), 4),
    "14 cut gzip whose length fits": (Gzip(cut=60), 3),
    "15 gzip bomb": (GzipBomb(), 12),
    "15 gzip in gzip": (Gzip(layers=2), 12),
    "34 503": (Status(503), 3),
    "64 segments without end": (Endless(), 12),
}


@pytest.mark.parametrize("name", SERVED_BADLY)
async def test_a_playlist_that_is_served_badly_is_told_and_costs_nothing_stored(tmp_path: Path, name: str) -> None:
    """In three phases: the first time, when it is read again in the middle, and in the run that goes on."""
    fault, code = SERVED_BADLY[name]

    async def play(phase: str, folder: Path) -> None:
        bundle = folder / "b.movpkg"
        with ScriptedOrigin() as origin:
            url = serve(origin)
            await arrange(phase, origin, url, bundle, fault)
            assert (await refused(url, bundle)).code == code, phase
            assert folder.exists() is (phase != "fresh")
            origin.script(INDEX, *([fault] if code == 3 else []))
            await require_goes_on(phase, origin, url, bundle)

    await side_by_side(play, tmp_path)


def peak_memory(*words: str | Path) -> tuple[int, int]:
    """The exit code of `hlsdl …` and the most bytes it had."""
    process = subprocess.Popen(
        command(*words), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment(), start_new_session=True
    )
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    return process.returncode, used.ru_maxrss * (1 if sys.platform == "darwin" else 1024)


@pytest.mark.skipif(os.name != "posix", reason="asks the kernel for the memory of a child as POSIX has it")
def test_a_hostile_playlist_costs_little_memory(origin: ScriptedOrigin, tmp_path: Path) -> None:
    """Rows 15 and 64: a bomb of 64 MB, and segments without end."""
    url = serve(origin)
    code, harmless = peak_memory("fetch", url, "-o", tmp_path / "a.movpkg")
    assert code == 0
    for fault in (GzipBomb(), Endless()):
        origin.add("/e.m3u8", playlist(["0.ts"] * 1000, end=""))
        origin.always("/e.m3u8", fault)
        code, used = peak_memory("fetch", origin.url("/e.m3u8"), "-o", tmp_path / "b.movpkg")
        assert code == 12
        assert used - harmless < MORE_MEMORY + 32 * 1024 * 1024  # the limit of a playlist's own bytes
    assert not (tmp_path / "b.movpkg").exists()


STREAM = "#EXT-X-STREAM-INF:BANDWIDTH=800000\n"
SEGMENT = "#EXTINF:4,\n0.ts\n"
SYSTEM = 'METHOD=SAMPLE-AES,URI="skd://x",KEYFORMAT="com.apple.streamingkeydelivery"'


SENSELESS = [
    pytest.param(f"{STREAM}index.m3u8\n", 5, id="63 a playlist that names itself"),
    pytest.param(f"{STREAM}x.m3u8\n#EXT-X-TARGETDURATION:4\n{SEGMENT}", 5, id="63 two kinds in one"),
    *(
        pytest.param(f"#EXT-X-TARGETDURATION:4\n#EXTINF:{value},\n0.ts\n#EXT-X-ENDLIST\n", code, id=f"65 {value[:9]}")
        for value, code in (("nan", 5), ("inf", 5), ("-2", 5), ("1e309", 12), ("9" * 400, 5), ("86401", 12))
    ),
    pytest.param(f"#EXT-X-MEDIA-SEQUENCE:{'9' * 400}\n{SEGMENT}#EXT-X-ENDLIST\n", 12, id="65 a long number"),
    pytest.param(f"#EXT-X-BYTERANGE:10@{2**63}\n{SEGMENT}#EXT-X-ENDLIST\n", 12, id="71 a range past 2^63"),
    pytest.param("#EXTINF:4,\nhttp://127.0.0.1/\x1b[31m.ts\n#EXT-X-ENDLIST\n", 5, id="67 an escape in a URI"),
    pytest.param(
        f'#EXT-X-KEY:METHOD=AES-128,URI="k",IV=0x{"F" * 33}\n{SEGMENT}#EXT-X-ENDLIST\n', 5, id="76 an IV of 132 bits"
    ),
]
ANOTHER_STREAM = [
    pytest.param(f"#EXT-X-BYTERANGE:10@99999\n{SEGMENT}#EXT-X-ENDLIST\n", 4, id="71 a range past the end"),
    pytest.param(f"#EXT-X-TARGETDURATION:4\n{SEGMENT}", 13, id="77 a stream without end"),
    pytest.param(f'#EXT-X-KEY:METHOD=AES-128,URI="k"\n{SEGMENT}#EXT-X-ENDLIST\n', 7, id="74 a key that is none"),
    pytest.param(f"#EXT-X-KEY:{SYSTEM}\n{SEGMENT}#EXT-X-ENDLIST\n", 7, id="79 a key system"),
]


@pytest.mark.parametrize("phase", PHASES)
@pytest.mark.parametrize(("text", "code"), SENSELESS)
async def test_a_playlist_that_makes_no_sense_is_told_and_costs_nothing_stored(
    origin: ScriptedOrigin, tmp_path: Path, text: str, code: int, phase: str
) -> None:
    """The first time, when it is read again in the middle, and in the run that goes on."""
    bundle, url = tmp_path / "b.movpkg", serve(origin)
    await arrange(phase, origin, url, bundle, Body(f"#EXTM3U\n{text}".encode()))
    error = await refused(url, bundle)
    assert error.code == code, error
    assert "\x1b" not in f"{error.message} {error.hint} {error.url}"
    await require_goes_on(phase, origin, url, bundle)


@pytest.mark.parametrize("phase", PHASES)
@pytest.mark.parametrize(("text", "code"), ANOTHER_STREAM)
async def test_a_playlist_that_cannot_be_stored_is_told_and_is_no_substitute(
    origin: ScriptedOrigin, tmp_path: Path, text: str, code: int, phase: str
) -> None:
    """Once something is stored, it is another stream: that is told before anything in it is asked for."""
    bundle, url = tmp_path / "b.movpkg", serve(origin)
    origin.add("/v/k", b"fifteen bytes..")
    await arrange(phase, origin, url, bundle, Body(f"#EXTM3U\n{text}".encode()))
    assert (await refused(url, bundle)).code == (code if phase == "fresh" else 8)
    if phase == "fresh":
        assert finished(bundle) == set()
        return
    assert not origin.count("/v/k")
    await require_goes_on(phase, origin, url, bundle)


@pytest.mark.parametrize("phase", ["middle", "resume"])
async def test_other_bytes_at_another_place_are_never_mixed_in(
    origin: ScriptedOrigin, tmp_path: Path, phase: str
) -> None:
    """Row 70: a finished segment is the proof, and the only one that is asked for there."""
    bundle, url = tmp_path / "b.movpkg", serve(origin)
    for number in range(len(TRUTH)):
        origin.add(f"/v/other/{number}.ts", body(number + 100))
    await arrange(phase, origin, url, bundle, Body(playlist(f"other/{number}.ts" for number in range(len(TRUTH)))))
    assert (await refused(url, bundle)).code == 8
    assert [one.path for one in origin.requests if "other" in one.path] == ["/v/other/0.ts"]
    await require_goes_on(phase, origin, url, bundle)


async def test_a_playlist_that_lost_its_end_is_still_the_same_stream(origin: ScriptedOrigin, tmp_path: Path) -> None:
    """Row 69, in the run that goes on: the segments are those that were planned."""
    bundle, url = tmp_path / "b.movpkg", serve(origin)
    await arrange("resume", origin, url, bundle, Body(playlist(end="")))
    await library.fetch(url, output=bundle, **QUICK)
    assert asked(origin) == {2, 3, 4, 5}
    require_whole(bundle, TRUTH)


SPELLINGS = [
    pytest.param(lambda text: b"\xef\xbb\xbf" + text, id="byte order mark"),
    pytest.param(lambda text: text.replace(b"\n", b"\r\n"), id="CRLF"),
    pytest.param(lambda text: text.rstrip(b"\n"), id="no last line end"),
    pytest.param(lambda text: text.replace(b"#EXTINF:4,", b"#EXTINF:4,caf\xe9"), id="Latin-1 title"),
    pytest.param(lambda text: text.decode().encode("utf-16"), id="UTF-16"),
]


@pytest.mark.parametrize("phase", PHASES)
@pytest.mark.parametrize("encode", SPELLINGS)
async def test_a_playlist_in_another_spelling_is_read_or_refused(
    origin: ScriptedOrigin, tmp_path: Path, encode: Callable[[bytes], bytes], phase: str
) -> None:
    """Row 78."""
    bundle, url = tmp_path / "b.movpkg", serve(origin)
    text = encode(playlist())
    await arrange(phase, origin, url, bundle, Body(text))
    try:
        text.decode("utf-8")
    except UnicodeDecodeError:
        assert (await refused(url, bundle)).code == 5
        await require_goes_on(phase, origin, url, bundle)
        return
    with contextlib.suppress(HttpError):  # the segment that was gone, where the playlist names no other
        await library.fetch(url, output=bundle, **QUICK)
    await library.fetch(url, output=bundle, **QUICK)
    assert {origin.count(f"/v/{number}.ts") for number in (0, 1, 2)} <= {0, 1}
    require_whole(bundle, TRUTH)


HOSTILE = [
    "../../../../etc/passwd.ts", "..%2f..%2fup.ts", "%2e%2e/%2e%2e/dots.ts", "..\\..\\back.ts", "a%00b.ts", "CON", "con.ts",
    "NUL.ts", "trailing.", "trailing%20", "x" * 300 + ".ts", "%e2%80%aegnp.ts", "caf%c3%a9.ts", "cafe%cc%81.ts",
    ".hidden.ts", "-rf.ts", "$(id).ts", "`id`.ts", "a;b.ts", "a|b.ts", "~/home.ts", "manifest.json",
    "journal.jsonl", "lock", "index.m3u8?x", "a.ts;v=1", "a//b.ts", "./././c.ts", "%0a.ts", "%1b[31m.ts", "a.html", "a.svg",
]  # fmt: skip


@pytest.mark.parametrize("phase", ["fresh", "resume"])
async def test_no_name_at_the_origin_becomes_a_name_here(origin: ScriptedOrigin, tmp_path: Path, phase: str) -> None:
    """Row 66: the whole folder around the bundle stays as it is."""
    bundle = tmp_path / "in" / "b.movpkg"
    bundle.parent.mkdir()
    truth = [body(number) for number in range(len(HOSTILE))]
    served = iter(truth)
    seen: dict[str, bytes] = {}
    stop = [False]

    class Anything:
        def apply(self, request: library.testing.Request, answer: library.testing.Answer) -> library.testing.Answer:
            if request.path == "/v/list.m3u8":
                return answer
            if stop[0] and len(seen) == 2:
                return Status(451).apply(request, answer)
            data = seen.setdefault(request.target, next(served) if request.target not in seen else b"")
            return library.testing.Answer(headers=(("Content-Type", "video/mp2t"),), body=data)

    origin.add("/v/list.m3u8", playlist(HOSTILE))
    url = origin.url("/v/list.m3u8")
    origin.always("*", Anything())
    if phase == "resume":
        stop[0] = True
        await stopped(url, bundle)
        stop[0] = False
    await library.fetch(url, output=bundle, **QUICK)
    require_whole(bundle, truth)
    assert {path.name for path in tmp_path.rglob("*") if bundle not in path.parents} == {"in", "b.movpkg"}
    names = {path.name for path in bundle.rglob("*") if path.is_file()}
    assert all(re.fullmatch(r"\d{9}\.[a-z0-9]+|[A-Za-z]+\.(xml|json|jsonl|m3u8)|lock", name) for name in names), names


@pytest.mark.parametrize("phase", ["fresh", "resume"])
async def test_many_keys_are_asked_for_once_each(origin: ScriptedOrigin, tmp_path: Path, phase: str) -> None:
    """Row 73: another key for each of 200 segments, and the same two again."""
    lines = []
    for number in range(200):
        origin.add(f"/v/k{number}", bytes([number]) * 16)
        origin.add(f"/v/{number}.ts", hashlib.sha512(bytes([number])).digest() * 2)
        lines += [f'#EXT-X-KEY:METHOD=AES-128,URI="k{number}"\n#EXTINF:4,\n{number}.ts\n']
        if number % 50 == 49:
            lines += ['#EXT-X-KEY:METHOD=AES-128,URI="k0"\n#EXTINF:4,\n0.ts\n']
    text = f"#EXTM3U\n#EXT-X-TARGETDURATION:4\n{''.join(lines)}#EXT-X-ENDLIST\n"
    origin.add("/v/index.m3u8", text.encode())
    url, path = origin.url("/v/index.m3u8"), tmp_path / "b.movpkg"
    if phase == "resume":
        origin.always("/v/2.ts", Status(451))
        await stopped(url, path)
        origin.always("/v/2.ts")
    bundle = await library.fetch(url, output=path, **QUICK)
    keys = Counter(request.path for request in origin.requests if request.path.startswith("/v/k"))
    assert set(keys.values()) == {1}
    assert len(keys) == 200
    assert bundle.is_playable_offline
