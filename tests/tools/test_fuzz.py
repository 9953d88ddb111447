"""A few thousand mutants for each reader, and the fuzzer's own promises: repeatable, and loud about what it finds.

The long runs are in docs/torture.md.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

TOOLS = Path(__file__).parent.parent.parent / "tools"
TARGETS = ("playlist", "plan", "journal", "manifest", "package", "ranges", "cookies", "urls")


@pytest.fixture
def fuzzing(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The modules of `tools/fuzz`."""
    monkeypatch.syspath_prepend(str(TOOLS))
    from fuzzing import engine

    return engine


def test_no_mutant_gets_through_undocumented(tmp_path: Path) -> None:
    """Every reader is fuzzed, some input is accepted and some refused, and there is no finding."""
    command = [sys.executable, str(TOOLS / "fuzz"), "--count", "1500", "--json", "--out", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=180, check=False)
    assert done.returncode == 0, done.stderr
    reports = [json.loads(line) for line in done.stdout.splitlines()]
    assert tuple(report["target"] for report in reports) == TARGETS
    assert all(report["mutants"] == 1500 and len(report["results"]) > 1 for report in reports)
    assert list(tmp_path.iterdir()) == []


def test_a_mutant_is_the_same_again(fuzzing: Any) -> None:
    one, other = fuzzing.make_mutator("playlist", 3), fuzzing.make_mutator("playlist", 3)
    again = [one.mutant(number) for number in range(50)]
    assert again == [other.mutant(number) for number in range(50)]
    assert len(set(again)) > 45
    assert again != [fuzzing.make_mutator("playlist", 4).mutant(number) for number in range(50)]


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        ("raise ValueError('surprise')", "ValueError: surprise"),
        ("while time.process_time() < started + 1.1: pass", "it took"),
        ('b"x" * 2**28', "has grown by"),
    ],
)
def test_a_reader_that_fails_is_found(fuzzing: Any, tmp_path: Path, fault: str, told: str) -> None:
    """An undocumented error, a slow mutant and a greedy one become findings, with the input beside them."""
    program = f"""
import sys, time
sys.path.insert(0, {str(TOOLS)!r})
from pathlib import Path
from dataclasses import replace
from fuzzing import engine, targets

def read(data):
    read.calls += 1
    if read.calls == 205:
        started = time.process_time()
        {fault}
    return "read"

read.calls = 0
engine.TARGETS["urls"] = replace(targets.TARGETS["urls"], run=read)
outcome = engine.fuzz("urls", count=210, seed=1, seconds=60, jobs=1, folder=Path({str(tmp_path)!r}))
print(outcome.findings[0])
assert outcome.mutants == 210 and len(outcome.findings) == 1
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    assert told in done.stdout
    kept = {file.suffix for file in tmp_path.iterdir()}
    assert kept == {".input", ".txt"}


@pytest.mark.parametrize(
    "command",
    [
        ("fuzz", "--count", "0"),
        ("fuzz", "--seconds", "0"),
        ("fuzz", "--jobs", "0"),
        ("torture", "kill", "--kills", "0"),
        ("torture", "syscalls", "--stride", "0"),
        ("bench", "--rounds", "0"),
        ("bench", "--size-scale", "-1"),
    ],
    ids=" ".join,
)
def test_a_tool_that_would_do_nothing_says_so_and_is_no_success(command: tuple[str, ...]) -> None:
    name, *flags = command
    done = subprocess.run(
        [sys.executable, str(TOOLS / name), *flags], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, "Traceback" in done.stderr) == (2, False)
    assert "at least 1" in done.stderr or "more than 0" in done.stderr


@pytest.mark.skipif(sys.platform != "linux", reason="it is /proc that tells when the tool has begun")
def test_ctrl_c_ends_a_tool_with_a_sentence(tmp_path: Path) -> None:
    running = subprocess.Popen(
        [sys.executable, str(TOOLS / "fuzz"), "--target", "urls", "--seconds", "60", "--out", str(tmp_path)],
        stderr=subprocess.PIPE,
        text=True,
    )
    children = Path(f"/proc/{running.pid}/task/{running.pid}/children")
    while running.poll() is None and not children.read_text():
        time.sleep(0.02)
    running.send_signal(signal.SIGINT)
    told = running.communicate(timeout=30)[1]
    assert running.returncode == 130
    assert "Traceback" not in told
