"""Faults of the disk under whole downloads: calls that fail, disks that fill, files that somebody else touches.

Single calls are bent by the tracer of the tortures (docs/torture.md), and each is seen to have been; whole file systems
are mounted. However it ends, the same command goes on afterwards and asks for nothing that was finished.
The numbers are those of docs/faults.md.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import resource
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from commands import Done, command, environment, hlsdl, start
from faults import TRUTH, asked, begun, finished, require_told, require_whole, serve
from lan import system, until, wait

import hlsdl.sync as blocking
from hlsdl.testing import Hold, ScriptedOrigin

TOOLS = Path(__file__).parent.parent.parent / "tools"
sys.path.insert(0, str(TOOLS))

from torturing.processes import Injection, run_traced, why_no_tracer  # noqa: E402

HELD = 4
JOURNAL = "journal.jsonl"


@pytest.fixture
def origin() -> Iterator[ScriptedOrigin]:
    with ScriptedOrigin() as server:
        yield server


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Callable[..., Path]]:
    """`disk("mount", …)` mounts at a new place, `disk(…, image=("mkfs…",))` a fresh image; skips say the system's reason."""
    with contextlib.ExitStack() as undo:

        def mount(*words: str, image: tuple[str, ...] = ()) -> Path:
            if sys.platform != "linux" or os.geteuid() != 0:
                pytest.skip("mounting needs Linux and root")
            for program in (words[0], *image[:1]):
                if shutil.which(program) is None:
                    pytest.skip(f"`{program}` is not installed")
            place = tmp_path / "disk"
            place.mkdir()
            try:
                devices = [_device(tmp_path / "disk.img", image, undo)] if image else []
                system(*words, *devices, str(place))
            except subprocess.CalledProcessError as error:
                pytest.skip(f"this kernel cannot mount it: {error.stderr.strip()}")
            undo.callback(system, "umount", "-l", str(place))
            return place

        yield mount


def _device(file: Path, make: tuple[str, ...], undo: contextlib.ExitStack) -> str:
    with file.open("wb") as image:
        image.truncate(1 << 30)
    system(*make, str(file))
    device = system("losetup", "--find", "--show", str(file)).strip()
    undo.callback(system, "losetup", "--detach", device)
    return device


def fetch(url: str, bundle: Path) -> Done:
    return hlsdl("fetch", url, "-o", bundle, "-N", "2", "--json")


def require_goes_on(origin: ScriptedOrigin, url: str, bundle: Path, before: set[int]) -> None:
    """The same command completes the bundle, and asks for nothing that was finished."""
    origin.clear_requests()
    blocking.fetch(url, output=bundle, proxy="")
    assert not before & asked(origin)
    require_whole(bundle, TRUTH)


def bent(action: str, calls: str, at: int, *, lasting: bool = False) -> Injection:
    return Injection(calls=tuple(calls.split()), at=at, action=action, lasting=lasting)


FAILURES = {
    "81 full under the journal, once": (bent("ENOSPC", "write", 3), JOURNAL),
    "81 full under the journal": (bent("ENOSPC", "write", 3, lasting=True), JOURNAL),
    "82 full when flushed, once": (bent("ENOSPC", "fsync fdatasync", 2), ""),
    "82 full when closed, once": (bent("ENOSPC", "close", 9), ""),
    "84 over quota": (bent("EDQUOT", "write", 9, lasting=True), ""),
    "85 write error, once": (bent("EIO", "write", 9), ""),
    "85 write error": (bent("EIO", "write", 9, lasting=True), ""),
    "86 flush error, once": (bent("EIO", "fsync fdatasync", 2), ""),
    "86 flush error": (bent("EIO", "fsync fdatasync", 2, lasting=True), ""),
    "88 read-only": (bent("EROFS", "openat mkdirat renameat", 25, lasting=True), ""),
    "89 no descriptor, once": (bent("EMFILE", "openat", 12), ""),
    "89 no descriptor": (bent("EMFILE", "openat", 12, lasting=True), ""),
    "90 short writes": (bent("short", "write", 5, lasting=True), ""),
}
"""Which call on which file below the bundle (all of them: nothing) fails how, from when on: in the middle."""
FROM_THE_FIRST = [name for name, (injection, _) in FAILURES.items() if injection.lasting or "flushed" in name]


