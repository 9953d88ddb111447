"""The arithmetic of progress."""

from __future__ import annotations

from decimal import Decimal

from hlsdl.planning.plan import Resource
from hlsdl.session.progress import Progress
from hlsdl.session.rate import RATE_WINDOW


def progress(**how: object) -> Progress:
    values: dict[str, object] = {
        "task": "film",
        "estimated_bytes": 1000,
        "is_exact": False,
        "segments_total": 4,
        "seconds_total": 16.0,
    }
    return Progress(**{**values, **how})  # type: ignore[arg-type]


def segment(kind: str = "segment") -> Resource:
    return Resource(path="0-X-1/000000001.ts", url="https://a.test/1.ts", kind=kind, duration=Decimal(4))


def test_before_anything_came_the_total_is_the_estimate() -> None:
    event = progress().event(0.0)
    assert (event.total_bytes, event.total_is_estimate, event.fraction, event.eta) == (1000, True, 0.0, None)


def test_the_estimate_moves_towards_what_was_measured() -> None:
    """One segment with 500 bytes says 2,000 for four; the declared 1,000 still counts for seven eighths."""
    running = progress()
    running.finished(segment(), 500)
    assert running.total_bytes() == 1125


def test_after_a_few_segments_only_what_was_measured_counts() -> None:
    running = progress(segments_total=100, seconds_total=400.0, estimated_bytes=10**9)
    for _ in range(8):
        running.finished(segment(), 500)
    assert running.total_bytes() == 50_000


def test_a_total_is_never_smaller_than_what_is_done() -> None:
    running = progress(estimated_bytes=10)
    running.finished(segment("init"), 700)
    assert running.total_bytes() == 700


def test_an_exact_total_stays() -> None:
    running = progress(is_exact=True)
    running.finished(segment(), 10)
    assert running.event(0.0).total_bytes == 1000
    assert not running.event(0.0).total_is_estimate


def test_at_the_end_the_total_is_what_came() -> None:
    running = progress()
    for _ in range(4):
        running.finished(segment(), 100)
    event = running.event(0.0)
    assert (event.total_bytes, event.fraction, event.total_is_estimate) == (400, 1.0, False)


def test_the_rate_looks_at_the_last_seconds_only() -> None:
    running = progress()
    running.rate.arrived(10_000, now=0.0)
    running.rate.arrived(1_000, now=10.0)
    running.rate.arrived(1_000, now=12.0)
    assert running.rate.per_second(12.0) == 1000.0
    assert running.rate.per_second(12.0 + 2 * RATE_WINDOW) == 0.0


def test_an_empty_plan_is_done() -> None:
    assert progress(estimated_bytes=0, segments_total=0, seconds_total=0.0).event(0.0).fraction == 1.0


def test_no_guess_is_counted_as_needed_until_segments_speak() -> None:
    running = progress(segments_total=100, seconds_total=400.0, estimated_bytes=10**9, guessed_bytes=9 * 10**8)
    assert running.bytes_needed() == 10**8
    for _ in range(8):
        running.finished(segment(), 10**7)
    assert running.bytes_needed() == 92 * 10**7
