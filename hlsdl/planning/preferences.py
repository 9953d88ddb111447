"""What a person or an app wants of a stream: the input of selection.

Plain values; `selection.select` gives them their meaning (contract §1, "How a variant is chosen").
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from hlsdl.errors import UsageError

BitrateBasis = Literal["peak", "average"]
HowMany = Literal["one", "all"]

DEFAULT = "default"
ALL = "all"
NONE = "none"


@dataclass(frozen=True, slots=True, kw_only=True)
class Preferences:
    """The wishes of one download. Floors are never an error, ceilings and names are.

    Sources: AVAssetDownloadTaskMinimumRequiredMediaBitrateKey, …PresentationSizeKey, …PrefersHDRKey,
    …PrefersMultichannelKey, …PrefersLosslessAudioKey, and what Apple leaves out (ceilings).

    Raises:
        UsageError: a bitrate or a size that cannot be.
    """

    min_bitrate: int | None = None
    """Floor in bits per second: the lowest variant at or above it, else the highest."""
    max_bitrate: int | None = None
    """Ceiling in bits per second; nothing below it is a `SelectionError`."""
    bitrate_basis: BitrateBasis = "peak"
    """`peak` compares BANDWIDTH, `average` AVERAGE-BANDWIDTH where the playlist gives it."""
    min_size: tuple[int, int] | None = None
    """Floor (width, height) in pixels, both sides."""
    max_size: tuple[int, int] | None = None
    """Ceiling (width, height) in pixels, both sides."""
    hdr: bool = True
    """Prefer HDR (PQ, HLG) where the stream has it."""
    multichannel: bool = True
    """Store the most capable multichannel audio in addition to stereo."""
    lossless: bool = False
    """Prefer lossless audio where the stream has it."""
    codecs: tuple[str, ...] = ()
    """Four-character codec names (`avc1`, `hvc1`); a variant must have one of them."""
    variant: str | None = None
    """Take exactly this variant: its STABLE-VARIANT-ID, NAME or 0-based index in the playlist."""
    variants: HowMany = "one"
    audio: tuple[str, ...] = (DEFAULT,)
    """`("default",)`, `("all",)`, `("none",)` or BCP 47 language tags."""
    subtitles: tuple[str, ...] = (DEFAULT,)
    iframes: bool = False
    """Also store I-frame and image playlists of what was chosen."""
    where: tuple[str, ...] = ()
    """Qualifiers as texts (`qualifiers.where_texts`), in order: the first that at least one variant satisfies keeps
    those; when none is satisfied all stay. Asked before every other rule but `variant`."""
    media_selections: tuple[tuple[tuple[str, str | None], ...], ...] = ()
    """Media selections (`MediaSelection.encode`): all of them are stored, with one video. A group that a selection
    leaves out follows `audio` or `subtitles`."""
    shares_video: bool = False
    """Of a wish beside others: take a variant whose video they store already, if the qualifiers leave one
    (optimizesAuxiliaryContentConfigurations)."""

    def __post_init__(self) -> None:
        for name in ("codecs", "audio", "subtitles", "where"):  # a list will do, and one text alone
            value = getattr(self, name)
            object.__setattr__(self, name, (value,) if isinstance(value, str) else tuple(value))
        for name in ("min_size", "max_size"):
            if (size := getattr(self, name)) is not None:
                object.__setattr__(self, name, _size(name, size))
        for name in ("min_bitrate", "max_bitrate"):
            bits = getattr(self, name)
            if bits is not None and not (isinstance(bits, int | float) and bits >= 0):
                raise UsageError(f"`{name}` is no bitrate", hint="bits per second, and not negative")


def _size(name: str, size: Iterable[object]) -> tuple[object, ...]:
    sides = tuple(size)
    if len(sides) != 2 or not all(isinstance(side, int) and side > 0 for side in sides):
        raise UsageError(f"`{name}` has no two positive sides", hint="(width, height) in pixels")
    return sides
