"""Faults of time: a machine that sleeps in the middle of a download, and clocks that are wrong or jump.

The clock of the process alone is bent, by libfaketime; a sleeping machine is a stopped process, which misses time, too.
The numbers are those of docs/faults.md.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import subprocess
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from email.utils import formatdate
from pathlib import Path

import pytest
from commands import command, environment
from faults import TRUTH, asked, begun, finished, playlist, require_told, require_whole, serve
from lan import end, until, wait

from hlsdl.testing import Answer, Hold, LocalAuthority, Request, ScriptedOrigin, Status

HELD = 3
YEAR = 365 * 24 * 3600
QUICK = ("-N", "1", "--timeout", "2", "--stall-timeout", "1", "--json")
pytestmark = pytest.mark.skipif(os.name != "posix", reason="processes are stopped and preloaded as POSIX has it")


@dataclass
class BentClock:
    """A clock for one process, that the test can set while it runs."""

    library: str
    setting: Path
    monotonic: bool = False

    def jump(self, seconds: int) -> None:
        """Be so far from the true time from now on."""
        new = self.setting.with_suffix(".new")
        new.write_text(f"{seconds:+d}\n")
        new.replace(self.setting)

    @property
    def variables(self) -> dict[str, str]:
        """What makes a process live by this clock."""
        bent = {"LD_PRELOAD": self.library, "FAKETIME_TIMESTAMP_FILE": str(self.setting), "FAKETIME_NO_CACHE": "1"}
        return bent if self.monotonic else {**bent, "FAKETIME_DONT_FAKE_MONOTONIC": "1"}


@pytest.fixture
def clock(tmp_path: Path) -> BentClock:
    if shutil.which("faketime") is None:
        pytest.skip("`faketime` is not installed")
    found = next(
        (path for folder in ("/usr/lib", "/usr/lib64") for path in Path(folder).glob("**/libfaketimeMT.so.1")), None
    )
    if found is None:
        pytest.skip("the library of `faketime` is not where it usually is")
    bent = BentClock(str(found), tmp_path / "clock")
    bent.jump(0)
    return bent


def shown(clock: BentClock) -> float:
    """What a process with that clock takes for the time: proof that the injection works."""
    words = ["python3", "-c", "import time; print(time.time())"]
    out = subprocess.run(
        words, env={**os.environ, **clock.variables}, capture_output=True, text=True, check=True
    ).stdout
    return float(out)


@contextmanager
def running(*words: str | Path, **variables: str) -> Iterator[subprocess.Popen[str]]:
    pipe = subprocess.PIPE
    process = subprocess.Popen(command(*words), text=True, env=environment(**variables), stdout=pipe, stderr=pipe)
    try:
        yield process
    finally:
        end(process)


class Signed:
    """Every segment needs the token of now."""

    token = 1

    def apply(self, request: Request, answer: Answer) -> Answer:
        if request.path.endswith(".m3u8"):
            return replace(answer, body=playlist(f"{number}.ts?token={self.token}" for number in range(len(TRUTH))))
        return answer if request.target.endswith(f"token={self.token}") else Status(403).apply(request, answer)


def test_a_machine_that_slept_longer_than_every_time_out_goes_on(tmp_path: Path) -> None:
    """Row 60: the URLs have expired meanwhile, and the connection that was under way is closed."""
    bundle, go, rule = tmp_path / "b.movpkg", threading.Event(), Signed()
    with ScriptedOrigin() as origin:
        url = serve(origin)
        origin.always("*", rule)
        origin.script(f"/v/{HELD}.ts", Hold(go, after=3000))
        with running("fetch", url, "-o", bundle, *QUICK) as process:
            until(lambda: finished(bundle) == {0, 1, 2} and origin.count(f"/v/{HELD}.ts"), "three segments and a half")
            process.send_signal(signal.SIGSTOP)
            threading.Event().wait(1.5)  # the fault is time that passes
            rule.token += 1
            process.send_signal(signal.SIGCONT)
            done = wait(process)
        counts = Counter(request.path for request in origin.requests)
    assert done.code == 0, (done.out, done.err)
    assert [counts[f"/v/{number}.ts"] for number in (0, 1, 2)] == [1, 1, 1]
    require_whole(bundle, TRUTH)


@pytest.mark.parametrize("monotonic", [False, True], ids=["wall clock", "every clock"])
@pytest.mark.parametrize("jump", [8 * 3600, -YEAR], ids=["8 hours on", "a year back"])
def test_a_clock_that_jumps_in_the_middle_changes_nothing(
    tmp_path: Path, clock: BentClock, jump: int, monotonic: bool
) -> None:
    """Rows 60 and 61: after sleep, or set by a time server."""
    bundle, go = tmp_path / "b.movpkg", threading.Event()
    clock.monotonic = monotonic
    with ScriptedOrigin() as origin:
        url = serve(origin)
        origin.script(f"/v/{HELD}.ts", Hold(go, after=3000))
        with running("fetch", url, "-o", bundle, *QUICK, **clock.variables) as process:
            until(lambda: finished(bundle) == {0, 1, 2} and origin.count(f"/v/{HELD}.ts"), "three segments and a half")
            clock.jump(jump)
            go.set()
            done = wait(process)
        counts = Counter(request.path for request in origin.requests)
    assert done.code == 0, (done.out, done.err)
    assert [counts[f"/v/{number}.ts"] for number in (0, 1, 2)] == [1, 1, 1]
    require_whole(bundle, TRUTH)


@pytest.mark.parametrize("wrong", [-YEAR, 10 * YEAR], ids=["a year slow", "ten years fast"])
@pytest.mark.parametrize("phase", ["fresh", "resume"])
def test_a_wrong_clock_does_not_change_how_long_a_server_is_left_alone(
    tmp_path: Path, clock: BentClock, wrong: int, phase: str
) -> None:
    """Rows 60 and 61: a Retry-After date counts from the server's own date; the run before may have had the true time."""
    bundle = tmp_path / "b.movpkg"
    clock.jump(wrong)
    with ScriptedOrigin() as origin:
        assert abs(shown(clock) - float(subprocess.check_output(["date", "+%s"])) - wrong) < 60
        url = serve(origin)
        before = asyncio.run(begun(origin, url, bundle)) if phase == "resume" else set()
        origin.script("/v/2.ts", Status(503, headers={"Retry-After": formatdate(usegmt=True)}))
        with running("fetch", url, "-o", bundle, *QUICK, **clock.variables) as process:
            done = wait(process)
        assert origin.count("/v/2.ts") == 2
        assert not before & asked(origin)
    assert done.code == 0, (done.out, done.err)
    require_whole(bundle, TRUTH)


@pytest.mark.parametrize("wrong", [-YEAR, 10 * YEAR], ids=["a year slow", "ten years fast"])
@pytest.mark.parametrize("phase", ["fresh", "resume"])
def test_a_wrong_clock_makes_certificates_wrong_and_says_so(
    tmp_path: Path, clock: BentClock, wrong: int, phase: str
) -> None:
    """Row 61: nothing is downgraded, and with the right time the same command works."""
    bundle, authority = tmp_path / "b.movpkg", LocalAuthority(tmp_path)
    clock.jump(wrong)
    with ScriptedOrigin(tls=authority.server_context()) as origin:
        url = serve(origin)
        before: set[int] = set()
        if phase == "resume":
            before = asyncio.run(begun(origin, url, bundle, cacert=authority.ca_file))
        words = ("fetch", url, "-o", bundle, "--cacert", authority.ca_file, *QUICK)
        with running(*words, **clock.variables) as process:
            told = require_told(wait(process), 4)
        assert "certificate" in told["message"]
        assert "clock" in told["hint"]
        assert origin.requests == []
        with running(*words) as process:
            assert wait(process).code == 0
        assert not before & asked(origin)
    require_whole(bundle, TRUTH)
