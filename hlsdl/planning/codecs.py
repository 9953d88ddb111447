"""What a variant's CODECS say: four-character names, and whether they are picture, sound or text (RFC 6381)."""

from __future__ import annotations

from collections.abc import Iterable

from hlsdl.playlist.models import Variant

LOSSLESS_CODECS = frozenset({"alac", "flac", "fLaC", "lpcm", "ipcm"})
AUDIO_CODECS = LOSSLESS_CODECS | frozenset(
    ["mp4a", "ac-3", "ec-3", "ac-4", "mp3", "opus", "Opus", "vorbis", "dtsc", "dtse", "iamf", "mha1", "mhm1"]
)
TEXT_CODECS = frozenset({"stpp", "wvtt"})


def four_characters(codec: str) -> str:
    """The name of a codec without its profile: `hvc1` of `hvc1.2.4.L123.B0`."""
    return codec.partition(".")[0]


def all_codecs(variant: Variant) -> tuple[str, ...]:
    """The entries of CODECS and SUPPLEMENTAL-CODECS, as written."""
    return (*variant.codecs, *variant.supplemental_codecs)


def codec_names(variant: Variant) -> tuple[str, ...]:
    """The four-character names in CODECS and SUPPLEMENTAL-CODECS."""
    return tuple(four_characters(codec) for codec in all_codecs(variant))


def video_codec_names(names: Iterable[str]) -> tuple[str, ...]:
    """Those that are neither sound nor text, each once."""
    return tuple(dict.fromkeys(name for name in names if name not in AUDIO_CODECS | TEXT_CODECS))


def audio_codec_names(names: Iterable[str]) -> tuple[str, ...]:
    """Those that are sound, each once."""
    return tuple(dict.fromkeys(name for name in names if name in AUDIO_CODECS))


def is_audio_only(variant: Variant) -> bool:
    """Whether the variant declares codecs and none of them is video."""
    names = set(codec_names(variant))
    return variant.resolution is None and bool(names) and names <= AUDIO_CODECS | TEXT_CODECS


def is_lossless(variant: Variant) -> bool:
    """Whether the variant's audio is lossless."""
    return bool(LOSSLESS_CODECS.intersection(codec_names(variant)))
