"""A variant as an app sees it: one row of the ladder with its audio group, and without addresses.

Source: AVAssetVariant, its VideoAttributes and AudioAttributes. Where Apple's Objective-C has a negative number for
what the playlist does not declare, there is None here (as in Swift).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from hlsdl.planning.codecs import (
    all_codecs,
    audio_codec_names,
    codec_names,
    is_audio_only,
    video_codec_names,
)
from hlsdl.planning.media_selection import MediaSelectionOption
from hlsdl.planning.option_ids import option_id
from hlsdl.planning.predicates import Value, Values
from hlsdl.planning.reasons import variant_id, variant_label
from hlsdl.playlist.models import MultivariantPlaylist, Rendition, Variant

DEFAULT_PATHWAY = "."
"""The pathway of variants without PATHWAY-ID (RFC 8216bis §4.4.6.2)."""
DEFAULT_LAYOUT = {"CH-": "CH-MONO", "PROJ-": "PROJ-RECT"}
"""What video without such a specifier in REQ-VIDEO-LAYOUT is (RFC 8216bis §4.4.6.2)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VideoLayoutAttributes:
    """How video must be shown (AVAssetVariantVideoLayoutAttributes)."""

    stereo_view_components: tuple[str, ...] = ()
    """`("left", "right")` for CH-STEREO, empty for one eye's picture."""
    specifiers: tuple[str, ...] = ()
    """As written: `CH-STEREO`, `PROJ-HEQU` …"""


@dataclass(frozen=True, slots=True, kw_only=True)
class VideoAttributes:
    """What the playlist says of a variant's picture."""

    video_range: str
    """`SDR` (also when undeclared), `HLG` or `PQ`."""
    codec_types: tuple[str, ...]
    """Four-character names; empty when undeclared."""
    presentation_size: tuple[int, int]
    """(width, height) in pixels; (0, 0) when undeclared."""
    nominal_frame_rate: float | None
    """Frames per second; None when undeclared."""
    video_layout_attributes: tuple[VideoLayoutAttributes, ...]
    """One for each entry of REQ-VIDEO-LAYOUT; empty when undeclared."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AudioRenditionAttributes:
    """What the playlist says of one audio option, as this variant offers it."""

    channel_count: int | None
    """More than 2 is multichannel; None when undeclared."""
    sample_rate: int | None
    """Hertz; None when undeclared."""
    is_binaural: bool
    is_immersive: bool
    is_downmix: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class AudioAttributes:
    """What the playlist says of a variant's sound."""

    format_ids: tuple[str, ...]
    """Four-character names (`mp4a`, `ec-3`, `alac`); empty when undeclared."""
    renditions: tuple[Rendition, ...] = field(default=(), repr=False)

    def rendition_specific_attributes(
        self, option: MediaSelectionOption | str | None = None
    ) -> AudioRenditionAttributes | None:
        """Those of one option (or its id), None when the variant does not offer it.

        Without an option: the best of the group in each respect, None when the variant has no audio group.
        """
        wanted = option.id if isinstance(option, MediaSelectionOption) else option
        found = [one for one in self.renditions if wanted is None or option_id(one) == wanted]
        if not found:
            return None
        usages = {usage for one in found for usage in _usages(one)}
        return AudioRenditionAttributes(
            channel_count=max((one.channel_count for one in found if one.channel_count is not None), default=None),
            sample_rate=max((one.sample_rate for one in found if one.sample_rate is not None), default=None),
            is_binaural="BINAURAL" in usages,
            is_immersive="IMMERSIVE" in usages,
            is_downmix="DOWNMIX" in usages,
        )


