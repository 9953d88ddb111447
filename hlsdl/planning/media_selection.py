"""Media selection: the sound, text and angle that go with a film, as groups of options of which one each is chosen.

Options are what a person picks: "English", "Deutsch (forced)". Each stands for the renditions of every GROUP-ID that
carry it, since each group of one TYPE has the same members (RFC 8216 §4.3.4.1.1); which of them is stored depends on
the variant, and is `renditions`' business.

Sources: AVMediaSelectionGroup, AVMediaSelectionOption, AVMediaSelection, AVPlayerMediaSelectionCriteria.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from hlsdl.errors import UsageError
from hlsdl.planning import languages
from hlsdl.planning.option_ids import AUDIBLE, FORCED_ONLY, KINDS, LEGIBLE, VISUAL, Pairs, option_id
from hlsdl.playlist.models import MultivariantPlaylist, Rendition


@dataclass(frozen=True, slots=True, kw_only=True)
class MediaSelectionOption:
    """One choice in a group (AVMediaSelectionOption)."""

    id: str
    """Made of what identifies it: language, name, FORCED, CHARACTERISTICS; the same in every process."""
    kind: str
    """`audible`, `legible` or `visual`."""
    media_type: str
    """TYPE as written: `AUDIO`, `SUBTITLES`, `CLOSED-CAPTIONS` or `VIDEO`."""
    name: str
    """NAME, for people (displayName)."""
    language: str | None = None
    """BCP 47 tag (extendedLanguageTag), None when undeclared."""
    assoc_language: str | None = None
    characteristics: tuple[str, ...] = ()
    """CHARACTERISTICS, and `public.subtitles.forced-only` when FORCED."""
    default: bool = False
    """DEFAULT=YES in at least one group."""
    autoselect: bool = False
    forced: bool = False
    channels: int | None = None
    """The most channels that a group offers of it, None when undeclared or no sound."""
    groups: tuple[str, ...] = ()
    """The GROUP-IDs that have it, in playlist order."""

    def has_characteristics(self, wanted: Iterable[str]) -> bool:
        """Whether it has all of these, or this one (hasMediaCharacteristic)."""
        return set(_listed(wanted)) <= set(self.characteristics)


@dataclass(frozen=True, slots=True, kw_only=True)
class MediaSelectionGroup:
    """Options of which at most one is presented at a time (AVMediaSelectionGroup)."""

    kind: str
    """`audible`, `legible` or `visual`."""
    options: tuple[MediaSelectionOption, ...]
    """In playlist order, never empty."""

    @property
    def default_option(self) -> MediaSelectionOption | None:
        """The first option with DEFAULT=YES, or None."""
        return next((one for one in self.options if one.default), None)

    @property
    def allows_empty_selection(self) -> bool:
        """Whether none of the options may be chosen: of subtitles; a film is never silent or without its picture."""
        return self.kind == LEGIBLE

    @property
    def playable_options(self) -> tuple[MediaSelectionOption, ...]:
        """Every option: decoding is the player's business (playableMediaSelectionOptions)."""
        return self.options

    def option(self, id: str) -> MediaSelectionOption:  # noqa: A002 - the field's name
        """The option with this id.

        Raises:
            UsageError: there is none.
        """
        for one in self.options:
            if one.id == id:
                return one
        there = ", ".join(f"`{one.id}`" for one in self.options)
        raise UsageError(f"the {self.kind} group has no option `{id}`", hint=f"options here: {there}")

    def options_for_languages(self, preferred: Iterable[str]) -> tuple[MediaSelectionOption, ...]:
        """Those in a preferred language, the most preferred language first, then the nearest of it (BCP 47).

        Args:
            preferred: language tags, or one alone.

        Source: mediaSelectionOptions(from:filteredAndSortedAccordingToPreferredLanguages:).
        """
        preferred = _listed(preferred)
        ranked = [(_language_rank(one, preferred), one) for one in self.options]
        fitting = [(rank, one) for rank, one in ranked if rank[0] < len(preferred)]
        return tuple(one for _, one in sorted(fitting, key=lambda pair: pair[0]))

    def options_with_characteristics(self, wanted: Iterable[str]) -> tuple[MediaSelectionOption, ...]:
        """Those that have all of these characteristics."""
        names = _listed(wanted)
        return tuple(one for one in self.options if one.has_characteristics(names))

    def options_without_characteristics(self, unwanted: Iterable[str]) -> tuple[MediaSelectionOption, ...]:
        """Those that have none of these characteristics."""
        names = set(_listed(unwanted))
        return tuple(one for one in self.options if not names & set(one.characteristics))


