"""Which variant is stored: the numbered rules, in their order, each with its reasons.

1. what was named; qualifiers (`--where`), which never fail; then codec and ceiling filters, which may leave nothing
   (`SelectionError`); then what media selections need
2. redundant copies count as one variant with several sources
3. audio class: lossy stereo unless lossless is preferred; multichannel only when nothing else is there
4. dynamic range: HDR when preferred and present, else SDR
5. floors, which never fail
6. ties: SCORE, frame rate, playlist order

`renditions` chooses audio and subtitles afterwards; Apple's rules are those of AVAssetDownloadTask's option keys.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field

from hlsdl.errors import PlaylistError, SelectionError
from hlsdl.planning import languages
from hlsdl.planning.codecs import codec_names, is_audio_only, is_lossless
from hlsdl.planning.naming import place_of
from hlsdl.planning.option_ids import AUDIBLE, LEGIBLE, is_alike, option_id
from hlsdl.planning.preferences import ALL, DEFAULT, NONE, Preferences
from hlsdl.planning.reasons import Choice, Rejection, bitrate_text, variant_id, variant_label
from hlsdl.playlist.models import MultivariantPlaylist, Rendition, Variant


@dataclass(slots=True)
class Narrowing:
    """The candidates that remain, and why the others left."""

    candidates: list[Variant]
    rejected: list[Rejection] = field(default_factory=list)
    kept_because: list[str] = field(default_factory=list)

    def keep(self, wanted: Callable[[Variant], bool], because: str, *, kept: str = "") -> None:
        """Keep the candidates that are `wanted`; nothing changes when none is, or all are."""
        staying = [one for one in self.candidates if wanted(one)]
        if not staying or len(staying) == len(self.candidates):
            return
        self.rejected += [
            Rejection(id=variant_id(one), label=variant_label(one), because=because)
            for one in self.candidates
            if not wanted(one)
        ]
        self.candidates = staying
        if kept:
            self.kept_because.append(kept)


@dataclass(frozen=True, slots=True, kw_only=True)
class ChosenVariants:
    """The outcome: the variants to store, each one's redundant copies, and the reasons."""

    variants: tuple[Variant, ...]
    copies: dict[int, tuple[Variant, ...]]
    """Variant index -> the other variants that carry the same stream."""
    choice: Choice


def channels_of(renditions: Iterable[Rendition]) -> int:
    """The largest channel count among renditions; 2 when none declares any."""
    return max((one.channel_count or 2 for one in renditions), default=2)


def is_multichannel(master: MultivariantPlaylist, variant: Variant) -> bool:
    """Whether the variant's audio group has more than two channels."""
    return channels_of(master.group("AUDIO", variant.audio)) > 2 if variant.audio else False


def bitrate(variant: Variant, preferences: Preferences) -> int:
    """The bitrate that floors and ceilings are compared with, in bits per second."""
    if preferences.bitrate_basis == "average" and variant.average_bandwidth is not None:
        return variant.average_bandwidth
    return variant.bandwidth


def area(variant: Variant) -> int:
    """Presentation size in pixels; 0 when undeclared."""
    return variant.resolution[0] * variant.resolution[1] if variant.resolution else 0


def choose_variants(
    master: MultivariantPlaylist, preferences: Preferences, videos: Collection[str] = ()
) -> ChosenVariants:
    """Apply the rules to the variants of `master`.

    Args:
        master: what is offered.
        preferences: what is wanted.
        videos: URLs of variants that are stored for other wishes; those that share video take one of them.

    Raises:
        PlaylistError: there are no variants at all.
        SelectionError: the named variant is not there, or a codec or ceiling leaves nothing.
    """
    narrowing = Narrowing(list(master.variants))
    if not narrowing.candidates:
        raise PlaylistError("the multivariant playlist has no variants", url=master.url)
    if preferences.variant is not None:
        chosen = _named(master, preferences.variant)
        narrowing.keep(lambda one: one is chosen, "another variant was named")
        return _outcome(master, narrowing, [chosen], f"it was named: `{preferences.variant}`")
    if preferences.where and _qualify(narrowing, master, preferences.where):
        return _outcome(master, narrowing, narrowing.candidates, "; ".join(narrowing.kept_because))
    _filter(narrowing, preferences)
    _keep_selectable(narrowing, master, preferences)
    shared = frozenset(videos if preferences.shares_video else ())
    copies = _join_copies(narrowing, master, shared)
    if preferences.variants == "all":
        because = "; ".join([*narrowing.kept_because, "all variants were asked for"])
        return _outcome(master, narrowing, narrowing.candidates, because, copies)
    narrowing.keep(lambda one: not is_audio_only(one), "it has no video")
    _keep_shared(narrowing, master, shared)
    _narrow_audio(narrowing, master, preferences)
    _narrow_range(narrowing, preferences)
    _narrow_floor(narrowing, preferences)
    best = _break_ties(narrowing)
    return _outcome(master, narrowing, [best], "; ".join(narrowing.kept_because) or "it is the only one", copies)


