"""HTTP/1.1, HTTP/2 and HTTP/3 beside each other: hlsdl against one server that has them all, nearby and far away.

What is the default is decided by this. The server is Caddy: nginx has HTTP/3 only in versions that few systems bring.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benching.inputs import Input, MakeClip, make_input
from benching.measuring import RunError, measure
from benching.programs import Programs
from benching.serving import Polyglot, distant, serving_every_version

VERSIONS = {"HTTP/1.1": (), "HTTP/2": ("--http2",), "HTTP/3": ("--http3",)}
"""Name and flags; the first is the default."""
COMPARED = {"large": False, "small": False, "far-large": True, "far-small": True}
"""Which inputs, and whether over the distant link."""


def measure_versions(
    programs: Programs, work: Path, inputs: Mapping[str, Input], clip_of: MakeClip, rounds: int
) -> dict[str, Any]:
    """Wall and CPU seconds of each version in turn, by what was fetched from where."""
    figures: dict[str, Any] = {}
    with serving_every_version(programs["caddy"], work / "www", work / "polyglot") as server:
        for name, is_far in COMPARED.items():
            made = make_input(inputs[name], work / "www", clip_of)
            title = f"{made.input.title}, {'25 ms each way, 200 Mbit/s' if is_far else 'nearby'}"
            try:
                with _way_to(server.noting, work, is_far=is_far) as base:
                    _require_every_version(programs["hlsdl"], server, f"{base}/{made.playlist}", work)
                with _way_to(server.base, work, is_far=is_far) as base:
                    output = work / "version.movpkg"
                    command = [programs["hlsdl"], "fetch", f"{base}/{made.playlist}", "-o", str(output)]
                    figures[title] = _in_turn([*command, "--cacert", str(server.ca_file)], output, rounds)
            except RunError as error:  # what else was measured is worth keeping
                print(f"versions: {title} is left out: {error}", file=sys.stderr)
                continue
            finally:
                shutil.rmtree(work / "www" / made.input.name)
            print(f"versions: {title}", file=sys.stderr)
    return figures


@contextmanager
def _way_to(base: str, work: Path, *, is_far: bool) -> Iterator[str]:
    """The URL under which the server at `base` is reached."""
    if not is_far:
        yield base
        return
    with distant(base, work) as link:
        yield link.base


def _require_every_version(hlsdl: str, server: Polyglot, url: str, work: Path) -> None:
    """RunError unless each flag speaks its version with this server, by way of `url`: they are wishes, and one may be
    passed over."""
    for version, flags in VERSIONS.items():
        before = len(server.versions())
        measure([hlsdl, "plan", url, "--cacert", str(server.ca_file), "--no-config", *flags], home=work)
        spoken = {one.removesuffix(".0") for one in server.versions()[before:]}
        if spoken != {version}:
            raise RunError(f"{' '.join(flags) or 'no flag'} spoke {', '.join(sorted(spoken)) or 'nothing'}")


def _in_turn(command: Sequence[str], output: Path, rounds: int) -> dict[str, Any]:
    figures: dict[str, Any] = {version: {"wall": [], "cpu": []} for version in VERSIONS}
    for _ in range(rounds):
        for version, flags in VERSIONS.items():
            try:
                run = measure([*command, "--progress", "none", "--no-config", *flags], home=output.parent)
            finally:
                shutil.rmtree(output, ignore_errors=True)
            figures[version]["wall"].append(round(run.wall, 3))
            figures[version]["cpu"].append(round(run.cpu, 3))
    return figures
