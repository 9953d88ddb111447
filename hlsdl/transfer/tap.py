"""The tap: what watches and slows the bytes of a job as they come off the wire."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from hlsdl.transfer.patience import HostPace


class RateLimit(Protocol):
    """Holds bytes back; `rate.SteadyRate` fits."""

    max_rate: float

    async def acquire(self, amount: float = 1) -> None:
        """Wait until `amount` bytes, at most `max_rate`, may pass."""
        ...


@dataclass(slots=True, kw_only=True)
class Tap:
    """What watches and slows the bytes of a job as they come off the wire."""

    on_bytes: Callable[[int], None] | None = None
    rate: RateLimit | None = None
    pace: HostPace | None = None
    on_total: Callable[[int], None] | None = None
    """Told how large the whole resource is, when a response says so."""

    async def pass_on(self, size: int) -> None:
        """Count `size` bytes, those of failed tries too, and wait for the rate limit."""
        self.count(size)
        if self.rate is not None:
            left = float(size)
            while left > 0:
                part = min(left, self.rate.max_rate)
                await self.rate.acquire(part)
                left -= part

    def count(self, size: int) -> None:
        """Count only; enough without a rate limit."""
        if self.on_bytes is not None:
            self.on_bytes(size)
        if self.pace is not None:
            self.pace.received(size)
