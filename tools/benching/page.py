"""The page: figures as Markdown, each part put between its own markers in `docs/performance.md`."""

from __future__ import annotations

import statistics
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from benching.cases import CASES
from benching.drawing import draw_cases, draw_time_lines
from benching.figures import Figures, middle, ratio
from benching.goals import goals
from benching.peers import PEERS

END = "<!-- bench:end -->"
NOT_MEASURED = "Not measured yet."


def write_page(page: Path, figures: Figures) -> None:
    """Put everything that was measured into the page, and draw its pictures beside it."""
    parts = {
        "conditions": conditions(figures),
        "goals": goals_table(figures),
        "peers": peers_table(),
        "cases": cases_tables(figures),
        "adaptive": adaptive_table(figures),
        "versions": versions_table(figures),
        "costs": costs_tables(figures),
        "profile": profile_table(figures),
    }
    text = page.read_text()
    for name, part in parts.items():
        text = replace_part(text, name, part)
    page.write_text(text)
    images = page.parent / "images"
    images.mkdir(exist_ok=True)
    (images / "performance-cases.svg").write_text(draw_cases(figures.cases))
    (images / "performance-adaptive.svg").write_text(draw_time_lines(figures.adaptive))


def replace_part(text: str, name: str, part: str) -> str:
    """Put `part` between the markers of `name`; SystemExit when the page has none."""
    begin = f"<!-- bench:{name} -->"
    before, found, rest = text.partition(begin)
    _, closed, after = rest.partition(END)
    if not found or not closed:
        raise SystemExit(f"the page has no `{begin}` … `{END}`")
    return f"{before}{begin}\n{part.strip()}\n{END}{after}"


