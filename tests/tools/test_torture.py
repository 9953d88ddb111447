"""A few seconds of each torture, so that the tools themselves keep working and a broken promise shows early.

The long runs, and what each of them proves, are in docs/torture.md.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

TORTURE = Path(__file__).parent.parent.parent / "tools" / "torture"
CANNOT_RUN = 2

pytestmark = [
    pytest.mark.xdist_group("torture"),
    pytest.mark.skipif(os.name != "posix", reason="the tortures send POSIX signals"),
]


def torture(*arguments: str, folder: Path) -> dict[str, Any]:
    """Run `tools/torture …` on a short leash; the test is skipped where the machine cannot do it."""
    command = [sys.executable, str(TORTURE), *arguments, "--short", "--json", "--folder", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=180, check=False)
    report = json.loads(done.stdout)
    assert isinstance(report, dict)
    if done.returncode == CANNOT_RUN:
        pytest.skip(str(report["skipped"]))
    assert report["findings"] == []
    assert done.returncode == 0, done.stderr
    assert [report[key] for key in ("lost", "corrupt", "re-fetched", "unexplained")] == [0, 0, 0, 0]
    assert list(folder.iterdir()) == [], "a clean torture leaves something behind"
    return report


def test_kills_at_random_moments_lose_nothing_and_fetch_nothing_again(tmp_path: Path) -> None:
    report = torture("kill", "--seed", "11", folder=tmp_path)
    assert report["kills"] == 6
    assert report["completed bundles"] >= 1


def test_kills_before_system_calls_lose_nothing(tmp_path: Path) -> None:
    """Each kill is seen to have happened, in the first run and in the one that recovers."""
    report = torture("syscalls", folder=tmp_path)
    assert report["fired"] >= 5
    assert report["of them in recovery"] >= 2


def test_kills_by_strace_fire(tmp_path: Path) -> None:
    report = torture("syscalls", "--strace", folder=tmp_path)
    assert report["by call"].keys() == {"write", "renameat", "fdatasync"}


def test_failing_system_calls_end_as_documented(tmp_path: Path) -> None:
    report = torture("failures", folder=tmp_path)
    assert len(report["by action"]) == 4
    assert report["exit codes"].keys() <= {"0", "8", "9"}
    assert "9" in report["exit codes"]


def test_power_cuts_take_nothing_that_was_checkpointed(tmp_path: Path) -> None:
    report = torture("power", folder=tmp_path)
    assert report["cuts"] == 2
    assert report["checkpointed_lost"] == 0
    assert report["damage_missed"] == 0


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="shows what happens without root")
def test_without_root_a_power_cut_is_skipped_with_its_reason() -> None:
    done = subprocess.run([sys.executable, str(TORTURE), "power"], capture_output=True, text=True, check=False)
    assert done.returncode == CANNOT_RUN
    assert "root" in done.stdout