def _outcome(
    master: MultivariantPlaylist,
    narrowing: Narrowing,
    chosen: list[Variant],
    because: str,
    copies: dict[int, tuple[Variant, ...]] | None = None,
) -> ChosenVariants:
    label = ", ".join(variant_label(one) for one in chosen)
    choice = Choice(what="variant", chosen=label, because=because, rejected=tuple(narrowing.rejected))
    if copies is None:
        copies = {one.index: tuple(c for c in master.variants if _is_copy(master, one, c)) for one in chosen}
    return ChosenVariants(variants=tuple(chosen), copies=copies, choice=choice)


def _named(master: MultivariantPlaylist, name: str) -> Variant:
    for one in master.variants:
        if name in (one.stable_id, one.name):
            return one
    if name.isdecimal() and len(name) < 10 and int(name) < len(master.variants):
        return master.variants[int(name)]
    raise SelectionError(
        f"the stream has no variant `{name}`",
        url=master.url,
        hint=f"name a STABLE-VARIANT-ID, a NAME or an index from 0 to {len(master.variants) - 1}; `inspect` lists them",
    )


def _qualify(narrowing: Narrowing, master: MultivariantPlaylist, where: Iterable[str]) -> bool:
    """Step 1: keep what the first satisfied qualifier keeps; True when it names its variant: no other rule counts."""
    # What reads expressions is loaded when there is one: most downloads have none.
    from hlsdl.planning.asset_variant import AssetVariant
    from hlsdl.planning.qualifiers import qualify

    views = [AssetVariant(one, master.group("AUDIO", one.audio)) for one in narrowing.candidates]
    outcome = qualify(views, where)
    kept = {one.index for one in outcome.variants}
    narrowing.keep(lambda one: one.index in kept, outcome.rejected_because)
    narrowing.kept_because.append(outcome.because)
    return outcome.by is not None and outcome.by.is_explicit


def _filter(narrowing: Narrowing, preferences: Preferences) -> None:
    """Step 1: codec and ceilings, the only filters that may fail."""
    codecs = preferences.codecs
    if codecs:
        wanted = ", ".join(codecs)
        _must_keep(narrowing, lambda one: bool(set(codecs) & set(codec_names(one))), f"its codec is not {wanted}")
    ceiling = preferences.max_bitrate
    if ceiling is not None:
        _must_keep(narrowing, lambda one: bitrate(one, preferences) <= ceiling, f"it is above {bitrate_text(ceiling)}")
    size = preferences.max_size
    if size is not None:
        _must_keep(narrowing, lambda one: _fits(one, size), f"it is larger than {size[0]}x{size[1]}")


def _must_keep(narrowing: Narrowing, wanted: Callable[[Variant], bool], because: str) -> None:
    if not any(wanted(one) for one in narrowing.candidates):
        raise SelectionError(
            f"no variant is left: of every one, {because}", hint="`inspect` shows what the stream offers"
        )
    narrowing.keep(wanted, because)


def _fits(variant: Variant, size: tuple[int, int]) -> bool:
    return variant.resolution is None or (variant.resolution[0] <= size[0] and variant.resolution[1] <= size[1])


