"""The whole selection: from a multivariant playlist and preferences to the media playlists to store.

`variants` and `renditions` decide; this module joins their decisions into streams, each stored once however many
lines of the playlist point to it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace

from hlsdl.errors import SelectionError
from hlsdl.planning import naming
from hlsdl.planning.codecs import is_audio_only
from hlsdl.planning.option_ids import Pairs
from hlsdl.planning.preferences import Preferences
from hlsdl.planning.reasons import Choice, Rejection, bitrate_text
from hlsdl.planning.renditions import choose_audio, choose_subtitles, choose_video_renditions
from hlsdl.planning.variants import choose_variants
from hlsdl.playlist.models import MediaPlaylist, MultivariantPlaylist, Rendition, TrickPlayVariant, Variant

TYPICAL_BANDWIDTH = {"video": 3_000_000, "audio": 128_000, "subtitles": 1_000, "iframes": 300_000, "images": 50_000}
"""Bits per second assumed for a size estimate where the playlist declares none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamSource:
    """One media playlist that is stored: where it comes from and what the multivariant playlist says of it."""

    id: str
    """`<n>-<hash>-<bandwidth>`: the stream's id and its folder in the bundle."""
    kind: str
    """`video`, `audio`, `subtitles`, `iframes` or `images`."""
    url: str = field(repr=False)
    alternates: tuple[str, ...] = field(default=(), repr=False)
    """URLs of redundant copies."""
    bandwidth: int = 0
    average_bandwidth: int | None = None
    resolution: tuple[int, int] | None = None
    frame_rate: float | None = None
    codecs: tuple[str, ...] = ()
    video_range: str | None = None
    language: str | None = None
    name: str | None = None
    group: str | None = None
    channels: str | None = None
    default: bool = False
    forced: bool = False
    characteristics: tuple[str, ...] = ()

    @property
    def typical_bandwidth(self) -> int:
        """A guess at the bits per second, for estimates."""
        return TYPICAL_BANDWIDTH[self.kind]


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """What was chosen, and why."""

    streams: tuple[StreamSource, ...]
    """In play order: video, audio, subtitles, trick play."""
    choices: tuple[Choice, ...]
    variants: tuple[Variant, ...] = ()
    audio: tuple[Rendition, ...] = ()
    subtitles: tuple[Rendition, ...] = ()

    def without(self, dropped: Collection[str]) -> Selection:
        """The same without the streams of these ids; the choices stay, since they were made."""
        gone = {one.url for one in self.streams if one.id in dropped}
        if not gone:
            return self
        return replace(
            self,
            streams=tuple(one for one in self.streams if one.url not in gone),
            variants=tuple(one for one in self.variants if one.uri not in gone),
            audio=tuple(one for one in self.audio if one.uri not in gone),
            subtitles=tuple(one for one in self.subtitles if one.uri not in gone),
        )