@dataclass(frozen=True, slots=True)
class MediaSelection:
    """One option, or none, for each group of an asset; immutable (AVMediaSelection).

    A group that `chosen` does not mention is left to automatic selection. Two selections are equal when they choose the
    same; one that was decoded without the asset's groups knows the ids of its options, not their names.
    """

    chosen: Pairs = ()
    groups: tuple[MediaSelectionGroup, ...] = field(default=(), compare=False, repr=False)
    """The asset's; empty when they are not known (yet)."""

    def __post_init__(self) -> None:
        kinds = [kind for kind, _ in self.chosen]
        if len(set(kinds)) != len(kinds):
            raise UsageError("a media selection names a group twice")
        for kind, id_ in self.chosen if self.groups else ():
            group = self.group(kind)
            if id_ is not None:
                group.option(id_)
            elif not group.allows_empty_selection:
                raise UsageError(f"one of the {kind} options must be chosen")

    @property
    def options(self) -> tuple[MediaSelectionOption, ...]:
        """The chosen options, in the order of the groups."""
        found = (self.option(group) for group in self.groups)
        return tuple(one for one in found if one is not None)

    def group(self, kind: str) -> MediaSelectionGroup:
        """The asset's group of this kind.

        Raises:
            UsageError: it has none.
        """
        for one in self.groups:
            if one.kind == kind:
                return one
        there = ", ".join(one.kind for one in self.groups) or "none"
        raise UsageError(f"the asset has no {kind} options", hint=f"groups here: {there}")

    def option(self, group: MediaSelectionGroup | str) -> MediaSelectionOption | None:
        """What is chosen in a group (or the group of this kind): None for nothing, or for automatic selection."""
        kind = group if isinstance(group, str) else group.kind
        id_ = dict(self.chosen).get(kind)
        return None if id_ is None else self.group(kind).option(id_)

    def is_automatic(self, group: MediaSelectionGroup | str) -> bool:
        """Whether nothing was chosen in this group, not even "none", so that it is left to automatic selection.

        Source: AVMediaSelection.mediaSelectionCriteriaCanBeAppliedAutomatically(to:).
        """
        return (group if isinstance(group, str) else group.kind) not in dict(self.chosen)

    def with_option(
        self, group: MediaSelectionGroup | str, option: MediaSelectionOption | str | None
    ) -> MediaSelection:
        """A copy in which `option` (or the option with this id) is chosen in `group`, or nothing is.

        Raises:
            UsageError: the option is not in the group, or the group allows no empty selection.

        Source: AVMutableMediaSelection.select(_:in:).
        """
        kind = group if isinstance(group, str) else group.kind
        self.group(kind)
        id_ = option.id if isinstance(option, MediaSelectionOption) else option
        chosen = {**dict(self.chosen), kind: id_}
        order = (one.kind for one in self.groups)
        return MediaSelection(tuple((one, chosen[one]) for one in order if one in chosen), self.groups)

    def encode(self) -> Pairs:
        """As plain values, which `Preferences.media_selections` takes and tasks store."""
        return self.chosen

    @classmethod
    def decode(
        cls, pairs: Iterable[tuple[str, str | None]], groups: tuple[MediaSelectionGroup, ...] = ()
    ) -> MediaSelection:
        """The selection that `encode` wrote.

        Args:
            pairs: what it wrote.
            groups: the asset's, where they are known; the options are then looked up in them.

        Raises:
            UsageError: the asset does not have what was chosen.
        """
        return cls(tuple((kind, id_) for kind, id_ in pairs), groups)


@dataclass(frozen=True, slots=True, kw_only=True)
class MediaSelectionCriteria:
    """What to look for in one group (AVPlayerMediaSelectionCriteria). Lists may be given for tuples."""

    preferred_languages: Sequence[str] = ()
    """BCP 47 tags, the most wanted first."""
    preferred_characteristics: Sequence[str] = ()
    """Wanted, the most wanted first; an option may lack them."""
    principal_characteristics: Sequence[str] = ()
    """Needed: an option without them does not count."""

    def __post_init__(self) -> None:
        for name in ("preferred_languages", "preferred_characteristics", "principal_characteristics"):
            object.__setattr__(self, name, _listed(getattr(self, name)))


def media_selection_groups(master: MultivariantPlaylist) -> tuple[MediaSelectionGroup, ...]:
    """The groups of what a multivariant playlist offers: audible, legible, visual, those that have options."""
    members: dict[tuple[str, str], list[Rendition]] = {}
    for one in master.renditions:
        if one.type in KINDS:
            members.setdefault((KINDS[one.type], option_id(one)), []).append(one)
    options = [_option(kind, id_, same) for (kind, id_), same in members.items()]
    groups = (
        MediaSelectionGroup(kind=kind, options=tuple(one for one in options if one.kind == kind))
        for kind in (AUDIBLE, LEGIBLE, VISUAL)
    )
    return tuple(group for group in groups if group.options)


