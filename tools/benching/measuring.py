"""Measuring: commands run to their end under the stopwatch, in a clean environment, and what they cost."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

STOPWATCH = Path(__file__).with_name("stopwatch.py")
LONGEST = 1800.0
"""Seconds after which a run is given up."""


class RunError(Exception):
    """A measured command did not do its work."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """What one command cost, its descendants included."""

    wall: float
    user: float
    system: float
    peak: int
    """Bytes: the largest resident set of any one of the processes."""
    code: int

    @property
    def cpu(self) -> float:
        """Seconds of processor time."""
        return self.user + self.system


def clean_environment(home: Path, **extra: str) -> dict[str, str]:
    """Only what programs need to start: no proxies and no settings of the machine's owner."""
    kept = {key: os.environ[key] for key in ("PATH", "LD_LIBRARY_PATH") if key in os.environ}
    return {**kept, "HOME": str(home), "LANG": "C.UTF-8", "TMPDIR": str(home), **extra}


def measure(
    command: Sequence[str],
    *,
    home: Path,
    accept: Sequence[int] = (0,),
    environment: Mapping[str, str] | None = None,
) -> Run:
    """Run a command to its end; RunError when it ends with a code that is not accepted."""
    read, write = os.pipe()
    watch = [sys.executable, "-I", "-S", str(STOPWATCH), str(write), *command]
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(
            watch,
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=subprocess.STDOUT,
            env=clean_environment(home, **(environment or {})),
            pass_fds=(write,),
            start_new_session=True,
        )
        os.close(write)
        try:
            process.wait(LONGEST)
        except subprocess.TimeoutExpired:
            raise RunError(f"`{command[0]}` was given up after {LONGEST:.0f} s") from None
        finally:
            end_group(process)
        with os.fdopen(read, "rb") as pipe:
            figures = pipe.read().split()
        said.seek(0)
        words = said.read()[-800:].decode(errors="replace").strip()
    if len(figures) != 5:
        raise RunError(f"`{command[0]}` could not be started: {words}")
    wall, user, system, peak, code = (float(one) for one in figures)
    if code not in accept:
        raise RunError(f"`{' '.join(command[:4])} …` ended with {code:.0f}: {words}")
    return Run(wall=wall, user=user, system=system, peak=int(peak) * 1024, code=int(code))


@dataclass(frozen=True, slots=True)
class Told:
    """One line of `--progress json`, and when it came."""

    t: float
    """`time.monotonic()`."""
    event: dict[str, Any]


def follow(command: Sequence[str], *, home: Path) -> tuple[float, list[Told], int]:
    """Run hlsdl with `--progress json`; returns its start, what it told, and its exit code."""
    told: list[Told] = []
    began = time.monotonic()
    process = subprocess.Popen(
        [*command, "--progress", "json"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        env=clean_environment(home),
        start_new_session=True,
    )
    assert process.stderr is not None
    try:
        lines = (line for line in process.stderr if line.startswith(b'{"event"'))
        told.extend(Told(time.monotonic(), json.loads(line)) for line in lines)
        return began, told, process.wait()
    finally:
        process.stderr.close()
        end_group(process)


def collect(command: Sequence[str], *, home: Path, **environment: str) -> tuple[int, str]:
    """Run a command that is not timed; returns its exit code and what it said on stderr."""
    process = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        env=clean_environment(home, **environment),
        start_new_session=True,
    )
    try:
        said = process.communicate(timeout=LONGEST)[1]
        return process.returncode, said.decode(errors="replace")
    except subprocess.TimeoutExpired:
        raise RunError(f"`{command[0]}` was given up after {LONGEST:.0f} s") from None
    finally:
        end_group(process)


def end_group(process: subprocess.Popen[bytes]) -> None:
    """End a process and all it started (its own session); nothing happens when it is over."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
