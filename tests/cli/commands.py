"""The `hlsdl` command as a process of its own, with no setting of this machine in it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

LONGEST_RUN = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How a run ended."""

    code: int
    out: str
    err: str

    @property
    def documents(self) -> list[Any]:
        """The JSON documents on stdout, one for each line."""
        return [json.loads(line) for line in self.out.splitlines()]

    @property
    def document(self) -> Any:
        """The one JSON document on stdout."""
        [document] = self.documents
        return document


def clean_environment(home: Path, more: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return this process's environment without settings, proxies and configuration files."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("HLSDL_")}
    kept = {name: value for name, value in kept.items() if not name.lower().endswith("_proxy")}
    kept |= {"HOME": str(home), "XDG_CONFIG_HOME": str(home / ".config"), "PYTHONPATH": os.pathsep.join(sys.path)}
    return kept | dict(more or {})


def arguments(*line: str | Path) -> list[str]:
    """Return the argument vector of `hlsdl LINE…`."""
    return [sys.executable, "-m", "hlsdl", *map(str, line)]


def hlsdl(*line: str | Path, home: Path, stdin: str = "", environment: Mapping[str, str] | None = None) -> Outcome:
    """Run `hlsdl LINE…` in the folder `home` and wait for its end."""
    done = subprocess.run(
        arguments(*line),
        input=stdin,
        capture_output=True,
        text=True,
        encoding="utf-8",
        cwd=home,
        env=clean_environment(home, environment),
        timeout=LONGEST_RUN,
        check=False,
    )
    assert "Traceback" not in done.stderr, done.stderr
    return Outcome(code=done.returncode, out=done.stdout, err=done.stderr)