@pytest.mark.parametrize(
    ("name", "phase"),
    [
        *((name, "middle") for name in FAILURES),
        *((name, phase) for phase in ("fresh", "resume") for name in FROM_THE_FIRST),
    ],
)
def test_a_call_that_fails_is_told_and_costs_nothing_finished(
    origin: ScriptedOrigin, tmp_path: Path, name: str, phase: str
) -> None:
    reason = why_no_tracer()
    if reason is not None:
        pytest.skip(reason)
    bundle, url = tmp_path / "b.movpkg", serve(origin)
    injection, inside = FAILURES[name]
    before: set[int] = set()
    if phase == "resume":
        before = asyncio.run(begun(origin, url, bundle))
    if phase != "middle":
        injection = replace(injection, at=1)
    words = command("fetch", url, "-o", bundle, "-N", "2", "--json")
    ended = run_traced(words, injection, inside=bundle / inside if inside else bundle, scratch=tmp_path)
    assert ended.fired, "nothing was injected"
    done = Done(ended.code, ended.out, ended.err)
    assert "Traceback" not in done.err
    assert "Exception ignored" not in done.err
    if done.code:
        require_told(done, 9)
    else:
        assert injection.action == "short" or not injection.lasting
        require_whole(bundle, TRUTH)
    assert not before & asked(origin)
    assert before <= finished(bundle)
    require_goes_on(origin, url, bundle, finished(bundle))


@pytest.mark.parametrize(("inodes", "phase"), [(4, "fresh"), (14, "middle"), (14, "resume")])
def test_a_disk_without_inodes_is_told_and_can_be_resumed(
    origin: ScriptedOrigin, disk: Callable[..., Path], inodes: int, phase: str
) -> None:
    """Row 83."""
    place = disk("mount", "-t", "tmpfs", "-o", f"size=512m,nr_inodes={inodes}", "tmpfs")
    url, bundle = serve(origin), place / "b.movpkg"
    before: set[int] = set()
    if phase == "resume":
        before = asyncio.run(begun(origin, url, bundle))
    told = require_told(fetch(url, bundle), 9)
    assert told["resumable"] is True
    assert not before & asked(origin)
    before |= finished(bundle)
    assert bool(before) is (phase != "fresh")
    system("mount", "-o", "remount,nr_inodes=10000", str(place))
    require_goes_on(origin, url, bundle, before)


@pytest.mark.parametrize("phase", ["fresh", "resume"])
def test_a_disk_that_somebody_else_has_filled_is_told(
    origin: ScriptedOrigin, disk: Callable[..., Path], phase: str
) -> None:
    """Row 80: not a byte is left, and later there is room again."""
    place = disk("mount", "-t", "tmpfs", "-o", "size=80m", "tmpfs")
    url, bundle = serve(origin), place / "b.movpkg"
    before = asyncio.run(begun(origin, url, bundle)) if phase == "resume" else set()
    with (place / "theirs").open("wb") as theirs:
        os.posix_fallocate(theirs.fileno(), 0, shutil.disk_usage(place).free)
    told = require_told(fetch(url, bundle), 9)
    assert told["resumable"] is True
    assert asked(origin) == set()
    (place / "theirs").unlink()
    require_goes_on(origin, url, bundle, before)


@pytest.mark.parametrize("left", [0, 4096, 16384], ids=["full", "a page", "four pages"])
def test_a_complete_copy_on_a_full_disk_needs_nothing(
    origin: ScriptedOrigin, disk: Callable[..., Path], tmp_path: Path, left: int
) -> None:
    """A mark that its source was named here is tried to be written, and not more; without that it is as whole."""
    place = disk("mount", "-t", "tmpfs", "-o", "size=80m", "tmpfs")
    url, bundle = serve(origin), place / "b.movpkg"
    assert fetch(url, tmp_path / "b.movpkg").code == 0
    shutil.copytree(tmp_path / "b.movpkg", bundle)
    with (place / "theirs").open("wb") as theirs:
        os.posix_fallocate(theirs.fileno(), 0, shutil.disk_usage(place).free - left)
    origin.clear_requests()
    done = fetch(url, bundle)
    assert done.code == 0, done.out
    assert ("cannot be marked" in done.err) is (left == 0)
    require_whole(bundle, TRUTH)
    (place / "theirs").unlink()
    again = fetch(url, bundle)
    assert (again.code, "cannot be marked" in again.err) == (0, False)
    assert origin.requests == []
    require_whole(bundle, TRUTH)


