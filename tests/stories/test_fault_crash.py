"""Ends that nobody chose, beyond those of the tortures: a closed terminal, a memory limit, many sources at once.

The numbers are those of docs/faults.md.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import pty
import select
import signal
import subprocess
import sys
import threading
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from commands import Done, command, environment, hlsdl, start
from faults import TRUTH, asked, begun, body, finished, playlist, require_told, require_whole, serve
from lan import end, until, wait

import hlsdl.sync as blocking
from hlsdl.testing import Hold, ScriptedOrigin

HELD = 3
MEMORY = Path("/sys/fs/cgroup/memory")
UNIFIED = Path("/sys/fs/cgroup")
HOG = """
import sys
block = []
sys.stdin.readline()
while True:
    block.append(b"x" * 1_000_000)
"""


@pytest.fixture
def origin() -> Iterator[ScriptedOrigin]:
    with ScriptedOrigin() as server:
        yield server


@pytest.fixture
def memory_group() -> Iterator[Path]:
    """A memory cgroup of 150 MB; what is in it is killed when it needs more."""
    if sys.platform != "linux" or os.geteuid() != 0:
        pytest.skip("memory cgroups need Linux and root")
    above, limit = (MEMORY, "memory.limit_in_bytes") if MEMORY.is_dir() else (UNIFIED, "memory.max")
    group = above / f"hlsdl-{uuid.uuid4().hex[:8]}"
    try:
        group.mkdir()
        (group / limit).write_text("150000000")
    except OSError as error:
        pytest.skip(f"no memory cgroup can be made here: {error}")
    yield group
    until(lambda: not (group / "cgroup.procs").read_text().strip(), "the end of all processes of the group")
    group.rmdir()


def join(group: Path, process: subprocess.Popen[str]) -> None:
    """Put a process into the group."""
    (group / "cgroup.procs").write_text(str(process.pid))


@pytest.mark.parametrize("phase", ["middle", "resume"])
def test_a_process_that_the_kernel_kills_for_memory_resumes(
    origin: ScriptedOrigin, tmp_path: Path, memory_group: Path, phase: str
) -> None:
    """Row 104: another process takes all the memory, and the download is what the kernel kills."""
    bundle, url, go = tmp_path / "b.movpkg", serve(origin), threading.Event()
    if phase == "resume":
        asyncio.run(begun(origin, url, bundle))
    origin.script(f"/v/{HELD}.ts", Hold(go, after=3000))
    process = start("fetch", url, "-o", bundle, "-N", "1")
    hog = subprocess.Popen([sys.executable, "-c", HOG], stdin=subprocess.PIPE, text=True)
    try:
        until(lambda: finished(bundle) == {0, 1, 2} and origin.count(f"/v/{HELD}.ts"), "three segments and a half")
        join(memory_group, process)
        join(memory_group, hog)
        Path(f"/proc/{process.pid}/oom_score_adj").write_text("1000")  # so it is the first that the kernel kills
        assert hog.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            hog.stdin.write("go\n")
            hog.stdin.flush()
        until(lambda: process.poll() is not None, "the kill")
    finally:
        end(process)
        end(hog)
        go.set()
    assert process.returncode == -signal.SIGKILL
    before = finished(bundle)
    assert before == {0, 1, 2}
    origin.clear_requests()
    blocking.fetch(url, output=bundle, proxy="")
    assert not before & asked(origin)
    require_whole(bundle, TRUTH)


SOURCES = 24


def test_a_killed_run_over_many_sources_goes_on_with_each(origin: ScriptedOrigin, tmp_path: Path) -> None:
    """Row 103: there is no daemon and no queue; the list of sources is the queue, and the bundles know the rest."""
    urls = []
    for number in range(SOURCES):
        for segment in range(2):
            origin.add(f"/{number}/{segment}.ts", body(number * 10 + segment))
        origin.add(f"/{number}/film {number}.m3u8", playlist(["0.ts", "1.ts"]))
        urls.append(origin.url(f"/{number}/film%20{number}.m3u8"))
    go = threading.Event()
    origin.script(f"/{SOURCES // 2}/1.ts", Hold(go))
    process = start("fetch", *urls, "-P", tmp_path, "--json")
    until(lambda: origin.count(f"/{SOURCES // 2}/1.ts"), "half of the sources")
    os.killpg(process.pid, signal.SIGKILL)
    out, _ = process.communicate()
    go.set()
    told = [json.loads(line)["source"] for line in out.splitlines()]
    assert told == urls[: len(told)], "documents come in the order of the sources"
    before = set(tmp_path.glob("*.movpkg/0-*/0*.ts"))
    origin.clear_requests()
    again = hlsdl("fetch", *urls, "-P", tmp_path, "--json")
    assert again.code == 0, again.err
    documents = [json.loads(line) for line in again.out.splitlines()]
    assert [document["source"] for document in documents] == urls
    assert {document["state"] for document in documents} == {"complete"}
    assert len(list(tmp_path.glob("*.movpkg/0-*/0*.ts"))) == 2 * SOURCES
    fetched = [request for request in origin.requests if request.path.endswith(".ts")]
    assert len(fetched) == 2 * SOURCES - len(before)


def test_a_manifest_that_is_damaged_is_told_and_left_alone(origin: ScriptedOrigin, tmp_path: Path) -> None:
    """Row 103: whose bundle it was, nobody can say; in a folder of bundles the source gets a new one."""
    url = serve(origin)
    assert hlsdl("fetch", url, "-P", tmp_path).code == 0
    [bundle] = tmp_path.glob("*.movpkg")
    data = bytearray((bundle / "manifest.json").read_bytes())
    data[len(data) // 2] ^= 0x80
    (bundle / "manifest.json").write_bytes(bytes(data))
    require_told(hlsdl("fetch", url, "-o", bundle, "--json"), 8)
    require_told(hlsdl("info", bundle, "--json"), 8)
    again = hlsdl("fetch", url, "-P", tmp_path, "--json")
    assert again.code == 0, again.err
    require_whole(Path(again.document["path"]), TRUTH)
    assert (bundle / "manifest.json").read_bytes() == bytes(data)
    assert f"`{bundle}` is left alone" in again.err
    quiet = hlsdl("fetch", url, "-P", tmp_path)
    assert "left alone" not in quiet.err  # it is complete, and nothing is fetched


@pytest.mark.parametrize("phase", ["fresh", "resume"])
@pytest.mark.parametrize(
    ("name", "code"),
    [("SIGKILL", -signal.SIGKILL), ("SIGINT", 130), ("SIGTERM", 130)],
    ids=["95 SIGKILL", "101 SIGINT", "101 SIGTERM"],
)
def test_an_end_before_the_first_segment_of_a_run_costs_nothing(
    origin: ScriptedOrigin, tmp_path: Path, name: str, code: int, phase: str
) -> None:
    """Rows 95 and 101: while the playlist is on its way, for the first time or for the run that goes on."""
    bundle, url, go = tmp_path / "b.movpkg", serve(origin), threading.Event()
    before = asyncio.run(begun(origin, url, bundle)) if phase == "resume" else set()
    origin.script("/v/index.m3u8", Hold(go, after=30))
    process = start("fetch", url, "-o", bundle, "--json")
    until(lambda: origin.count("/v/index.m3u8"), "the playlist")
    process.send_signal(getattr(signal, name))
    out, err = process.communicate(timeout=30)
    go.set()
    done = Done(process.returncode, out, err)
    assert done.code == code, err
    if code > 0:
        require_told(done, code)
    assert finished(bundle) == before
    origin.clear_requests()
    blocking.fetch(url, output=bundle, proxy="")
    assert not before & asked(origin)
    require_whole(bundle, TRUTH)


@pytest.mark.parametrize("phase", ["fresh", "resume"])
def test_a_second_process_is_told_before_the_first_has_its_first_segment(
    origin: ScriptedOrigin, tmp_path: Path, phase: str
) -> None:
    """Row 102: on a fresh start, and in the run that goes on."""
    bundle, url, go = tmp_path / "b.movpkg", serve(origin), threading.Event()
    before = asyncio.run(begun(origin, url, bundle)) if phase == "resume" else set()
    held = f"/v/{len(before)}.ts"
    origin.script(held, Hold(go))
    process = start("fetch", url, "-o", bundle, "-N", "1", "--json")
    until(lambda: origin.count(held), "its first segment")
    require_told(hlsdl("fetch", url, "-o", bundle, "--json"), 11)
    go.set()
    assert wait(process).code == 0
    assert {origin.count(f"/v/{number}.ts") for number in range(len(TRUTH)) if number not in before} == {1}
    assert not before & asked(origin)
    require_whole(bundle, TRUTH)


def test_a_closed_terminal_saves_and_the_same_command_goes_on(origin: ScriptedOrigin, tmp_path: Path) -> None:
    """Row 101: a real one, with nobody left to read what is said."""
    bundle, url, go = tmp_path / "b.movpkg", serve(origin), threading.Event()
    origin.script(f"/v/{HELD}.ts", Hold(go, after=3000))
    words = command("fetch", url, "-o", bundle, "-N", "1")
    child, terminal = pty.fork()
    if child == 0:
        os.execve(words[0], words, environment())
    until(lambda: read(terminal) and finished(bundle) == {0, 1, 2}, "three segments")
    until(lambda: read(terminal) and origin.count(f"/v/{HELD}.ts"), "the next one")
    os.close(terminal)
    _, status = os.waitpid(child, 0)
    go.set()
    assert os.waitstatus_to_exitcode(status) == 130
    origin.clear_requests()
    blocking.fetch(url, output=bundle, proxy="")
    assert not {0, 1, 2} & asked(origin)
    require_whole(bundle, TRUTH)


def read(terminal: int) -> bool:
    """Take what is drawn there, as a terminal does, so that it never fills up."""
    while select.select([terminal], [], [], 0)[0]:
        os.read(terminal, 4096)
    return True
