"""What renditions of one option have in common: the plain words and ids that a media selection is stored as.

Small on purpose: every download reads it, while `media_selection`, the groups and options of apps, is for who asks.
"""

from __future__ import annotations

from typing import TypeAlias

from hlsdl.playlist.models import Rendition

AUDIBLE = "audible"
LEGIBLE = "legible"
VISUAL = "visual"
KINDS = {"AUDIO": AUDIBLE, "SUBTITLES": LEGIBLE, "CLOSED-CAPTIONS": LEGIBLE, "VIDEO": VISUAL}
"""TYPE of EXT-X-MEDIA -> the kind of group."""

FORCED_ONLY = "public.subtitles.forced-only"
"""The characteristic of FORCED=YES renditions (AVMediaCharacteristic.containsOnlyForcedSubtitles)."""

Pairs: TypeAlias = tuple[tuple[str, str | None], ...]
"""A media selection as plain values: (kind of group, option id or None), for storage."""


def option_id(rendition: Rendition) -> str:
    """The id of the option that a rendition belongs to: what all its encodings have in common (RFC 8216 §4.3.4.1.1)."""
    parts = [rendition.language or "und", rendition.name]
    parts += ["forced"] if rendition.forced else []
    parts += [f"assoc={rendition.assoc_language}"] if rendition.assoc_language else []
    parts += [f"in={rendition.instream_id}"] if rendition.instream_id else []
    parts += [",".join(sorted(rendition.characteristics))] if rendition.characteristics else []
    return "/".join(part.replace("%", "%25").replace("/", "%2F") for part in parts)


def is_alike(one: Rendition, other: Rendition) -> bool:
    """Whether two renditions differ in nothing but names and encodings: "English" in stereo, "English 5.1"."""
    first, second = ((r.language, r.forced, set(r.characteristics)) for r in (one, other))
    return first == second