@pytest.mark.parametrize("is_copy", [False, True], ids=["the bundle", "a copy"])
def test_a_manifest_that_was_changed_is_written_anew_and_not_vouched_for(
    origin: ScriptedOrigin, tmp_path: Path, is_copy: bool
) -> None:
    url, bundle = serve(origin), tmp_path / "a" / "b.movpkg"
    assert fetch(url, bundle).code == 0
    if is_copy:
        bundle = Path(shutil.copytree(bundle, tmp_path / "b.movpkg"))
    manifest = bundle / "manifest.json"
    truth = manifest.read_text()
    manifest.write_text(truth.replace('"duration": 24.0', '"duration": 96.0'))
    assert manifest.read_text() != truth
    assert hlsdl("verify", bundle).code == 8
    assert fetch(url, bundle).code == 0
    assert '"duration": 24.0' in manifest.read_text()
    require_whole(bundle, TRUTH)


def test_a_disk_that_becomes_read_only_in_the_middle_is_told(origin: ScriptedOrigin, disk: Callable[..., Path]) -> None:
    """Row 88: what ext4 does when it finds itself damaged."""
    place = disk("mount", "-o", "errors=remount-ro", image=("mkfs.ext4", "-q", "-F"))
    device = system("findmnt", "-no", "SOURCE", str(place)).strip()
    trigger = Path("/sys/fs/ext4") / Path(device).name / "trigger_fs_error"
    if not trigger.exists():
        pytest.skip("this kernel's ext4 has no trigger_fs_error")
    url, bundle, go = serve(origin), place / "b.movpkg", threading.Event()
    origin.script(f"/v/{HELD}.ts", Hold(go))
    process = start("fetch", url, "-o", bundle, "-N", "1", "--json")
    until(lambda: finished(bundle) == {0, 1, 2, 3}, "four segments")
    trigger.write_text("a test")
    go.set()
    told = require_told(wait(process), 9)
    assert told["resumable"] is True
    system("umount", str(place))
    system("mount", device, str(place))
    require_goes_on(origin, url, bundle, finished(bundle))


def limited(what: int, most: int, *words: str | Path) -> Done:
    """Run `hlsdl …` under a resource limit."""
    done = subprocess.run(
        command(*words),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        env=environment(),
        preexec_fn=lambda: resource.setrlimit(what, (most, most)),
    )
    return Done(done.returncode, done.stdout, done.stderr)


def test_few_descriptors_are_enough(origin: ScriptedOrigin, tmp_path: Path) -> None:
    """Row 89: 32 of them, and as many requests at once as hlsdl likes."""
    bundle, truth = tmp_path / "b.movpkg", TRUTH * 10
    url = serve(origin, truth)
    origin.delay = 0.05
    done = limited(resource.RLIMIT_NOFILE, 32, "fetch", url, "-o", bundle, "--json")
    assert done.code == 0, (done.out, done.err)
    require_whole(bundle, truth)
    told = require_told(limited(resource.RLIMIT_NOFILE, 16, "fetch", url, "-o", tmp_path / "c.movpkg", "--json"), 3, 9)
    assert told["resumable"] is True


@pytest.mark.parametrize("phase", ["fresh", "resume"])
def test_a_file_that_may_not_grow_is_told(origin: ScriptedOrigin, tmp_path: Path, phase: str) -> None:
    """Row 90: the kernel cuts the write short and refuses the rest (EFBIG); nothing half written gets a name."""
    bundle, url = tmp_path / "b.movpkg", serve(origin)
    before = asyncio.run(begun(origin, url, bundle)) if phase == "resume" else set()
    told = require_told(limited(resource.RLIMIT_FSIZE, 6000, "fetch", url, "-o", bundle, "--json"), 9)
    assert told["resumable"] is True
    assert finished(bundle) == before
    assert not before & asked(origin)
    require_goes_on(origin, url, bundle, before)


def with_four_segments(
    origin: ScriptedOrigin, url: str, bundle: Path, go: threading.Event, phase: str
) -> subprocess.Popen[str]:
    """A run that has stored four segments, the first or the second one for this bundle, and waits for `go`."""
    if phase == "resume":
        asyncio.run(begun(origin, url, bundle))
    origin.script(f"/v/{HELD}.ts", Hold(go))
    process = start("fetch", url, "-o", bundle, "-N", "1", "--json")
    until(lambda: finished(bundle) == {0, 1, 2, 3}, "four segments")
    return process


