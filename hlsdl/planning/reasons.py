"""Why something was chosen, and why the rest was not: what `plan` shows."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from hlsdl.playlist.models import Rendition, Variant


@dataclass(frozen=True, slots=True, kw_only=True)
class Rejection:
    """One candidate that left, and why."""

    id: str
    """What `--variant` takes, or `<group>/<name>` of a rendition."""
    label: str
    """The candidate for people."""
    because: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """One decision of the selection."""

    what: str
    """`variant`, `audio`, `subtitles` or `iframes`."""
    chosen: str
    because: str
    rejected: tuple[Rejection, ...] = ()

    def document(self) -> dict[str, Any]:
        """The choice as `hlsdl.plan/1` writes it."""
        rejected = [{"id": one.id, "label": one.label, "because": one.because} for one in self.rejected]
        return {"what": self.what, "chosen": self.chosen, "because": self.because, "rejected": rejected}


def bitrate_text(bits: int) -> str:
    """Bits per second for people: `4.8 Mbit/s`."""
    return f"{bits / 1_000_000:.1f} Mbit/s" if bits >= 1_000_000 else f"{round(bits / 1000)} kbit/s"


def variant_id(variant: Variant) -> str:
    """What `--variant` takes: the STABLE-VARIANT-ID, else the index in the playlist."""
    return variant.stable_id or str(variant.index)


def rendition_id(rendition: Rendition) -> str:
    """A rendition by its group and name, which are unique together (RFC 8216 §4.3.4.1.1)."""
    return f"{rendition.group}/{rendition.name}"


def variant_label(variant: Variant) -> str:
    """How a person recognises a variant: `#3 1920x1080 6.0 Mbit/s PQ hvc1,ec-3`."""
    size = f"{variant.resolution[0]}x{variant.resolution[1]}" if variant.resolution else "no size"
    codecs = ",".join(codec.split(".")[0] for codec in variant.codecs)
    video_range = "" if variant.video_range == "SDR" else variant.video_range
    audio = f"audio {variant.audio}" if variant.audio else ""
    parts = (f"#{variant.index}", size, bitrate_text(variant.bandwidth), video_range, codecs, audio)
    return " ".join(part for part in parts if part)


def rendition_label(rendition: Rendition) -> str:
    """How a person recognises a rendition: `en "English" 2ch (aac)`."""
    channels = f"{rendition.channels}ch" if rendition.channels else ""
    forced = "forced" if rendition.forced else ""
    parts = (rendition.language or "und", f'"{rendition.name}"', channels, forced, f"({rendition.group})")
    return " ".join(part for part in parts if part)


def labels(renditions: Iterable[Rendition]) -> str:
    """Several renditions in one line, or the word `none`."""
    return ", ".join(rendition_label(one) for one in renditions) or "none"
