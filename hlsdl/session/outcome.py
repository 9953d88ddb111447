"""The outcome of a run: the bundle that was sealed, what this run brought to it, and how that is told."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from hlsdl.session import events
from hlsdl.session.bundles import Bundle
from hlsdl.session.events import Emit
from hlsdl.session.segments import Arrived


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetched:
    """What one run brought."""

    segments: int = 0
    bytes: int = 0
    reused_segments: int = 0
    seconds: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Downloaded:
    """The end of the story."""

    bundle: Bundle
    fetched: Fetched

    def document(self) -> dict[str, Any]:
        """The bundle and this run as `hlsdl.bundle/1`."""
        return {**self.bundle.document(), "fetched": asdict(self.fetched)}


def ended(emit: Emit, bundle: Bundle, arrived: Arrived, *, seconds: float, imported: bool = False) -> Downloaded:
    """Tell that the bundle is sealed, and what this run brought to it."""
    fetched = Fetched(
        segments=arrived.segments,
        bytes=arrived.bytes,
        reused_segments=arrived.reused_segments,
        seconds=round(seconds, 3),
    )
    emit(
        events.DidFinishDownloading(
            task=bundle.title,
            path=bundle.path,
            bytes=bundle.bytes,
            segments=bundle.segments,
            reused_segments=fetched.reused_segments,
            seconds=fetched.seconds,
            imported=imported,
        )
    )
    return Downloaded(bundle=bundle, fetched=fetched)
