"""Running `hlsdl` as a person does: a process of its own, with its stdout, stderr and exit code."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Done:
    """How one command ended."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> dict[str, Any]:
        """The one JSON document on stdout."""
        value = json.loads(self.out)
        assert isinstance(value, dict)
        return value


def environment(**extra: str) -> dict[str, str]:
    """A clean environment: no settings of the machine's owner reach the command, nor its bundles the owner's library."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith("HLSDL_") or key == "HLSDL_DATA"}
    kept.pop("NO_COLOR", None)
    return {**kept, **extra}


def command(*arguments: str | Path) -> list[str]:
    """The argument vector of `hlsdl …`, without the config file of the machine's owner."""
    return [sys.executable, "-m", "hlsdl", *(str(one) for one in arguments), "--no-config"]


def hlsdl(*arguments: str | Path, timeout: float = 60, cwd: Path | None = None, **env: str) -> Done:
    """Run `hlsdl …` to its end."""
    done = subprocess.run(
        command(*arguments),
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
        cwd=cwd,
        env=environment(**env),
    )
    return Done(done.returncode, done.stdout, done.stderr)


def start(*arguments: str | Path, cwd: Path | None = None) -> subprocess.Popen[str]:
    """Start `hlsdl …` and leave it running."""
    return subprocess.Popen(
        command(*arguments),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=cwd,
        env=environment(),
        start_new_session=True,
    )
