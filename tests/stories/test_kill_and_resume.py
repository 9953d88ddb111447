"""A download that is killed goes on where it stopped: nothing finished is asked for twice, and the result is the same."""

from __future__ import annotations

import os
import random
import signal
import threading
import time
from pathlib import Path

import pytest
from commands import hlsdl, start

from hlsdl.testing import Hold, ScriptedOrigin

SEGMENTS = 60
SIZE = 20_000


def serve(origin: ScriptedOrigin) -> str:
    """A TS stream of small segments; every byte differs from segment to segment."""
    lines = ["#EXTM3U", "#EXT-X-TARGETDURATION:4"]
    for number in range(SEGMENTS):
        body = b"".join(b"\x47" + random.Random(number * 1000 + i).randbytes(187) for i in range(SIZE // 188))
        origin.add(f"/v/{number}.ts", body)
        lines += ["#EXTINF:4,", f"{number}.ts"]
    origin.add("/v/index.m3u8", "\n".join([*lines, "#EXT-X-ENDLIST", ""]).encode())
    return origin.url("/v/index.m3u8")


def journalled(bundle: Path) -> set[str]:
    """Names of segments that are whole: under their final name."""
    return {path.name for path in bundle.glob("0-*/*.ts") if not path.name.startswith(".")}


def tree(bundle: Path) -> dict[str, bytes]:
    """The content of a bundle but for what carries times: manifest, journal and lock."""
    return {
        str(path.relative_to(bundle)): path.read_bytes()
        for path in sorted(bundle.rglob("*"))
        if path.is_file() and path.name not in ("manifest.json", "journal.jsonl", "lock")
    }


def wait_until_some_are_stored(bundle: Path, at_least: int) -> None:
    deadline = time.monotonic() + 30
    while len(journalled(bundle)) < at_least:
        assert time.monotonic() < deadline, "the download did not begin"
        time.sleep(0.01)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_killed_download_resumes_without_asking_for_a_finished_segment_again(tmp_path: Path, seed: int) -> None:
    whole, broken = tmp_path / "whole.movpkg", tmp_path / "broken.movpkg"
    with ScriptedOrigin() as origin:
        url = serve(origin)
        assert hlsdl("fetch", url, "-o", whole).code == 0
        origin.delay = 0.03
        kills = 0
        moments = random.Random(seed)
        while kills < 3:
            before = len(journalled(broken))
            process = start("fetch", url, "-o", broken)
            try:
                wait_until_some_are_stored(broken, min(before + moments.randint(1, 12), SEGMENTS - 1))
            finally:
                os.killpg(process.pid, signal.SIGKILL)
                process.communicate()
            kills += 1
        finished = journalled(broken)
        origin.delay = 0
        origin.clear_requests()
        assert hlsdl("fetch", url, "-o", broken).code == 0
        asked = {request.path.rpartition("/")[2] for request in origin.requests}
    assert finished
    assert not {f"{int(name[:9])}.ts" for name in finished} & asked
    # Is it still the same stream? Where the last kill came too late, and nothing is missing, nobody is asked.
    asked_again = [request.path for request in origin.requests].count("/v/index.m3u8")
    assert asked_again == (len(finished) < SEGMENTS)
    assert tree(broken) == tree(whole)


def test_a_sealed_bundle_costs_no_request(tmp_path: Path) -> None:
    with ScriptedOrigin() as origin:
        url = serve(origin)
        assert hlsdl("fetch", url, "-P", tmp_path).code == 0
        origin.clear_requests()
        again = hlsdl("fetch", url, "-P", tmp_path, "--json")
        assert again.code == 0
        assert origin.requests == []
    assert again.document["fetched"] == {"segments": 0, "bytes": 0, "reused_segments": SEGMENTS, "seconds": 0.0}


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_an_interrupt_saves_what_is_here_and_says_how_to_go_on(tmp_path: Path, name: str) -> None:
    bundle = tmp_path / "b.movpkg"
    with ScriptedOrigin(delay=0.05) as origin:
        url = serve(origin)
        process = start("fetch", url, "-o", bundle)
        wait_until_some_are_stored(bundle, 5)
        process.send_signal(getattr(signal, name))
        _, err = process.communicate(timeout=15)
        assert process.returncode == 130, err
        assert "Traceback" not in err
        assert "hint:" in err
        finished = journalled(bundle)
        origin.delay = 0
        origin.clear_requests()
        assert hlsdl("fetch", url, "-o", bundle).code == 0
        asked = {request.path.rpartition("/")[2] for request in origin.requests}
    assert not {f"{int(one[:9])}.ts" for one in finished} & asked


def test_two_interrupts_end_at_once_and_the_bundle_is_still_sound(tmp_path: Path) -> None:
    bundle = tmp_path / "b.movpkg"
    with ScriptedOrigin(delay=0.05) as origin:
        url = serve(origin)
        process = start("fetch", url, "-o", bundle)
        wait_until_some_are_stored(bundle, 5)
        process.send_signal(signal.SIGINT)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=5)
        assert process.returncode == 130, err
        origin.delay = 0
        assert hlsdl("fetch", url, "-o", bundle).code == 0
    assert hlsdl("verify", bundle).code == 0


def test_a_second_process_on_the_same_bundle_is_told_so(tmp_path: Path) -> None:
    bundle = tmp_path / "b.movpkg"
    with ScriptedOrigin() as origin:
        url = serve(origin)
        origin.script("/v/30.ts", Hold(threading.Event()))
        process = start("fetch", url, "-o", bundle)
        try:
            wait_until_some_are_stored(bundle, 3)
            second = hlsdl("fetch", url, "-o", bundle, "--json")
        finally:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
    assert second.code == 11
    assert second.document["kind"] == "locked"
