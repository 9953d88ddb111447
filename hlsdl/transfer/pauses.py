"""Pauses: how long each host wants to be left alone, known to all jobs of a program that share this value.

Values only, so that whoever starts several downloads can make one before anything that speaks HTTP is loaded. When and
how long, `patience` decides; the jobs must have the same clock.
"""

from __future__ import annotations

from dataclasses import dataclass, field

MOST_HALVINGS = 3
"""A host that says no seven times in eight is asked eight times a second at most."""


@dataclass(slots=True)
class Pause:
    """The pause of one host."""

    until: float = 0.0
    """Monotonic seconds; in the past when the host may be asked."""
    fruitless: int = 0
    """Pauses in a row that no success of any job followed."""
    halvings: int = 0
    """How often the usual pause is halved."""
    most_halvings: int = MOST_HALVINGS
    """As far as the host has gone along with it."""

    def complained(self, *, of_one: bool) -> int:
        """The host said no, and not for how long: the power of two by which the usual pause is to be multiplied.

        `of_one`: no more than one request at a time was made. What the host counts then is requests and not
        connections, and it may take more of them than come between two pauses of the usual length: while each is
        followed by a success, the next is half as long.
        """
        longer = self.fruitless
        if longer:
            self.most_halvings = min(self.most_halvings, max(0, self.halvings - 1))
        went_along = self.until > 0 and not longer
        self.halvings = min(self.halvings + went_along, self.most_halvings) if of_one else 0
        self.fruitless += 1
        return longer or -self.halvings


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
