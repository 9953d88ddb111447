"""The `hlsdl` command, in this process or in one of its own, with no setting of this machine in it."""

from __future__ import annotations

import contextlib
import io
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

from hlsdl.cli.app import main

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
    kept |= {"HOME": str(home), "XDG_CONFIG_HOME": str(home / ".config"), "HLSDL_DATA": str(home / "data")}
    kept |= {"PYTHONPATH": os.pathsep.join(sys.path)}
    return kept | dict(more or {})


def arguments(*line: str | Path) -> list[str]:
    """Return the argument vector of `hlsdl LINE…`."""
    return [sys.executable, "-m", "hlsdl", *map(str, line)]


def hlsdl(*line: str | Path, home: Path, stdin: str = "", environment: Mapping[str, str] | None = None) -> Outcome:
    """Run `hlsdl LINE…` in the folder `home`, inside this process: the same as a process of its own, sooner."""
    out, err = io.StringIO(), io.StringIO()
    with (
        contextlib.chdir(home),
        mock.patch.dict(os.environ, clean_environment(home, environment), clear=True),
        mock.patch.object(sys, "stdin", io.StringIO(stdin)),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
    ):
        code = main([str(word) for word in line])
    assert "Traceback" not in err.getvalue(), err.getvalue()
    return Outcome(code=code, out=out.getvalue(), err=err.getvalue())


def hlsdl_process(*line: str | Path, home: Path, stdin: str = "") -> Outcome:
    """Run `hlsdl LINE…` in the folder `home` as a process of its own, and wait for its end."""
    done = subprocess.run(
        arguments(*line),
        input=stdin,
        capture_output=True,
        text=True,
        encoding="utf-8",
        cwd=home,
        env=clean_environment(home),
        timeout=LONGEST_RUN,
        check=False,
    )
    return Outcome(code=done.returncode, out=done.stdout, err=done.stderr)


@contextlib.contextmanager
def running(*line: str | Path, home: Path, **streams: int) -> Iterator[subprocess.Popen[str]]:
    """`hlsdl LINE…` while it runs; it is gone when the block ends."""
    process = subprocess.Popen(
        arguments(*line),
        stdout=streams.get("stdout", subprocess.PIPE),
        stderr=streams.get("stderr", subprocess.PIPE),
        stdin=subprocess.DEVNULL,
        text=True,
        cwd=home,
        env=clean_environment(home, {"COLUMNS": "140", "TERM": "xterm-256color"}),
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.wait(LONGEST_RUN)
        for pipe in (process.stdout, process.stderr):
            if pipe is not None:
                pipe.close()