@dataclass(frozen=True, slots=True, repr=False)
class AssetVariant:
    """One variant of an asset (AVAssetVariant)."""

    variant: Variant
    renditions: tuple[Rendition, ...] = ()
    """Its audio group."""

    @property
    def id(self) -> str:
        """What `--variant` takes: the STABLE-VARIANT-ID, else the index in the playlist."""
        return variant_id(self.variant)

    @property
    def index(self) -> int:
        """The place among the playlist's variants, from 0."""
        return self.variant.index

    @property
    def peak_bit_rate(self) -> int | None:
        """BANDWIDTH in bits per second; None when undeclared."""
        return self.variant.bandwidth or None

    @property
    def average_bit_rate(self) -> int | None:
        """AVERAGE-BANDWIDTH in bits per second; None when undeclared."""
        return self.variant.average_bandwidth

    @property
    def video_attributes(self) -> VideoAttributes | None:
        """What is declared of the picture; None when nothing is."""
        one = self.variant
        names = video_codec_names(codec_names(one))
        if not (names or one.resolution or one.frame_rate or one.video_layout or one.video_range != "SDR"):
            return None
        entries = [entry.split("/") for entry in (one.video_layout or "").split(",") if entry.strip()]
        return VideoAttributes(
            video_range=one.video_range,
            codec_types=names,
            presentation_size=one.resolution or (0, 0),
            nominal_frame_rate=one.frame_rate,
            video_layout_attributes=tuple(map(_layout, entries)),
        )

    @property
    def audio_attributes(self) -> AudioAttributes | None:
        """What is declared of the sound; None when nothing is."""
        names = audio_codec_names(codec_names(self.variant))
        return AudioAttributes(format_ids=names, renditions=self.renditions) if names or self.renditions else None

    def attribute(self, name: str, option: str | None = None) -> Value | Values | None:
        """The value that predicates compare; see `predicates.ATTRIBUTES` for the names."""
        if name in _OWN:
            return _OWN[name](self.variant)
        if name == "language":
            return tuple(dict.fromkeys(one.language for one in self.renditions if one.language))
        audio = self.audio_attributes
        sound = audio.rendition_specific_attributes(option) if audio is not None else None
        return _OF_SOUND[name](sound or SILENCE)

    def __repr__(self) -> str:
        return f"<AssetVariant {variant_label(self.variant)}>"


SILENCE = AudioRenditionAttributes(
    channel_count=None, sample_rate=None, is_binaural=False, is_immersive=False, is_downmix=False
)
"""What is known of sound that the playlist says nothing about."""

_OF_SOUND: Mapping[str, Callable[[AudioRenditionAttributes], Value | None]] = {
    "channels": lambda sound: sound.channel_count,
    "sample_rate": lambda sound: sound.sample_rate,
    "binaural": lambda sound: sound.is_binaural,
    "immersive": lambda sound: sound.is_immersive,
    "downmix": lambda sound: sound.is_downmix,
}

_OWN: Mapping[str, Callable[[Variant], Value | Values | None]] = {
    "peak_bit_rate": lambda one: one.bandwidth or None,
    "average_bit_rate": lambda one: one.average_bandwidth,
    "width": lambda one: one.resolution[0] if one.resolution else None,
    "height": lambda one: one.resolution[1] if one.resolution else None,
    "frame_rate": lambda one: one.frame_rate,
    "video_range": lambda one: None if is_audio_only(one) else one.video_range,
    "codecs": all_codecs,
    "score": lambda one: one.score,
    "stable_id": lambda one: one.stable_id,
    "pathway": lambda one: one.pathway or DEFAULT_PATHWAY,
    "video_layout": lambda one: () if is_audio_only(one) else _specifiers(one.video_layout or ""),
}
"""What EXT-X-STREAM-INF itself says, by the names of `predicates`."""


def asset_variants(master: MultivariantPlaylist) -> tuple[AssetVariant, ...]:
    """The variants of a playlist, in its order."""
    return tuple(AssetVariant(one, master.group("AUDIO", one.audio)) for one in master.variants)


def _usages(rendition: Rendition) -> tuple[str, ...]:
    """The words in the later parameters of CHANNELS: `BINAURAL` of `2/-/BINAURAL`, `JOC` of `16/JOC`."""
    later = (rendition.channels or "").split("/")[1:]
    return tuple(word.strip().upper() for parameter in later for word in parameter.split(","))


def _layout(specifiers: Sequence[str]) -> VideoLayoutAttributes:
    named = tuple(one.strip() for one in specifiers)
    return VideoLayoutAttributes(
        stereo_view_components=("left", "right") if "CH-STEREO" in named else (), specifiers=named
    )


def _specifiers(layout: str) -> tuple[str, ...]:
    """Every specifier of REQ-VIDEO-LAYOUT, with the default of what it leaves open."""
    named = tuple(part.strip() for entry in layout.split(",") for part in entry.split("/") if part.strip())
    implied = (usual for prefix, usual in DEFAULT_LAYOUT.items() if not any(one.startswith(prefix) for one in named))
    return (*named, *implied)
