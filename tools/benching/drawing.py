"""Drawing: two kinds of plot as SVG text. No library: the pictures stay small and their diffs readable."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from html import escape
from typing import Any

from benching.cases import CASES
from benching.figures import ratio

WIDTH = 860
LEFT, RIGHT = 140, 30
COLOURS = {
    "curl": "#4477aa",
    "aria2c": "#228833",
    "yt-dlp": "#ee6677",
    "streamlink": "#ccbb44",
    "ffmpeg": "#aa3377",
}
INK, FAINT, OURS, SECOND = "#222222", "#d8d8d8", "#222222", "#ee7733"
TICKS = (1 / 16, 1 / 8, 1 / 4, 1 / 2, 1, 2, 4, 8, 16, 32, 64)


def draw_cases(cases: dict[str, Any]) -> str:
    """Each program's wall time divided by hlsdl's, on a logarithmic scale; hlsdl is the line at 1."""
    shown = [name for name in CASES if name in cases and "hlsdl" in cases[name]["results"]]
    row, top = 46, 74
    height = top + row * max(1, len(shown)) + 40
    marks = [_text(LEFT, 22, "Wall time compared with hlsdl's: left of the line is faster, right is slower", bold=True)]
    marks += _legend()
    for tick in TICKS:
        x = _place(tick)
        colour, width = (OURS, 2) if tick == 1 else (FAINT, 1)
        marks.append(_line(x, top - 8, x, height - 34, colour=colour, width=width))
        marks.append(_text(x, height - 16, _spoken(tick), anchor="middle"))
    for index, name in enumerate(shown):
        y = top + index * row
        marks.append(_line(LEFT, y + row - 4, WIDTH - RIGHT, y + row - 4))
        marks.append(_text(12, y + 16, name, bold=True))
        marks.append(_text(12, y + 32, cases[name]["input"]["title"]))
        marks += _dots(cases[name], y)
    return _svg(height, marks)


def draw_time_lines(lines: dict[str, Any]) -> str:
    """Goodput (filled) and open connections (stepped) over time, one panel below the other."""
    panel, top = 150, 84
    height = top + (panel + 50) * max(1, len(lines))
    marks = [
        _text(12, 22, "Adaptive concurrency, 25 ms each way, 200 Mbit/s, no flags given", bold=True),
        _box(12, 34, 12, 12, "#77aadd"),
        _text(30, 45, "goodput, MB/s (left)"),
        _line(180, 40, 204, 40, colour=SECOND, width=2.5),
        _text(210, 45, "open connections (right)"),
        f'<polyline points="400,40 424,40" fill="none" stroke="{INK}" stroke-dasharray="2 4"/>',
        _text(430, 45, "share of segments finished"),
    ]
    for index, (title, one) in enumerate(lines.items()):
        marks += _panel(title, one, top + index * (panel + 50), panel)
    return _svg(height, marks)


def _legend() -> list[str]:
    marks, x = [], LEFT
    for name, colour in COLOURS.items():
        marks += [_dot(x + 6, 42, colour), _text(x + 17, 46, name)]
        x += 34 + 8 * len(name)
    return marks


def _dots(case: dict[str, Any], y: float) -> list[str]:
    """One dot for each contestant; curl's carry their number of connections."""
    marks = []
    for label in case["results"]:
        found, name = ratio(case, label, "hlsdl"), label.split()[0]
        if found is None or name not in COLOURS:
            continue
        lane = y + 3 + 7 * list(COLOURS).index(name)
        marks.append(_dot(_place(found), lane, COLOURS[name], title=f"{label}: {found:.2f}"))
    return marks


def _panel(title: str, one: dict[str, Any], y: float, height: float) -> list[str]:
    left, right, bottom = 60, WIDTH - 60, y + height
    seconds = max(one["seconds"], 0.1)
    fastest = max([rate for _, rate in one["goodput"]] + [1e6]) / 1e6 * 1.1
    most = max(one["most_open"], 4) * 1.15

    def x_of(t: float) -> float:
        return float(left + (right - left) * min(t / seconds, 1))

    def area(points: Iterable[tuple[float, float]]) -> str:
        return " ".join(f"{x:.1f},{bottom - up * height:.1f}" for x, up in points)

    rates = [(x_of(t), rate / 1e6 / fastest) for t, rate in one["goodput"]]
    counts = _steps([(x_of(t), count / most) for t, count in one["open"] if t <= seconds])
    total = max([count for _, count in one["segments"]] + [1])
    done = [(x_of(t), count / total) for t, count in one["segments"]]
    marks = [
        _text(left, y - 6, f"{title}: {one['seconds']:.1f} s, {one['refused']} answers 429", bold=True),
        f'<polygon points="{area([(left, 0), *rates, (right, 0)])}" fill="#77aadd" fill-opacity="0.75"/>',
        f'<polyline points="{area(done)}" fill="none" stroke="{INK}" stroke-dasharray="2 4"/>',
        f'<polyline points="{area(counts)}" fill="none" stroke="{SECOND}" stroke-width="2.5"/>',
        _line(left, bottom, right, bottom, colour=INK),
    ]
    for share in (0.5, 1.0):
        at = bottom - height * share / 1.1
        marks.append(_text(left - 8, at + 4, f"{fastest / 1.1 * share:.0f}", anchor="end"))
        marks.append(_text(right + 8, bottom - height * share / 1.15 + 4, f"{most / 1.15 * share:.0f}"))
        marks.append(_line(left, at, right, at))
    step = max(1, math.ceil(seconds / 10))
    marks += [_text(x_of(t), bottom + 16, f"{t} s", anchor="middle") for t in range(0, int(seconds) + 1, step)]
    return marks


def _steps(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """Corners of a line that holds each value until the next."""
    corners: list[tuple[float, float]] = []
    for x, up in points:
        if corners:
            corners.append((x, corners[-1][1]))
        corners.append((x, up))
    return corners


def _place(value: float) -> float:
    """Where a ratio is on the scale; what is beyond it sits on its end."""
    low, high = math.log2(TICKS[0]), math.log2(TICKS[-1])
    share = (min(max(math.log2(max(value, 1e-9)), low), high) - low) / (high - low)
    return float(LEFT + (WIDTH - RIGHT - LEFT) * share)


def _spoken(tick: float) -> str:
    if tick == 1:
        return "hlsdl"
    return f"{tick:g}×" if tick > 1 else f"1/{1 / tick:g}×"


def _svg(height: float, marks: Iterable[str]) -> str:
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height:.0f}" '
        f'font-family="system-ui, sans-serif" font-size="13">'
    )
    return "\n".join([head, _box(0, 0, WIDTH, height, "#ffffff"), *marks, "</svg>", ""])


def _text(x: float, y: float, text: str, *, anchor: str = "start", bold: bool = False) -> str:
    weight = ' font-weight="600"' if bold else ""
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{INK}"{weight}>{escape(text)}</text>'


def _line(x1: float, y1: float, x2: float, y2: float, *, colour: str = FAINT, width: float = 1) -> str:
    where = f'x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"'
    return f'<line {where} stroke="{colour}" stroke-width="{width}"/>'


def _box(x: float, y: float, width: float, height: float, colour: str) -> str:
    return f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" fill="{colour}"/>'


def _dot(x: float, y: float, colour: str, *, title: str = "") -> str:
    inside = f"<title>{escape(title)}</title>" if title else ""
    return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="5" fill="{colour}">{inside}</circle>'
