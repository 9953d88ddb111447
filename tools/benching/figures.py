"""Figures: what was measured last, kept as JSON: a run of one case leaves the others on the page as they are."""

from __future__ import annotations

import json
import os
import platform
import statistics
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benching.programs import Programs

KEPT = Path(__file__).with_name("figures.json")


@dataclass(slots=True)
class Figures:
    """All that the page says. A part that was never measured is empty."""

    machine: dict[str, Any] = field(default_factory=dict)
    cases: dict[str, Any] = field(default_factory=dict)
    start_up: dict[str, Any] = field(default_factory=dict)
    memory: dict[str, Any] = field(default_factory=dict)
    playlists: dict[str, Any] = field(default_factory=dict)
    adaptive: dict[str, Any] = field(default_factory=dict)
    versions: dict[str, Any] = field(default_factory=dict)
    instructions: dict[str, Any] = field(default_factory=dict)
    profile: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def load(cls, file: Path) -> Figures:
        """What was kept; nothing when there is no such file."""
        return cls(**json.loads(file.read_text())) if file.exists() else cls()

    def save(self, file: Path) -> None:
        """Keep everything."""
        values = {name: getattr(self, name) for name in self.__slots__}
        file.write_text(_narrow(values) + "\n")


def describe_machine(programs: Programs) -> dict[str, Any]:
    """The machine and the versions of what runs on it."""
    model = ""
    if Path("/proc/cpuinfo").exists():
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        model = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {
        "cores": os.cpu_count(),
        "processor": model,
        "memory": memory,
        "system": f"{platform.system()} {'.'.join(platform.release().split('.')[:2])}",
        "python": platform.python_version(),
        "programs": {name: programs.version(name) for name in sorted(programs.paths) if name != "py-spy"},
    }


def middle(case: dict[str, Any], label: str, figure: str) -> float | None:
    """The median of one figure of one contestant; `cpu` is user and system together."""
    results = case["results"].get(label)
    if results is None:
        return None
    if figure == "cpu":
        return _median(a + b for a, b in zip(results["user"], results["system"], strict=True))
    return _median(results[figure])


def ratio(case: dict[str, Any], above: str, below: str) -> float | None:
    """The median over the rounds of one contestant's wall time divided by another's."""
    over, under = case["results"].get(above), case["results"].get(below)
    if over is None or under is None:
        return None
    # Who is slow has fewer rounds.
    return _median(a / b for a, b in zip(over["wall"], under["wall"], strict=False))


def best_curl(case: dict[str, Any]) -> str | None:
    """The number of connections with which curl was fastest."""
    labels = [label for label in case["results"] if label.startswith("curl")]
    return min(labels, key=lambda label: _median(case["results"][label]["wall"]), default=None)


def _median(values: Iterable[float]) -> float:
    return float(statistics.median(values))


def _narrow(value: object, depth: int = 0) -> str:
    """JSON with lists on one line, so that a diff shows what has changed."""
    if not isinstance(value, dict) or not value:
        return json.dumps(value, ensure_ascii=False)
    indent = " " * (depth + 1)
    lines = (
        f"{indent}{json.dumps(str(key), ensure_ascii=False)}: {_narrow(one, depth + 1)}" for key, one in value.items()
    )
    return "{\n" + ",\n".join(lines) + "\n" + " " * depth + "}"
