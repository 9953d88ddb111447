"""The bitrates of what is stored, where no playlist declares any."""

from __future__ import annotations

from collections.abc import Mapping

from hlsdl.bundle.journal import LARGEST_NUMBER, Entry
from hlsdl.planning.plan import StreamPlan


def measured(stream: StreamPlan, entries: Mapping[str, Entry]) -> tuple[int, int]:
    """Peak and average bits per second of what is stored (RFC 8216 §4.3.4.2)."""
    sizes: list[int] = []
    lasting: list[float] = []
    duration, seconds = None, 0.0
    for resource in stream.resources:
        entry = entries.get(resource.path) if resource.kind == "segment" else None
        if entry is None:
            continue
        if resource.duration is not duration:  # as one object it is, nearly always, that of the segment before
            duration, seconds = resource.duration, float(resource.duration)
        if seconds > 0:
            sizes.append(entry.size)
            lasting.append(seconds)
    if not sizes:
        return 0, 0
    peak = max(size * 8 / seconds for size, seconds in zip(sizes, lasting, strict=True))
    average = sum(sizes) * 8 / sum(lasting)
    # A playlist may claim that a segment takes next to no time: no larger number can be read again.
    return round(min(peak, LARGEST_NUMBER)), round(min(average, LARGEST_NUMBER))
