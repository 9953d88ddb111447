"""Retention: which bundles go when room is needed, and in which order; pure, the clock is an argument.

Expired ones first, the one that expired first before the others; then those of default priority, the least recently
used first; then the important ones, in the same order. A bundle that is in use is never chosen. Deleting is left to
`session.storage`. Source: AVAssetDownloadStorageManagementPolicy (priority, expirationDate).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum


class Priority(StrEnum):
    """Who goes first when room is needed (AVAssetDownloadedAssetEvictionPriority). Stored by name."""

    DEFAULT = "default"
    IMPORTANT = "important"
    """Goes last."""


class Reason(StrEnum):
    """Why a bundle was chosen."""

    EXPIRED = "expired"
    LEAST_RECENTLY_USED = "least recently used"
    LEAST_RECENTLY_USED_IMPORTANT = "important, and nothing else was left"


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """What the choice looks at. Times are seconds since 1970."""

    path: str
    bytes: int
    last_used: float
    priority: Priority = Priority.DEFAULT
    expires: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Eviction:
    """One bundle that is to go."""

    path: str
    bytes: int
    reason: Reason


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What is to go, in this order."""

    evictions: tuple[Eviction, ...]
    needed: int
    """Bytes that had to be freed; 0 when only expired bundles were asked for."""
    spared: Mapping[str, str] = field(default_factory=dict)
    """Path -> why it stays though its turn would have come or may come."""

    @property
    def bytes(self) -> int:
        """What the evictions give back."""
        return sum(one.bytes for one in self.evictions)

    @property
    def is_enough(self) -> bool:
        """Whether that is what was needed."""
        return self.bytes >= self.needed


def plan_evictions(
    candidates: Sequence[Candidate],
    *,
    now: float,
    free: int | None = None,
    quota: int | None = None,
    in_use: Mapping[str, str] | None = None,
) -> Plan:
    """Choose what goes; no more than is needed.

    Args:
        candidates: all bundles of the library.
        now: the time; a bundle has expired when its date is not after it.
        free: bytes that are to be given back.
        quota: bytes that all bundles together may have afterwards. With both, both are met; with neither, everything
            that has expired goes and nothing else.
        in_use: path -> why this bundle cannot go; it counts for the quota all the same.
    """
    in_use = in_use or {}
    total = sum(one.bytes for one in candidates)
    needed = max(free or 0, total - quota if quota is not None else 0, 0)
    only_expired = free is None and quota is None
    evictions: list[Eviction] = []
    freed = 0
    for one, reason in _in_order(candidates, now):
        if (only_expired and reason is not Reason.EXPIRED) or (not only_expired and freed >= needed):
            break
        if one.path not in in_use:
            evictions.append(Eviction(path=one.path, bytes=one.bytes, reason=reason))
            freed += one.bytes
    known = {one.path for one in candidates}
    return Plan(
        evictions=tuple(evictions),
        needed=needed,
        spared={path: why for path, why in in_use.items() if path in known},
    )


def _in_order(candidates: Iterable[Candidate], now: float) -> list[tuple[Candidate, Reason]]:
    expired: list[tuple[float, str, Candidate]] = []
    default: list[tuple[float, str, Candidate]] = []
    important: list[tuple[float, str, Candidate]] = []
    for one in candidates:
        if one.expires is not None and one.expires <= now:
            expired.append((one.expires, one.path, one))
        else:
            (important if one.priority is Priority.IMPORTANT else default).append((one.last_used, one.path, one))
    return [
        (one, reason)
        for group, reason in (
            (expired, Reason.EXPIRED),
            (default, Reason.LEAST_RECENTLY_USED),
            (important, Reason.LEAST_RECENTLY_USED_IMPORTANT),
        )
        for _, _, one in sorted(group, key=lambda item: item[:2])
    ]