def _keep_selectable(narrowing: Narrowing, master: MultivariantPlaylist, preferences: Preferences) -> None:
    """Step 1: variants whose own groups have every option that a media selection names, or one like it."""
    kinds = {AUDIBLE: "AUDIO", LEGIBLE: "SUBTITLES"}
    named = {(kinds[kind], id_) for one in preferences.media_selections for kind, id_ in one if id_ and kind in kinds}
    wanted = {pair: [one for one in master.renditions if (one.type, option_id(one)) == pair] for pair in named}
    because = "it does not have what the media selections name"

    def has_all(variant: Variant, same: Callable[[Rendition, Rendition], bool]) -> bool:
        groups = {"AUDIO": variant.audio, "SUBTITLES": variant.subtitles}
        return all(
            any(same(mine, one) for mine in master.group(kind, groups[kind]) for one in members)
            for (kind, _), members in wanted.items()
        )

    if any(has_all(one, _is_same_option) for one in narrowing.candidates):
        narrowing.keep(lambda one: has_all(one, _is_same_option), because)
    else:
        narrowing.keep(lambda one: has_all(one, is_alike), because)
    if preferences.shares_video and not {DEFAULT, ALL, NONE} & set(preferences.audio):
        narrowing.keep(
            lambda one: _speaks(master, one, preferences.audio), "its audio is not in the languages asked for"
        )


def _is_same_option(one: Rendition, other: Rendition) -> bool:
    return option_id(one) == option_id(other)


def _speaks(master: MultivariantPlaylist, variant: Variant, wanted: Iterable[str]) -> bool:
    offered = [one.language for one in master.group("AUDIO", variant.audio)]
    return all(any(languages.matches(tag, one) for one in offered) for tag in wanted)


def _join_copies(
    narrowing: Narrowing, master: MultivariantPlaylist, shared: Collection[str]
) -> dict[int, tuple[Variant, ...]]:
    """Step 2: of redundant copies the first stays (the stored, or the steered pathway's one), as one variant."""
    preferred = master.steering.pathway if master.steering else None
    ordered = sorted(narrowing.candidates, key=lambda one: (one.uri not in shared, one.pathway != preferred, one.index))
    copies: dict[int, list[Variant]] = {}
    firsts: list[Variant] = []
    for one in ordered:
        original = next((first for first in firsts if _is_copy(master, first, one)), None)
        if original is None:
            firsts.append(one)
        else:
            copies.setdefault(original.index, []).append(one)
    dropped = {one.index for group in copies.values() for one in group}
    narrowing.keep(lambda one: one.index not in dropped, "it is a redundant copy of a variant that stays")
    return {index: tuple(group) for index, group in copies.items()}


def _is_copy(master: MultivariantPlaylist, one: Variant, other: Variant) -> bool:
    """Whether two variants are one stream from two places: equal attributes, another pathway or host."""
    elsewhere = one.pathway != other.pathway or place_of(one.uri)[0] != place_of(other.uri)[0]
    return one is not other and elsewhere and _signature(master, one) == _signature(master, other)


def _signature(master: MultivariantPlaylist, one: Variant) -> tuple[object, ...]:
    groups = tuple(
        tuple((r.language, r.name, r.channels, r.forced) for r in master.group(type_, group))
        for type_, group in (("AUDIO", one.audio), ("SUBTITLES", one.subtitles), ("VIDEO", one.video))
    )
    return (
        one.bandwidth,
        one.average_bandwidth,
        one.score,
        one.codecs,
        one.supplemental_codecs,
        one.resolution,
        one.frame_rate,
        one.video_range,
        one.video_layout,
        one.name,
        groups,
    )


def _keep_shared(narrowing: Narrowing, master: MultivariantPlaylist, shared: Collection[str]) -> None:
    """For a wish beside others: the video that is stored already, with the most channels that it is paired with."""
    if not shared:
        return
    narrowing.keep(
        lambda one: one.uri in shared, "it would need another video", kept="its video is stored for another wish"
    )
    if all(is_multichannel(master, one) for one in narrowing.candidates):
        counts = {one.index: channels_of(master.group("AUDIO", one.audio)) for one in narrowing.candidates}
        most = max(counts.values())
        narrowing.keep(lambda one: counts[one.index] == most, "another one has more channels", kept="most channels")


