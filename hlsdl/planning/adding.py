"""Adding to what is stored: from the flags that were named to the wishes that bring just that.

A bundle that is asked for French goes on with the picture it has; one that is asked for a better picture gets it with
the sound and text that it was asked for so far. What was dropped comes back only when it is named.

Source: AVAssetDownloadTask whose asset is a stored AVURLAsset: "augments" what is there.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import fields, replace
from typing import Any

from hlsdl.planning.option_ids import AUDIBLE, LEGIBLE, Pairs
from hlsdl.planning.preferences import Preferences
from hlsdl.planning.qualifiers import VariantQualifier
from hlsdl.planning.selection import Selection, StreamSource, select
from hlsdl.planning.variants import choose_variants
from hlsdl.playlist.models import MultivariantPlaylist

LIMITS = frozenset({"min_bitrate", "max_bitrate", "min_size", "max_size", "where", "variant"})
"""What says where on the ladder: naming one of them replaces them all, or an old ceiling would void a new floor."""
PICTURE = LIMITS | {"bitrate_basis", "hdr", "codecs", "variants"}
"""Fields of a wish that choose the variant."""
SOUND = frozenset({"audio", "multichannel", "lossless", "media_selections"})
TEXT = frozenset({"subtitles", "media_selections"})
TRICK_PLAY = frozenset({"iframes"})

_KINDS = (
    (PICTURE, frozenset({"video"})),
    (SOUND, frozenset({"audio"})),
    (TEXT, frozenset({"subtitles"})),
    (TRICK_PLAY, frozenset({"iframes", "images"})),
)
_DEFAULTS = Preferences()


def named_in(wish: Preferences) -> frozenset[str]:
    """The fields in which a wish says something of its own."""
    return frozenset(one.name for one in fields(wish) if getattr(wish, one.name) != getattr(_DEFAULTS, one.name))


def added_wishes(
    master: MultivariantPlaylist,
    earlier: Sequence[Preferences],
    named: Mapping[str, Any],
    dropped: Collection[str] = (),
) -> tuple[Preferences, ...]:
    """The wishes that bring what was named to a bundle, and otherwise what it has.

    Without a field of `PICTURE` the picture stays that of the last wish: one wish, of which the sound or text is
    another. With one, the last wish's choice is changed by it, and everything that was asked for so far in sound and
    text comes with the new picture.

    Args:
        master: what is offered.
        earlier: the wishes so far, oldest first.
        named: fields of `Preferences` and the values that they are to have.
        dropped: ids of streams that were taken out.

    Raises:
        SelectionError: something was named that the stream does not have.
    """
    main = [wish for wish in earlier if not wish.shares_video] or [Preferences()]
    if not PICTURE & named.keys():
        return (_with_other_renditions(master, _last_kept(master, main, dropped), named),)
    last = _without_limits(main[-1]) if LIMITS & named.keys() else _unpinned(main[-1])
    picture = {name: getattr(last, name) for name in PICTURE}
    heard = [wish for wish in main if not _is_gone(master, wish, dropped)] or main[-1:]
    changes = {**picture, **named}
    return tuple(dict.fromkeys(replace(_without_selected(wish, named), **changes) for wish in heard))


def asked_again(
    master: MultivariantPlaylist, wishes: Iterable[Preferences], dropped: Collection[str], named: Collection[str] | None
) -> frozenset[str]:
    """The ids of dropped streams that new wishes bring back: those of the kinds that they name.

    Args:
        master: what is offered.
        wishes: the new ones.
        dropped: ids of streams that were taken out.
        named: the fields that were named; None: those in which each wish says something of its own.
    """
    found: set[str] = set()
    for wish in wishes if dropped else ():
        fields_named = named_in(wish) if named is None else frozenset(named)
        kinds = set[str]().union(*(kinds for names, kinds in _KINDS if names & fields_named))
        chosen = select(master, wish).streams
        found |= {one.id for one in chosen if one.kind in kinds or (one.kind == "audio" and _is_main(one, kinds))}
        if "video" in kinds and any(one.id in dropped for one in chosen if one.kind == "video"):
            # A film is never silent: the picture comes back with its sound.
            found |= {one.id for one in chosen if one.kind == "audio"}
    return frozenset(found & set(dropped))


def _is_main(stream: StreamSource, kinds: Collection[str]) -> bool:
    """Whether a stream is a variant without a picture, which is named as a variant is."""
    return "video" in kinds and stream.bandwidth > 0


def _last_kept(master: MultivariantPlaylist, wishes: Sequence[Preferences], dropped: Collection[str]) -> Preferences:
    """The last wish whose picture is still there; the last of all when none is."""
    for wish in reversed(wishes):
        if not {one.id for one in _variants_of(select(master, wish))} & set(dropped):
            return wish
    return wishes[-1]


def _variants_of(selection: Selection) -> tuple[StreamSource, ...]:
    uris = {one.uri for one in selection.variants}
    return tuple(one for one in selection.streams if one.url in uris)


def _is_gone(master: MultivariantPlaylist, wish: Preferences, dropped: Collection[str]) -> bool:
    """Whether all of the sound that a wish brought was taken out."""
    sound = {one.id for one in select(master, wish).streams if one.kind == "audio"}
    return bool(sound) and sound <= set(dropped)


def _with_other_renditions(master: MultivariantPlaylist, anchor: Preferences, named: Mapping[str, Any]) -> Preferences:
    """The wish with other sound or text, and the picture it had."""
    own = {one.uri for one in choose_variants(master, anchor).variants}
    wish = replace(_without_selected(anchor, named), **named)
    wish = _unpinned(wish) if "lossless" in named else wish
    if wish.variants == "all" or {one.uri for one in choose_variants(master, wish).variants} <= own:
        return wish
    # Media selections and lossless sound lead to other rows of the ladder: the best of those with the same picture.
    rows = replace(master, variants=tuple(one for one in master.variants if one.uri in own))
    best = choose_variants(rows, _without_limits(wish)).variants[0]
    return replace(_without_limits(wish), where=(VariantQualifier.of_variant(best).text,))


def _without_limits(wish: Preferences) -> Preferences:
    return replace(wish, **{name: getattr(_DEFAULTS, name) for name in LIMITS})


def _unpinned(wish: Preferences) -> Preferences:
    """The wish without a variant that was named exactly, which would be taken whatever else is wanted."""
    where = (text for text in wish.where if not VariantQualifier.from_text(text).is_explicit)
    return replace(wish, variant=None, where=tuple(where))


def _without_selected(wish: Preferences, named: Mapping[str, Any]) -> Preferences:
    """The wish, whose media selections no longer speak of what is named in another way now."""
    gone = {AUDIBLE} if "audio" in named else set[str]()
    gone |= {LEGIBLE} if "subtitles" in named else set()
    kept = (tuple(pair for pair in one if pair[0] not in gone) for one in wish.media_selections)
    selections: tuple[Pairs, ...] = tuple(dict.fromkeys(one for one in kept if one))
    return replace(wish, media_selections=selections)
