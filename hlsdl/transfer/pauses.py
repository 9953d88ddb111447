"""Pauses: how long each host wants to be left alone, known to all jobs of a program that share this value.

Values only, so that whoever starts several downloads can make one before anything that speaks HTTP is loaded. When and
how long, `patience` decides; the jobs must have the same clock.
"""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(slots=True)
class Pause:
    """The pause of one host."""

    until: float = 0.0
    """Monotonic seconds; in the past when the host may be asked."""
    fruitless: int = 0
    """Pauses in a row that no success of any job followed."""


@dataclass(slots=True)
class Pauses:
    """The pauses of all hosts, by name."""

    hosts: dict[str, Pause] = field(default_factory=dict)

    def of(self, host: str) -> Pause:
        """The pause of `host`, the same object for every job."""
        pause = self.hosts.get(host)
        if pause is None:
            pause = self.hosts[host] = Pause()
        return pause