def _narrow_audio(narrowing: Narrowing, master: MultivariantPlaylist, preferences: Preferences) -> None:
    """Step 3."""
    if len({one.audio for one in narrowing.candidates}) < 2:
        return
    if preferences.lossless:
        narrowing.keep(is_lossless, "its audio is lossy and lossless is preferred", kept="lossless audio is preferred")
    narrowing.keep(
        lambda one: not is_multichannel(master, one),
        "its audio is multichannel, which is stored in addition and not instead of stereo",
        kept="its audio group is stereo",
    )
    if not preferences.lossless:
        narrowing.keep(lambda one: not is_lossless(one), "its audio is lossless and lossy is preferred")


def _narrow_range(narrowing: Narrowing, preferences: Preferences) -> None:
    """Step 4."""
    if preferences.hdr:
        narrowing.keep(lambda one: one.video_range != "SDR", "it is SDR and HDR is preferred", kept="HDR is preferred")
    else:
        narrowing.keep(lambda one: one.video_range == "SDR", "it is HDR and SDR is preferred", kept="SDR was asked for")


def _narrow_floor(narrowing: Narrowing, preferences: Preferences) -> None:
    """Step 5: each rule ends with the candidates of one size or one bitrate."""
    size, rate = preferences.min_size, preferences.min_bitrate
    big = [one for one in narrowing.candidates if size and _reaches(one, size)]
    fast = [one for one in narrowing.candidates if rate is not None and bitrate(one, preferences) >= rate]
    both = [one for one in big if one in fast]
    if size and rate is not None and both:
        smallest = min((area(one), bitrate(one, preferences)) for one in both)
        narrowing.keep(
            lambda one: one in both and (area(one), bitrate(one, preferences)) == smallest,
            "another one meets both floors with less",
            kept="it is the smallest that meets both floors",
        )
    elif rate is not None:
        note = "; no variant meets both floors, so the size was relaxed" if size else ""
        _keep_bitrate(narrowing, preferences, fast, rate, note)
    elif size:
        _keep_size(narrowing, preferences, big, size)
    else:
        _keep_largest(narrowing, preferences, "it is the largest")


def _reaches(variant: Variant, size: tuple[int, int]) -> bool:
    return variant.resolution is not None and variant.resolution[0] >= size[0] and variant.resolution[1] >= size[1]


def _keep_bitrate(narrowing: Narrowing, preferences: Preferences, fast: list[Variant], rate: int, note: str) -> None:
    floor = bitrate_text(rate)
    if fast:
        target = min(bitrate(one, preferences) for one in fast)
        because, kept = "another one is nearer to the floor", f"it is the lowest bitrate at or above {floor}{note}"
    else:
        target = max(bitrate(one, preferences) for one in narrowing.candidates)
        because, kept = "its bitrate is lower", f"no variant reaches {floor}, so it is the highest{note}"
    narrowing.keep(lambda one: bitrate(one, preferences) == target, because)
    narrowing.kept_because.append(kept)
    widest = max(area(one) for one in narrowing.candidates)
    narrowing.keep(lambda one: area(one) == widest, "it is smaller at the same bitrate")


def _keep_size(narrowing: Narrowing, preferences: Preferences, big: list[Variant], size: tuple[int, int]) -> None:
    floor = f"{size[0]}x{size[1]}"
    if not big:
        _keep_largest(narrowing, preferences, f"no variant reaches {floor}, so it is the largest")
        return
    target = min(area(one) for one in big)
    narrowing.keep(lambda one: one in big and area(one) == target, "another one is nearer to the size floor")
    _keep_largest(narrowing, preferences, f"it is the smallest size at or above {floor}")


def _keep_largest(narrowing: Narrowing, preferences: Preferences, kept: str) -> None:
    widest = max(area(one) for one in narrowing.candidates)
    narrowing.keep(lambda one: area(one) == widest, "it is smaller")
    narrowing.kept_because.append(kept)
    fastest = max(bitrate(one, preferences) for one in narrowing.candidates)
    narrowing.keep(lambda one: bitrate(one, preferences) == fastest, "its bitrate is lower", kept="highest bitrate")


def _break_ties(narrowing: Narrowing) -> Variant:
    """Step 6."""
    best = min(narrowing.candidates, key=lambda one: (-(one.score or 0), -(one.frame_rate or 0), one.index))
    narrowing.keep(lambda one: one is best, "a tie, broken by SCORE, frame rate and playlist order")
    return best
