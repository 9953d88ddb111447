"""Running `hlsdl` as a process of its own: plainly, under our tracer, or under strace."""

from __future__ import annotations

import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

TRACER = Path(__file__).with_name("tracer.py")
PATIENCE = 60.0
"""Seconds that a single process may take; none comes near it."""
NEVER = 1 << 40


@dataclass(frozen=True, slots=True, kw_only=True)
class Injection:
    """What is to happen to which system call."""

    calls: tuple[str, ...]
    at: int
    """1 is the first."""
    action: str = "kill"
    """`kill`, `short`, or an error's name."""
    lasting: bool = False

    def __str__(self) -> str:
        calls = self.calls[0] if len(self.calls) == 1 else f"any of {len(self.calls)} calls"
        return f"{self.action} at {calls} number {self.at}{' and ever after' if self.lasting else ''}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """How a process ended."""

    code: int
    """Negative: the signal that killed it."""
    out: str
    err: str
    fired: tuple[str, ...] = ()
    """The calls that were bent."""


def fetch_command(url: str, bundle: Path, *more: str) -> list[str]:
    """The argument vector of `hlsdl fetch`, free of the machine owner's settings."""
    return [sys.executable, "-m", "hlsdl", "fetch", url, "-o", str(bundle), "--no-config", *more]


def environment() -> dict[str, str]:
    """The environment without the machine owner's settings for hlsdl, and without the owner's library."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith("HLSDL_")}
    return {**kept, "HLSDL_DATA": _data_folder().name}


@cache
def _data_folder() -> tempfile.TemporaryDirectory[str]:
    """One for all downloads of this run; it goes with the process."""
    return tempfile.TemporaryDirectory(prefix="hlsdl-torture-")


def start(command: Sequence[str]) -> subprocess.Popen[str]:
    """Start a process and leave it running."""
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment(), start_new_session=True
    )


def run(command: Sequence[str]) -> Ended:
    """Run a process to its end; TimeoutExpired when it hangs, which is a finding of its own."""
    process = start(command)
    try:
        out, err = process.communicate(timeout=PATIENCE)
    finally:
        if process.poll() is None:
            process.kill()
            process.communicate()
    return Ended(code=process.returncode, out=out, err=err)


def why_no_tracer() -> str | None:
    """Why this machine cannot run our tracer; None when it can."""
    if sys.platform != "linux" or platform.machine() != "x86_64":
        return "our tracer knows the system calls of Linux on x86-64 only"
    return None


def why_no_strace() -> str | None:
    """Why this machine cannot use strace; None when it can."""
    return None if shutil.which("strace") else "not installed: strace"


def run_traced(command: Sequence[str], injection: Injection, *, inside: Path, scratch: Path) -> Ended:
    """Run a process under our tracer, counting the calls of all its threads on files below `inside`."""
    report = scratch / "tracer.json"
    report.unlink(missing_ok=True)
    mode = "ALWAYS" if injection.lasting else "ONCE"
    told = [str(report), str(inside), ",".join(injection.calls), str(injection.at), mode, injection.action]
    # -I -S: the tracer needs no packages, and starts in 10 ms without them.
    ended = run([sys.executable, "-I", "-S", str(TRACER), *told, *command])
    if not report.exists():
        raise RuntimeError(f"the tracer failed: {ended.err}")
    found = json.loads(report.read_text())
    return Ended(code=found["code"], out=ended.out, err=ended.err, fired=tuple(found["fired"]))


def run_straced(command: Sequence[str], injection: Injection, *, scratch: Path) -> Ended:
    """Kill a process by `strace -f`, which counts the calls of each thread by itself, wherever they go."""
    # Not --seccomp-bpf, which is faster: with it strace 6.1 injects no signals.
    log = scratch / "strace.log"
    calls = ",".join(injection.calls)
    bend = f"inject={calls}:signal=SIGKILL:when={injection.at}"
    ended = run(["strace", "-f", "-qq", "-o", str(log), "-e", f"trace={calls}", "-e", bend, *command])
    lines = log.read_text(errors="replace").splitlines()
    fired = tuple(line for line in lines if "killed by SIGKILL" in line) if ended.code < 0 else ()
    return Ended(code=ended.code, out=ended.out, err=ended.err, fired=fired)