def select_automatically(
    groups: tuple[MediaSelectionGroup, ...],
    criteria: Mapping[str, MediaSelectionCriteria] | Sequence[MediaSelectionCriteria] = (),
) -> MediaSelection:
    """What is chosen when nobody chooses, and criteria say what is liked.

    Without criteria, or when none fits: the DEFAULT option, else the first AUTOSELECT, else the first; of subtitles the
    DEFAULT one, else the forced ones of the audio's language, else none. With criteria: of the options that have the
    principal characteristics, by language, preferred characteristics, DEFAULT, AUTOSELECT and playlist order; subtitles
    only in a language, or with a characteristic, that was named.

    Args:
        groups: the asset's.
        criteria: by kind of group (`{"audible": …}`), or a list for every group, of which the first that fits counts.

    Source: AVPlayer.setMediaSelectionCriteria(_:forMediaCharacteristic:).
    """
    chosen: dict[str, str | None] = {}
    spoken: str | None = None
    for group in groups:
        if isinstance(criteria, Mapping):
            wanted = [criteria[group.kind]] if group.kind in criteria else []
        else:
            wanted = list(criteria)
        liked = next((best for one in wanted if (best := _best(group, one)) is not None), None)
        option = liked or (_usual_text(group, spoken) if group.kind == LEGIBLE else _plainest(group.options))
        if group.kind == AUDIBLE and option is not None:
            spoken = option.language
        chosen[group.kind] = option.id if option is not None else None
    return MediaSelection(tuple(chosen.items()), groups)


class Chosen(Protocol):
    """What a selection of streams says of renditions (`selection.Selection`)."""

    @property
    def audio(self) -> Sequence[Rendition]: ...
    @property
    def subtitles(self) -> Sequence[Rendition]: ...


def resolved_selection(groups: tuple[MediaSelectionGroup, ...], chosen: Chosen) -> MediaSelection:
    """The media selection that a download amounts to: the first rendition of each kind that was chosen.

    Source: assetDownloadTask(_:didResolve:).
    """
    firsts = {AUDIBLE: next(iter(chosen.audio), None), LEGIBLE: next(iter(chosen.subtitles), None)}
    pairs: list[tuple[str, str | None]] = []
    for group in groups:
        first = firsts.get(group.kind)
        if first is not None:
            pairs.append((group.kind, option_id(first)))
        elif group.allows_empty_selection:
            pairs.append((group.kind, None))
    return MediaSelection(tuple(pairs), groups)


def _option(kind: str, id_: str, same: Sequence[Rendition]) -> MediaSelectionOption:
    first = same[0]
    forced = (FORCED_ONLY,) if first.forced and FORCED_ONLY not in first.characteristics else ()
    return MediaSelectionOption(
        id=id_,
        kind=kind,
        media_type=first.type,
        name=first.name,
        language=first.language,
        assoc_language=first.assoc_language,
        characteristics=(*first.characteristics, *forced),
        default=any(one.default for one in same),
        autoselect=any(one.autoselect for one in same),
        forced=first.forced,
        channels=max((one.channel_count for one in same if one.channel_count is not None), default=None),
        groups=tuple(dict.fromkeys(one.group for one in same)),
    )


def _listed(words: Iterable[str]) -> tuple[str, ...]:
    """Words, or one of them alone, which is a sequence of letters to Python."""
    return (words,) if isinstance(words, str) else tuple(words)


def _language_rank(option: MediaSelectionOption, preferred: Sequence[str]) -> tuple[int, int]:
    """(place of the most preferred language that matches, how far it is); the number of languages when none does."""
    for place, tag in enumerate(preferred):
        apart = languages.distance(tag, option.language)
        if apart is not None:
            return place, apart
    return len(preferred), 0


def _best(group: MediaSelectionGroup, criteria: MediaSelectionCriteria) -> MediaSelectionOption | None:
    """The option that criteria like best; None when no option has what they need, or a language that they name."""
    asked = {*criteria.principal_characteristics, *criteria.preferred_characteristics}
    candidates = [
        one
        for one in group.options_with_characteristics(criteria.principal_characteristics)
        if not one.forced or FORCED_ONLY in asked
    ]
    spoken = criteria.preferred_languages
    if spoken:
        fitting = [one for one in candidates if any(languages.matches(tag, one.language) for tag in spoken)]
    else:
        fitting = [one for one in candidates if asked & set(one.characteristics)]
    # Subtitles that nobody asked for are no help; sound of any kind is better than silence.
    candidates = fitting or ([] if group.kind == LEGIBLE else candidates)

    def rank(option: MediaSelectionOption) -> tuple[object, ...]:
        lacks = tuple(name not in option.characteristics for name in criteria.preferred_characteristics)
        place = _language_rank(option, spoken)
        extra = len(set(option.characteristics) - asked)
        return (place, lacks, not option.default, not option.autoselect, extra)

    return min(candidates, key=rank, default=None)


def _plainest(options: Sequence[MediaSelectionOption]) -> MediaSelectionOption | None:
    return min(options, key=lambda one: (not one.default, not one.autoselect), default=None)


def _usual_text(group: MediaSelectionGroup, spoken: str | None) -> MediaSelectionOption | None:
    forced = (
        one
        for one in group.options
        if one.forced and (one.language is None or (spoken is not None and languages.matches(spoken, one.language)))
    )
    return group.default_option or next(forced, None)