@pytest.mark.parametrize("phase", ["middle", "resume"])
def test_files_that_somebody_else_touches_are_found_and_only_they_come_again(
    origin: ScriptedOrigin, tmp_path: Path, phase: str
) -> None:
    """Row 91: one is deleted, one cut and one replaced while the download goes on."""
    bundle, url, go = tmp_path / "b.movpkg", serve(origin), threading.Event()
    process = with_four_segments(origin, url, bundle, go, phase)
    zero, one, two, _ = sorted(bundle.glob("0-*/0*.ts"))
    zero.unlink()
    os.truncate(one, 100)
    two.write_bytes(b"\x47" + bytes(187))
    go.set()
    done = wait(process)
    told = require_told(done, 8)
    assert "the same command again" in told["hint"]
    require_goes_on(origin, url, bundle, {3, 4, 5})
    assert asked(origin) == {0, 1, 2}


@pytest.mark.parametrize("phase", ["middle", "resume"])
def test_a_bundle_that_is_moved_in_the_middle_stays_whole_where_it_is(
    origin: ScriptedOrigin, tmp_path: Path, phase: str
) -> None:
    """Row 92: work goes on in the folder itself, not at its old name, and nothing appears there."""
    bundle, moved, url, go = tmp_path / "b.movpkg", tmp_path / "moved.movpkg", serve(origin), threading.Event()
    process = with_four_segments(origin, url, bundle, go, phase)
    bundle.rename(moved)
    go.set()
    told = require_told(wait(process), 9)
    assert "moved" in told["message"]
    assert not bundle.exists()
    require_whole(moved, TRUTH)
    require_goes_on(origin, url, moved, set(range(len(TRUTH))))


@pytest.mark.parametrize("phase", ["middle", "resume"])
def test_a_stream_whose_folder_is_moved_away_is_not_sealed_and_comes_again(
    origin: ScriptedOrigin, tmp_path: Path, phase: str
) -> None:
    """Row 92: what is stored in it is not in the bundle any more, and must not be fetched for ever."""
    bundle, url, go = tmp_path / "b.movpkg", serve(origin), threading.Event()
    process = with_four_segments(origin, url, bundle, go, phase)
    next(bundle.glob("0-*")).rename(tmp_path / "moved")
    go.set()
    require_told(wait(process), 8)
    assert hlsdl("fetch", url, "-o", bundle).code == 0
    require_whole(bundle, TRUTH)


def test_a_file_system_that_knows_no_case_and_no_modes_holds_a_bundle(
    origin: ScriptedOrigin, film: Path, disk: Callable[..., Path]
) -> None:
    """Row 94: exFAT, as on memory cards; it also has neither links nor owners."""
    place = disk("mount.exfat-fuse", image=("mkfs.exfat",))
    (place / "Case").touch()
    assert (place / "cASE").exists(), "this is no exFAT"
    origin.add_folder(film)
    done = hlsdl("fetch", origin.url("/master.m3u8"), "--audio", "all", "--subs", "all", "-P", place, "--json")
    assert done.code == 0, (done.out, done.err)
    assert hlsdl("verify", done.document["path"]).code == 0


def test_names_in_a_bundle_differ_in_more_than_case(origin: ScriptedOrigin, tmp_path: Path) -> None:
    """Row 94: names that differ at the origin only in case, or in how an accent is spelt."""
    names = ["A.ts", "a.ts", "caf\u00e9.ts", "cafe\u0301.ts", "AUX.ts", "aux .ts"]
    for name, body in zip(names, TRUTH, strict=True):
        origin.add("/v/" + name, body)
    text = "".join(f"#EXTINF:4,\n{name}\n" for name in names)
    origin.add("/v/index.m3u8", f"#EXTM3U\n#EXT-X-TARGETDURATION:4\n{text}#EXT-X-ENDLIST\n".encode())
    bundle = tmp_path / "b.movpkg"
    assert fetch(origin.url("/v/index.m3u8"), bundle).code == 0
    paths = [str(path.relative_to(bundle)).casefold() for path in bundle.rglob("*")]
    assert len(set(paths)) == len(paths)
    assert all(path.isascii() for path in paths)
    require_whole(bundle, TRUTH)
