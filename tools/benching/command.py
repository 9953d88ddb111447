"""The command: what was asked for, the stage set up and taken down again, and the parts run one after another."""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from functools import cache
from pathlib import Path

from commandline import more_than_none, some

from benching.adaptive import measure_adaptive
from benching.cases import CASES, Stage, run_case
from benching.figures import KEPT, Figures, describe_machine
from benching.inputs import INPUTS, Input, Made, make_input, read_sizes
from benching.instructions import measure_instructions
from benching.media import Clip, encoded_clip, noise_clip
from benching.memory import measure_memory
from benching.page import (
    NOT_MEASURED,
    adaptive_table,
    case_table,
    costs_tables,
    goals_table,
    profile_table,
    versions_table,
    write_page,
)
from benching.peers import FAR, PEERS
from benching.playlists import measure_playlists
from benching.profiling import measure_profile
from benching.programs import ROOT, Programs, find_programs, install_missing
from benching.serving import distant, serving
from benching.start_up import measure_start_up
from benching.versions import COMPARED, measure_versions

PARTS = ("start_up", "playlist", "memory", "adaptive", "versions", "profile", "instructions")
DESCRIPTION = """\
Measure hlsdl beside other programs on loopback, in turn, and write docs/performance.md.

    tools/bench                           everything (about half an hour)
    tools/bench --case large small        two comparisons
    tools/bench --input small=2000x20kB --case small --print
    tools/bench --size-scale 0.02 --rounds 1 --print    a look at everything in few minutes
    tools/bench --start-up --memory       only these parts
"""


def arguments(given: Sequence[str]) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=DESCRIPTION, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--case", nargs="+", choices=CASES, metavar="NAME", help=f"of {', '.join(CASES)}")
    parser.add_argument("--peers", nargs="+", choices=PEERS, metavar="NAME", help=f"of {', '.join(PEERS)}")
    parser.add_argument("--rounds", type=some, default=5, help="of each comparison (default 5)")
    parser.add_argument(
        "--input", action="append", default=[], metavar="NAME=COUNTxSIZE", help=f"of {', '.join(INPUTS)}"
    )
    parser.add_argument(
        "--size-scale", type=more_than_none, default=1.0, metavar="F", help="multiplies numbers of segments"
    )
    parser.add_argument("--start-up", action="store_true", help="time --help and import")
    parser.add_argument("--playlist", action="store_true", help="time the parser")
    parser.add_argument("--memory", action="store_true", help="peak memory, and resuming behind many segments")
    parser.add_argument("--adaptive", action="store_true", help="watch the concurrency on the distant link")
    parser.add_argument("--versions", action="store_true", help="compare HTTP/1.1, HTTP/2 and HTTP/3")
    parser.add_argument("--profile", action="store_true", help="sample where the time goes, with py-spy")
    parser.add_argument(
        "--instructions", action="store_true", help="count instructions per segment; fails above the guard"
    )
    parser.add_argument("--print", action="store_true", dest="only_print", help="write no page, keep no figures")
    parser.add_argument("--render", action="store_true", help="measure nothing, write the page again")
    parser.add_argument("--no-install", action="store_true", help="leave out what is not installed")
    parser.add_argument("--page", type=Path, default=ROOT / "docs" / "performance.md")
    parser.add_argument("--figures", type=Path, default=KEPT, help="where figures are kept, as JSON")
    asked = parser.parse_args(given)
    try:
        asked.inputs = _inputs(asked.input, asked.size_scale)
    except ValueError as error:
        parser.error(str(error))
    asked.parts = {part for part in PARTS if getattr(asked, part)}
    if not asked.parts and asked.case is None:
        asked.parts, asked.case = set(PARTS), list(CASES)
    asked.case = asked.case or []
    return asked


def _inputs(given: Sequence[str], scale: float) -> dict[str, Input]:
    """The inputs with the sizes that were asked for; those given by hand are not scaled."""
    chosen = {one.name: one for one in map(read_sizes, given)}
    return {name: chosen.get(name, one.scaled(scale)) for name, one in INPUTS.items()}


def main(given: Sequence[str] | None = None) -> int:
    """Measure what was asked for; returns the exit code."""
    asked = arguments(sys.argv[1:] if given is None else given)
    # What is only printed is only what was measured now.
    figures = Figures() if asked.only_print else Figures.load(asked.figures)
    if not asked.render:
        if not asked.no_install:
            install_missing(_needed(asked))
        _measure(asked, find_programs(), figures)
    if asked.only_print:
        return _verdict(asked, figures)
    figures.save(asked.figures)
    write_page(asked.page, figures)
    return _verdict(asked, figures)


