"""Cases: an input, a way to the server and who takes part; run in turn, A B A B, within one run of the bench."""

from __future__ import annotations

import os
import shutil
import statistics
import sys
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benching.inputs import Made
from benching.measuring import Run, RunError, measure
from benching.peers import NEARBY, PEERS, Job, Peer, Way, environment_for
from benching.programs import Programs
from benching.serving import Distance, Server

EVERYBODY = tuple(PEERS)
SLOW = 20.0
"""Seconds: who takes longer is run twice at most."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One comparison."""

    name: str
    input: str
    way: Way
    about: str
    curl: tuple[int, ...] = (NEARBY,)
    """With how many connections curl takes part."""


CASES = {
    one.name: one
    for one in (
        Case(name="large", input="large", way="plain", about="large segments"),
        Case(name="small", input="small", way="plain", about="small segments"),
        Case(name="large-tls", input="large", way="tls", about="large segments, TLS with HTTP/1.1"),
        Case(name="small-tls", input="small", way="tls", about="small segments, TLS with HTTP/1.1"),
        Case(name="large-http2", input="large", way="http2", about="large segments, TLS with HTTP/2"),
        Case(name="small-http2", input="small", way="http2", about="small segments, TLS with HTTP/2"),
        Case(
            name="ladder", input="ladder", way="plain", about="best of three variants, AES-128, a key per 25 segments"
        ),
        Case(name="ranges", input="ranges", way="plain", about="byte ranges of a single file"),
        Case(name="far-large", input="far-large", way="far", about="25 ms each way, 200 Mbit/s", curl=(4, 8, 16, 20)),
        Case(name="far-small", input="far-small", way="far", about="25 ms each way, 200 Mbit/s", curl=(8, 16, 32, 64)),
        Case(name="far-large-tls", input="far-large", way="far-tls", about="far away, TLS with HTTP/1.1", curl=(20,)),
        Case(name="far-large-http2", input="far-large", way="far-http2", about="far away, TLS with HTTP/2", curl=(20,)),
        Case(name="far-small-tls", input="far-small", way="far-tls", about="far away, TLS with HTTP/1.1", curl=(64,)),
        Case(name="far-small-http2", input="far-small", way="far-http2", about="far away, TLS with HTTP/2", curl=(64,)),
    )
}


@dataclass(frozen=True, slots=True)
class Contestant:
    """A peer with a number of connections."""

    peer: Peer
    connections: int

    @property
    def label(self) -> str:
        """Its name in the table."""
        return f"curl -Z {self.connections}" if self.peer.name == "curl" else self.peer.name


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """What all runs of a case share."""

    server: Server
    distances: dict[Way, Distance]
    """The ways that are long."""
    programs: Programs
    work: Path
    rounds: int
    peers: tuple[str, ...]


def contestants(case: Case, made: Made, stage: Stage) -> list[Contestant]:
    """Who can take part in a case."""
    able = [
        PEERS[name]
        for name in stage.peers
        if name in stage.programs and case.way in PEERS[name].ways and made.input.kind in PEERS[name].kinds
    ]
    # A single file is one request for curl, whatever it is allowed.
    curl = case.curl if len(made.objects) > 1 else (1,)
    return [Contestant(peer, count) for peer in able for count in (curl if peer.name == "curl" else (16,))]


def run_case(case: Case, made: Made, stage: Stage) -> dict[str, Any]:
    """Run a case; returns its figures."""
    load, runners = os.getloadavg()[0], contestants(case, made, stage)
    results: dict[str, dict[str, list[float]]] = {one.label: {} for one in runners}
    failed: dict[str, str] = {}
    for turn in range(stage.rounds):
        shift = turn % max(1, len(runners))
        for one in runners[shift:] + runners[:shift]:
            walls = results[one.label].get("wall", [])
            if one.label in failed or (len(walls) >= 2 and statistics.mean(walls) > SLOW):
                continue
            try:
                _note(results[one.label], *_run_once(one, case, made, stage, is_first=turn == 0))
            except RunError as error:
                failed[one.label] = str(error)
                print(f"{case.name}: {one.label} is left out: {error}", file=sys.stderr)
        print(f"{case.name}: round {turn + 1} of {stage.rounds}", file=sys.stderr)
    return {
        "about": case.about,
        "way": case.way,
        "input": {**asdict(made.input), "title": made.input.title},
        "payload": made.payload,
        "when": datetime.now(UTC).strftime("%Y-%m-%d %H:%M"),
        "load": [round(load, 2), round(os.getloadavg()[0], 2)],
        "results": {label: figures for label, figures in results.items() if figures and label not in failed},
        "failed": failed,
    }


def _note(figures: dict[str, list[float]], run: Run, connections: int) -> None:
    new = {"wall": run.wall, "user": run.user, "system": run.system, "peak": run.peak, "connections": connections}
    for name, value in new.items():
        figures.setdefault(name, []).append(round(value, 4))


def _run_once(one: Contestant, case: Case, made: Made, stage: Stage, *, is_first: bool) -> tuple[Run, int]:
    """Run a contestant once, and look at what it brought; the first bundle of a case is verified as a user would."""
    output = stage.work / "output"
    output.mkdir()
    try:
        job = Job(
            made=made,
            base=stage.distances[case.way].base if case.way in stage.distances else stage.server.base(case.way),
            output=output,
            way=case.way,
            ca_file=stage.server.ca_file,
            connections=one.connections,
            programs=stage.programs,
        )
        command = one.peer.command(job)
        before = stage.server.accepted()
        run = measure(command, home=stage.work, environment=environment_for(job))
        connections = stage.server.accepted() - before
        _check(one, output, made)
        if one.peer.name == "hlsdl" and is_first:
            measure([stage.programs["hlsdl"], "verify", str(output / "film.movpkg"), "--no-config"], home=stage.work)
        return run, connections
    finally:
        shutil.rmtree(output)


def _check(one: Contestant, output: Path, made: Made) -> None:
    """Refuse a result that is too short to be the whole."""
    brought = sum(file.stat().st_size for file in output.rglob("*") if file.is_file())
    if brought < made.payload * one.peer.least:
        raise RunError(f"{brought:,} bytes came, {made.payload:,} were expected")
