"""What goes when room is needed: a pure choice, and what it promises for any library."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hlsdl.library.retention import Candidate, Plan, Priority, Reason, plan_evictions

NOW = 1000.0
SIZES = st.integers(0, 50)
CANDIDATES = st.lists(
    st.builds(
        Candidate,
        path=st.text("abcdefgh", min_size=1, max_size=4),
        bytes=SIZES,
        last_used=st.integers(0, 10).map(float),
        priority=st.sampled_from(Priority),
        expires=st.none() | st.sampled_from([0.0, 500.0, NOW, NOW + 0.5, 2 * NOW]),
    ),
    max_size=12,
    unique_by=lambda one: one.path,
)


def one(
    path: str, size: int = 10, *, used: float = 0, important: bool = False, expires: float | None = None
) -> Candidate:
    priority = Priority.IMPORTANT if important else Priority.DEFAULT
    return Candidate(path=path, bytes=size, last_used=used, priority=priority, expires=expires)


def paths(plan: Plan) -> list[str]:
    return [eviction.path for eviction in plan.evictions]


def place_of(candidate: Candidate) -> tuple[int, float, str]:
    """Where the promised order puts a bundle, written down a second time."""
    if candidate.expires is not None and candidate.expires <= NOW:
        return 0, candidate.expires, candidate.path
    return (2 if candidate.priority is Priority.IMPORTANT else 1), candidate.last_used, candidate.path


@given(CANDIDATES, st.none() | st.integers(0, 400), st.none() | st.integers(0, 400), st.data())
def test_for_any_library(candidates: list[Candidate], free: int | None, quota: int | None, data: st.DataObject) -> None:
    """Never one in use; in the promised order, none left out; enough or everything; and none more than is needed."""
    busy = data.draw(st.sets(st.sampled_from([c.path for c in candidates]))) if candidates else set()
    plan = plan_evictions(candidates, now=NOW, free=free, quota=quota, in_use=dict.fromkeys(busy, "played"))
    chosen = paths(plan)
    may_go = sorted((c for c in candidates if c.path not in busy), key=place_of)
    if free is None and quota is None:
        may_go = [c for c in may_go if place_of(c)[0] == 0]
        assert chosen == [c.path for c in may_go]
        return
    assert chosen == [c.path for c in may_go[: len(chosen)]]
    total = sum(c.bytes for c in candidates)
    assert plan.needed == max(free or 0, total - quota if quota is not None else 0, 0)
    assert plan.is_enough or len(chosen) == len(may_go)
    if chosen:
        assert plan.bytes - plan.evictions[-1].bytes < plan.needed
    if plan.is_enough and quota is not None:
        assert total - plan.bytes <= quota
    assert set(plan.spared) == busy


@given(CANDIDATES, st.integers(0, 400))
def test_asking_for_more_never_spares_what_less_would_take(candidates: list[Candidate], free: int) -> None:
    """The choice for more begins with the choice for less."""
    less, more = (paths(plan_evictions(candidates, now=NOW, free=want)) for want in (free, free + 7))
    assert more[: len(less)] == less


def test_expired_ones_go_first_then_default_then_important() -> None:
    """An important one that has expired is expired; the least recently used goes first in each group."""
    library = [
        one("old important", important=True, used=1),
        one("new important", important=True, used=9),
        one("new", used=8),
        one("old", used=2),
        one("expired later", expires=900, used=9),
        one("expired important", expires=100, important=True, used=9),
        one("not yet", expires=NOW + 1, used=7),
    ]
    plan = plan_evictions(library, now=NOW, free=1000)
    assert paths(plan) == [
        "expired important",
        "expired later",
        "old",
        "not yet",
        "new",
        "old important",
        "new important",
    ]
    kinds = [eviction.reason for eviction in plan.evictions]
    assert kinds == [Reason.EXPIRED] * 2 + [Reason.LEAST_RECENTLY_USED] * 3 + [Reason.LEAST_RECENTLY_USED_IMPORTANT] * 2
    assert not plan.is_enough


@pytest.mark.parametrize(("free", "count"), [(0, 0), (1, 1), (10, 1), (11, 2), (20, 2), (21, 3), (30, 3)])
def test_bytes_at_the_limit_and_one_past_it(free: int, count: int) -> None:
    """Exactly what is asked for is enough; one byte more needs one bundle more."""
    plan = plan_evictions([one("a", used=1), one("b", used=2), one("c", used=3)], now=NOW, free=free)
    assert (len(plan.evictions), plan.is_enough) == (count, True)


@pytest.mark.parametrize(("quota", "count"), [(31, 0), (30, 0), (29, 1), (20, 1), (19, 2), (0, 3)])
def test_a_quota_at_the_limit_and_one_below_it(quota: int, count: int) -> None:
    """As many bytes as the quota may stay, not one more."""
    plan = plan_evictions([one("a", used=1), one("b", used=2), one("c", used=3)], now=NOW, quota=quota)
    assert (len(plan.evictions), plan.is_enough) == (count, True)


def test_more_than_there_is_is_not_enough() -> None:
    """It takes what may go, and says that it is not enough."""
    plan = plan_evictions([one("a"), one("b")], now=NOW, free=21)
    assert (paths(plan), plan.is_enough) == (["a", "b"], False)


def test_what_is_in_use_counts_for_the_quota() -> None:
    """A bundle that is played stays, so another one goes in its place."""
    library = [one("a", used=1), one("b", used=2)]
    plan = plan_evictions(library, now=NOW, quota=10, in_use={"a": "played", "elsewhere": "written"})
    assert (paths(plan), plan.spared) == (["b"], {"a": "played"})


def test_without_a_wish_only_what_has_expired_goes() -> None:
    """Expired means that the date is not after now."""
    library = [one("a", expires=NOW), one("b", expires=NOW + 0.001), one("c")]
    assert paths(plan_evictions(library, now=NOW)) == ["a"]


def test_the_order_in_which_bundles_are_given_does_not_matter() -> None:
    """Equal times fall back on the path, so a dry run says what a real one does."""
    library = [one(name, used=5) for name in "dbca"]
    assert paths(plan_evictions(library, now=NOW, free=40)) == list("abcd")
    assert all(x <= y for x, y in pairwise(paths(plan_evictions(library[::-1], now=NOW, free=40))))