def _needed(asked: argparse.Namespace) -> set[str]:
    peers = {"curl", *(asked.peers or PEERS)} if asked.case else set()
    parts = {"instructions": {"valgrind"}, "profile": {"py-spy"}, "versions": {"caddy"}}
    return ({"nginx", "ffmpeg"} | peers).union(*(parts.get(part, set()) for part in asked.parts)) - {"hlsdl"}


def _measure(asked: argparse.Namespace, programs: Programs, figures: Figures) -> None:
    for name in ("nginx", "hlsdl"):
        if name not in programs:
            raise SystemExit(f"`{name}` is not installed")
    # SIGTERM takes the stage down as Ctrl-C does.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    place = _place(asked)
    figures.machine = {**describe_machine(programs), "files": "memory" if place else "disk"}
    with ExitStack() as stack:
        work = Path(stack.enter_context(tempfile.TemporaryDirectory(dir=place, prefix="hlsdl-bench-")))
        # nginx's workers are another user when we are root.
        work.chmod(0o755)
        (work / "www").mkdir()
        server = stack.enter_context(serving(programs["nginx"], work / "www", work))
        stage = Stage(
            server=server,
            distances={way: stack.enter_context(distant(server.base(near), work)) for way, near in FAR.items()},
            programs=programs,
            work=work,
            rounds=asked.rounds,
            peers=tuple(dict.fromkeys(["hlsdl", *(asked.peers or PEERS)])),
        )
        clip_of = _clip_maker(programs, work)
        _run_cases(asked, stage, figures, clip_of)
        _run_parts(asked, stage, figures, clip_of)


def _place(asked: argparse.Namespace) -> str | None:
    """Memory when there is room for the inputs and one output, else wherever temporary files go."""
    largest = max((one.size * one.segments for one in asked.inputs.values()), default=0)
    shared = Path("/dev/shm")
    has_room = shared.is_dir() and os.access(shared, os.W_OK) and shutil.disk_usage(shared).free > 4 * largest
    return str(shared) if has_room else None


def _clip_maker(programs: Programs, work: Path) -> Callable[[int], Clip]:
    @cache
    def clip_of(size: int) -> Clip:
        return encoded_clip(programs["ffmpeg"], size, work) if "ffmpeg" in programs else noise_clip(size)

    return clip_of


def _run_cases(asked: argparse.Namespace, stage: Stage, figures: Figures, clip_of: Callable[[int], Clip]) -> None:
    """The comparisons, those of one input together, so that only one input takes up room at a time."""
    made: Made | None = None
    for name in sorted(asked.case, key=lambda one: list(INPUTS).index(CASES[one].input)):
        wanted = asked.inputs[CASES[name].input]
        if made is None or made.input != wanted:
            _remove(made, stage)
            made = make_input(wanted, stage.work / "www", clip_of)
        figures.cases[name] = run_case(CASES[name], made, stage)
        print(case_table(name, figures.cases[name]), end="\n\n", flush=True)
    _remove(made, stage)


def _remove(made: Made | None, stage: Stage) -> None:
    if made is not None:
        shutil.rmtree(stage.work / "www" / made.input.name)


def _run_parts(asked: argparse.Namespace, stage: Stage, figures: Figures, clip_of: Callable[[int], Clip]) -> None:
    programs, server, work, scale = stage.programs, stage.server, stage.work, asked.size_scale
    if "start_up" in asked.parts:
        figures.start_up = measure_start_up(programs, server, work, 4 * asked.rounds)
    if "playlist" in asked.parts:
        figures.playlists = measure_playlists(work, asked.rounds, scale)
    if "memory" in asked.parts:
        figures.memory = measure_memory(programs, server, work, scale)
    if "adaptive" in asked.parts:
        figures.adaptive = measure_adaptive(programs, server, work, clip_of, scale)
    if "versions" in asked.parts and "caddy" in programs:
        inputs = {name: asked.inputs[name] for name in COMPARED}
        figures.versions = measure_versions(programs, work, inputs, clip_of, asked.rounds)
    if "profile" in asked.parts and "py-spy" in programs:
        made = make_input(asked.inputs["small"], work / "www", clip_of)
        figures.profile = measure_profile(programs, server, made, work)
        _remove(made, stage)
    if "instructions" in asked.parts and "valgrind" in programs:
        figures.instructions = measure_instructions(programs, server, work)


def _verdict(asked: argparse.Namespace, figures: Figures) -> int:
    """Say what was measured besides the cases, and the goals; 1 when the guard of the instructions does not hold."""
    if asked.only_print:
        shown = (adaptive_table(figures), versions_table(figures), costs_tables(figures), profile_table(figures))
        print("\n\n".join(part for part in shown if part != NOT_MEASURED), end="\n\n")
    print(goals_table(figures))
    if "instructions" in asked.parts and figures.instructions:
        return int(figures.instructions["per_segment"] > figures.instructions["allowed"])
    return 0