def table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """A Markdown table; all columns but the first are figures."""
    head = list(head)
    lines = [head, ["---", *["--:"] * (len(head) - 1)], *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def conditions(figures: Figures) -> str:
    """The machine, the versions, and how busy it was."""
    machine = figures.machine
    if not machine:
        return NOT_MEASURED
    versions = ", ".join(f"{name} {version}" for name, version in machine["programs"].items())
    loads = [one["load"][0] for one in figures.cases.values()]
    days = sorted({one["when"][:10] for one in figures.cases.values()})
    said = (
        f"{machine['cores']} cores ({machine['processor'] or 'unknown'}), {machine['memory'] / 2**30:.0f} GiB, "
        f"{machine['system']}, Python {machine['python']}; {versions}."
    )
    if machine["files"] == "memory":
        said += " Files are in memory (tmpfs), where flushing them costs next to nothing."
    if loads:
        load = f"{min(loads)} to {max(loads)}" if len(loads) > 1 else f"{loads[0]}"
        said += f" Measured {' and '.join(days)}; load of the machine before a case: {load}."
    return said


def goals_table(figures: Figures) -> str:
    """What was to be reached, and what is."""
    rows = [
        (
            one.name,
            one.what,
            f"{one.sign} {one.wanted:g}{one.unit}",
            f"{_short(one.found)}{one.unit}",
            _mark(one.is_reached),
        )
        for one in goals(figures)
    ]
    if not rows:
        return NOT_MEASURED
    return table(("", "what", "goal", "measured", "reached"), rows).replace("--: | --:", "--- | --:", 1)


def peers_table() -> str:
    """Who is compared, and what each leaves out."""
    rows = [(one.name, f"`{one.said}`", one.leaves_out) for one in PEERS.values()]
    return table(("program", "as", "leaves out"), rows).replace("--:", "---")


def cases_tables(figures: Figures) -> str:
    """One table for each case."""
    return "\n\n".join(case_table(name, figures.cases[name]) for name in CASES if name in figures.cases) or NOT_MEASURED


def case_table(name: str, case: dict[str, Any]) -> str:
    """All contestants of one case, fastest first."""
    payload = case["payload"]
    rows = []
    for label in sorted(case["results"], key=lambda one: middle(case, one, "wall") or 0):
        walls = case["results"][label]["wall"]
        wall, cpu = middle(case, label, "wall") or 0, middle(case, label, "cpu") or 0
        rows.append(
            (
                f"**{label}**" if label == "hlsdl" else label,
                f"{wall:.2f} ({min(walls):.2f}–{max(walls):.2f})",
                _short(ratio(case, label, "hlsdl")),
                f"{payload / wall / 1e6:.0f}",
                _short(cpu * 1e9 / payload),
                f"{(middle(case, label, 'peak') or 0) / 1e6:.0f}",
                f"{middle(case, label, 'connections'):.0f}",
                str(len(walls)),
            )
        )
    head = ("", "wall s (least–most)", "÷ hlsdl", "MB/s", "CPU s/GB", "peak MB", "connections", "runs")
    failed = "".join(f"\n\n{label} did not finish: {why}" for label, why in case["failed"].items())
    return f"### {name}: {case['input']['title']}, {case['about']}\n\n{table(head, rows)}{failed}"


def adaptive_table(figures: Figures) -> str:
    """What the time lines add up to."""
    rows = [
        (
            title,
            f"{one['seconds']:.1f}",
            f"{one['payload'] / one['seconds'] / 1e6:.1f}" if one["seconds"] else "–",
            str(one["most_open"]),
            str(one["refused"]),
            "whole" if one["code"] == 0 else f"exit code {one['code']}",
        )
        for title, one in figures.adaptive.items()
    ]
    head = ("", "seconds", "MB/s", "connections at most", "answers 429", "result")
    return table(head, rows) if rows else NOT_MEASURED


def versions_table(figures: Figures) -> str:
    """Wall and CPU seconds by version of HTTP, medians."""
    rows = []
    for title, by_version in figures.versions.items():
        walls = {version: statistics.median(one["wall"]) for version, one in by_version.items()}
        cpu = {version: statistics.median(one["cpu"]) for version, one in by_version.items()}
        rows.append((title, *(f"{walls[one]:.2f} s, {cpu[one]:.1f} CPU s" for one in walls)))
    versions = next(iter(figures.versions.values()), {})
    return table(("", *versions), rows) if rows else NOT_MEASURED


def costs_tables(figures: Figures) -> str:
    """Start-up, memory, playlists, instructions."""
    parts = [
        _start_up_table(figures.start_up),
        _memory_table(figures.memory),
        _playlists_table(figures.playlists),
        _instructions_sentence(figures.instructions),
    ]
    return "\n\n".join(part for part in parts if part) or NOT_MEASURED


def profile_table(figures: Figures) -> str:
    """Microseconds per segment by thread and owner; what is under one percent is left out."""
    profile = figures.profile
    if not profile or "skipped" in profile:
        return str(profile.get("skipped", NOT_MEASURED))
    rows = [row for row in profile["rows"] if row["owner"] != "imports"]
    total = sum(row["microseconds"] for row in rows)
    once = (sum(row["microseconds"] for row in profile["rows"]) - total) * profile["segments"] / 1e6
    cells = [
        (row["thread"], row["owner"], f"{row['microseconds']:.0f}", f"{row['microseconds'] / total:.0%}")
        for row in rows
        if row["microseconds"] >= total / 100
    ]
    cells.append(("all", "", f"{total:.0f}", "100%"))
    shown = table(("thread", "whose code", "µs per segment", "share"), cells).replace("--: |", "--- |", 1)
    return f"{shown}\n\n{profile['segments']:,} segments; importing took {once:.2f} s besides."


def _start_up_table(start_up: dict[str, Any]) -> str:
    rows = [(f"`{name}`", f"{one['median']:.0f}", f"{one['least']:.0f}") for name, one in start_up.items()]
    return table(("start", "median ms", "least ms"), rows) if rows else ""


def _memory_table(memory: dict[str, Any]) -> str:
    rows = []
    huge, long, resume = memory.get("huge asset"), memory.get("long playlist"), memory.get("resume")
    if huge and "peak" in huge:
        what = f"fetch {huge['bytes'] / 1e9:.1f} GB to {huge['where']}"
        rows.append((what, f"{huge['peak'] / 1e6:.0f}", f"{huge['wall']:.1f}"))
    if long:
        rows += [
            (f"{verb} {long['segments']:,} segments of 1.9 kB", f"{one['peak'] / 1e6:.0f}", f"{one['wall']:.1f}")
            for verb in ("plan", "fetch")
            for one in (long[verb],)
        ]
    if resume:
        what = f"resume with {resume['segments']:,} segments finished: until it goes on"
        rows.append((what, "", f"{resume['until_going_on']:.2f}"))
    return table(("memory", "peak MB", "wall s"), rows) if rows else ""


def _playlists_table(playlists: dict[str, Any]) -> str:
    lengths = sorted({length for of_kind in playlists.values() for length in of_kind}, key=int)
    rows = [(kind, *(f"{of_kind[length]:.2f}" for length in lengths)) for kind, of_kind in playlists.items()]
    return table(("seconds to parse, by segments", *(f"{int(one):,}" for one in lengths)), rows) if rows else ""


def _instructions_sentence(instructions: dict[str, Any]) -> str:
    if not instructions:
        return ""
    return (
        f"One more segment costs {instructions['per_segment'] / 1e6:.2f} million instructions (callgrind); "
        f"`make bench` fails above {instructions['allowed'] / 1e6:g} million."
    )


def _short(value: float | None) -> str:
    """Three figures or so."""
    if value is None:
        return "–"
    return f"{value:.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def _mark(is_reached: bool) -> str:
    return "yes" if is_reached else "**no**"