def select(
    master: MultivariantPlaylist,
    preferences: Preferences,
    *,
    videos: Collection[str] = (),
    only: Pairs | None = None,
) -> Selection:
    """Choose the streams to store.

    Args:
        master: what is offered.
        preferences: one wish.
        videos: URLs of variants that other wishes store, which this one may share.
        only: of the wish's media selections, this one alone; the variant is that of all of them.

    Raises:
        SelectionError: something was named, or capped, that the stream does not have.
    """
    chosen = choose_variants(master, preferences, videos)
    selections = (preferences.media_selections or ((),)) if only is None else (only,)
    parts = [_renditions(master, chosen.variants, preferences, one) for one in selections]
    streams = [_variant_source(master, one, chosen.copies.get(one.index, ())) for one in chosen.variants]
    for kind in ("video", "audio", "subtitles"):
        found = (one for part in parts for one in getattr(part, kind))
        streams += [_rendition_source(master, one) for one in found if one.uri is not None]
    choices = [chosen.choice, *_joined(part.audio_choice for part in parts)]
    choices += _joined(part.subtitles_choice for part in parts)
    if preferences.iframes:
        trick, trick_choice = _choose_trick_play(master, chosen.variants, preferences)
        streams += [_trick_source(one) for one in trick]
        choices.append(trick_choice)
    return Selection(
        streams=_each_once(streams),
        choices=tuple(choices),
        variants=chosen.variants,
        audio=tuple(dict.fromkeys(one for part in parts for one in part.audio)),
        subtitles=tuple(dict.fromkeys(one for part in parts for one in part.subtitles)),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Renditions:
    """What goes with the variants for one media selection."""

    video: tuple[Rendition, ...]
    audio: tuple[Rendition, ...]
    audio_choice: Choice
    subtitles: tuple[Rendition, ...]
    subtitles_choice: Choice


def _renditions(
    master: MultivariantPlaylist, variants: Sequence[Variant], preferences: Preferences, selected: Pairs
) -> _Renditions:
    audio, audio_choice = choose_audio(master, variants, preferences, selected)
    subtitles, subtitles_choice = choose_subtitles(master, variants, preferences, audio, selected)
    return _Renditions(
        video=choose_video_renditions(master, variants, preferences, selected),
        audio=audio,
        audio_choice=audio_choice,
        subtitles=subtitles,
        subtitles_choice=subtitles_choice,
    )


def _joined(choices: Iterable[Choice]) -> list[Choice]:
    """The choices of several media selections; what one of them takes, another does not reject."""
    distinct = list(dict.fromkeys(choices))
    if len(distinct) < 2:
        return distinct
    refused = [{one.id for one in choice.rejected} for choice in distinct]
    by_all = set.intersection(*refused)
    return [replace(choice, rejected=tuple(r for r in choice.rejected if r.id in by_all)) for choice in distinct]


def select_media(playlist: MediaPlaylist, url: str, wishes: Iterable[Preferences] = ()) -> Selection:
    """A media playlist as the source: it is the one stream, number 0, and there is nothing to choose.

    `url` is the one that was asked for: a redirect may lead elsewhere each time, and it stays the same stream.

    Raises:
        SelectionError: a wish names another variant.
    """
    for name in (one.variant for one in wishes):
        if name not in (None, "0"):
            raise SelectionError(
                f"the stream has no variant `{name}`",
                url=url,
                hint="the source is a media playlist, which has none to choose from",
            )
    kind = "iframes" if playlist.iframes_only else "images" if playlist.images_only else "video"
    source = StreamSource(id=naming.stream_id(naming.MAIN, url, 0), kind=kind, url=url)
    choice = Choice(what="variant", chosen=source.id, because="the source is a media playlist: it is the only stream")
    return Selection(streams=(source,), choices=(choice,))


def _each_once(streams: Iterable[StreamSource]) -> tuple[StreamSource, ...]:
    """One stream for each media playlist URL; what the first mention leaves open, a later one says."""
    by_url: dict[str, StreamSource] = {}
    for one in streams:
        first = by_url.setdefault(one.url, one)
        if first is not one and first.name is None:
            by_url[one.url] = replace(
                first,
                language=one.language,
                name=one.name,
                group=one.group,
                channels=one.channels,
                default=one.default,
                forced=one.forced,
                characteristics=one.characteristics,
            )
    return tuple(by_url.values())


def _variant_source(master: MultivariantPlaylist, variant: Variant, copies: Sequence[Variant]) -> StreamSource:
    # The id must not depend on which of several lines with this URI was chosen, or `add` would store it twice.
    first = next(one for one in master.variants if one.uri == variant.uri)
    return StreamSource(
        id=naming.stream_id(naming.MAIN, variant.uri, first.bandwidth),
        kind="audio" if is_audio_only(variant) else "video",
        url=variant.uri,
        alternates=tuple(one.uri for one in copies),
        bandwidth=variant.bandwidth,
        average_bandwidth=variant.average_bandwidth,
        resolution=variant.resolution,
        frame_rate=variant.frame_rate,
        codecs=variant.codecs,
        video_range=variant.video_range,
        name=variant.name,
        group=variant.audio,
    )


def _rendition_source(master: MultivariantPlaylist, rendition: Rendition) -> StreamSource:
    uri = rendition.uri or ""
    copies = (one.uri for one in master.renditions if one.uri is not None and _is_copy(rendition, one))
    return StreamSource(
        id=naming.stream_id(naming.SUPPLEMENTAL, uri, 0),
        kind={"AUDIO": "audio", "SUBTITLES": "subtitles"}.get(rendition.type, "video"),
        url=uri,
        alternates=tuple(dict.fromkeys(copies)),
        codecs=rendition.codecs,
        language=rendition.language,
        name=rendition.name,
        group=rendition.group,
        channels=rendition.channels,
        default=rendition.default,
        forced=rendition.forced,
        characteristics=rendition.characteristics,
    )


def _is_copy(one: Rendition, other: Rendition) -> bool:
    """Whether two renditions are one stream from two places: equal attributes, another pathway or host."""
    if one.uri == other.uri:
        return False
    elsewhere = one.pathway != other.pathway or naming.place_of(one.uri or "")[0] != naming.place_of(other.uri or "")[0]
    return elsewhere and _bare(one) == _bare(other)


def _bare(one: Rendition) -> Rendition:
    """The rendition without what depends on where it is."""
    return replace(one, group="", uri=None, pathway=None, stable_id=None, line=0)


def _trick_source(trick: TrickPlayVariant) -> StreamSource:
    return StreamSource(
        id=naming.stream_id(naming.SUPPLEMENTAL, trick.uri, trick.bandwidth),
        kind=trick.kind,
        url=trick.uri,
        bandwidth=trick.bandwidth,
        average_bandwidth=trick.average_bandwidth,
        resolution=trick.resolution,
        codecs=trick.codecs,
        video_range=trick.video_range,
        language=trick.language,
    )


def _choose_trick_play(
    master: MultivariantPlaylist, variants: Sequence[Variant], preferences: Preferences
) -> tuple[tuple[TrickPlayVariant, ...], Choice]:
    """All trick-play streams with all variants; else, of each kind, the one that suits the chosen variant best."""
    if preferences.variants == "all":
        label = ", ".join(_trick_label(one) for one in master.trick_play) or "none"
        return master.trick_play, Choice(what="iframes", chosen=label, because="all variants were asked for")
    target = variants[0]
    chosen: list[TrickPlayVariant] = []
    for kind in ("iframes", "images"):
        offered = [one for one in master.trick_play if one.kind == kind]
        chosen += sorted(offered, key=lambda one: _trick_rank(one, target))[:1]
    rejected = tuple(
        Rejection(id=f"line {one.line + 1}", label=_trick_label(one), because="another one suits the choice better")
        for one in master.trick_play
        if one not in chosen
    )
    label = ", ".join(_trick_label(one) for one in chosen) or "none"
    because = "same dynamic range, nearest size below the chosen variant"
    return tuple(chosen), Choice(what="iframes", chosen=label, because=because, rejected=rejected)


def _trick_rank(trick: TrickPlayVariant, target: Variant) -> tuple[bool, bool, int, int]:
    size = trick.resolution[0] * trick.resolution[1] if trick.resolution else 0
    limit = target.resolution[0] * target.resolution[1] if target.resolution else 0
    return (trick.video_range != target.video_range, size > limit, -size if size <= limit else size, -trick.bandwidth)


def _trick_label(trick: TrickPlayVariant) -> str:
    size = f"{trick.resolution[0]}x{trick.resolution[1]} " if trick.resolution else ""
    return f"{trick.kind} {size}{bitrate_text(trick.bandwidth)}"
