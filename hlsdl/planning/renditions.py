"""Which audio, subtitle and video renditions go with the chosen variants.

A film is never silent: without wishes the chosen variant's group gives its DEFAULT, else its first AUTOSELECT,
else its first audio. Forced subtitles follow the language of the audio. Sources: AVMediaSelection's automatic
selection, AVAssetDownloadTaskMediaSelectionPrefersMultichannelKey, RFC 8216 §4.3.4.1.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from hlsdl.errors import SelectionError
from hlsdl.planning import languages
from hlsdl.planning.option_ids import AUDIBLE, LEGIBLE, VISUAL, Pairs, is_alike, option_id
from hlsdl.planning.preferences import ALL, DEFAULT, NONE, Preferences
from hlsdl.planning.reasons import Choice, Rejection, labels, rendition_id, rendition_label
from hlsdl.planning.variants import channels_of
from hlsdl.playlist.models import MultivariantPlaylist, Rendition, Variant

AUTOMATIC = ""
"""Stands for what a media selection leaves out; no option has this id."""


def groups_paired_with(master: MultivariantPlaylist, variants: Iterable[Variant], kind: str) -> tuple[str, ...]:
    """Every group of `kind` that the source pairs with the video of `variants`, chosen variants' own groups first."""
    chosen = list(variants)
    uris = {one.uri for one in chosen}
    paired = [*chosen, *(one for one in master.variants if one.uri in uris)]
    named = (one.audio if kind == "AUDIO" else one.subtitles if kind == "SUBTITLES" else one.video for one in paired)
    return tuple(dict.fromkeys(group for group in named if group is not None))


def choose_audio(
    master: MultivariantPlaylist, variants: Sequence[Variant], preferences: Preferences, selected: Pairs = ()
) -> tuple[tuple[Rendition, ...], Choice]:
    """The audio renditions to store, and why.

    Args:
        master: what is offered.
        variants: those that were chosen.
        preferences: what is wanted.
        selected: one media selection; what it says of audible options counts instead of `preferences.audio`.

    Raises:
        SelectionError: a language or option was named that the chosen variants do not have.
    """
    own = tuple(dict.fromkeys(one.audio for one in variants if one.audio))
    paired = groups_paired_with(master, variants, "AUDIO")
    offered = _in_groups(master, "AUDIO", paired)
    wanted, option = preferences.audio, dict(selected).get(AUDIBLE, AUTOMATIC)
    if option is None or (wanted == (NONE,) and option == AUTOMATIC):
        return (), Choice(what="audio", chosen="none", because="no audio was asked for", rejected=_all(offered))
    if option != AUTOMATIC:
        # In addition to stereo, its own group counts more than the option's exact name ("English", "English 5.1").
        chosen = _option(master, own, paired, "AUDIO", option, alike_first=preferences.shares_video)
        because = "selected"
    elif wanted == (ALL,):
        return offered, Choice(what="audio", chosen=labels(offered), because="all audio was asked for")
    elif wanted == (DEFAULT,):
        chosen = [one for group in own for one in _automatic(master.group("AUDIO", group))]
        because = "DEFAULT=YES, else the first AUTOSELECT, else the first of its group"
    else:
        chosen = _named(master, own or paired, wanted)
        because = f"asked for by language: {', '.join(wanted)}"
    if preferences.multichannel and chosen:
        extra = _multichannel(master, chosen, paired)
        if extra:
            chosen += extra
            because += "; multichannel in addition to stereo"
    chosen = list(dict.fromkeys(chosen))
    rejected = tuple(_reject(one) for one in offered if one not in chosen)
    if not offered:
        because = "the audio is inside the variant" if not own else "its audio group is not declared"
    return tuple(chosen), Choice(what="audio", chosen=labels(chosen), because=because, rejected=rejected)


def choose_subtitles(
    master: MultivariantPlaylist,
    variants: Sequence[Variant],
    preferences: Preferences,
    audio: Sequence[Rendition],
    selected: Pairs = (),
) -> tuple[tuple[Rendition, ...], Choice]:
    """The subtitle renditions to store, and why.

    Args:
        master: what is offered.
        variants: those that were chosen.
        preferences: what is wanted.
        audio: the audio that was chosen, whose forced subtitles go with it.
        selected: one media selection; what it says of legible options counts instead of `preferences.subtitles`.

    Raises:
        SelectionError: a language or option was named that the chosen variants do not have.
    """
    paired = groups_paired_with(master, variants, "SUBTITLES")
    offered = _in_groups(master, "SUBTITLES", paired)
    wanted, option = preferences.subtitles, dict(selected).get(LEGIBLE, AUTOMATIC)
    if option is None or (wanted == (NONE,) and option == AUTOMATIC):
        return (), Choice(what="subtitles", chosen="none", because="none were asked for", rejected=_all(offered))
    if option != AUTOMATIC:
        is_caption = any(one.type == "CLOSED-CAPTIONS" and option_id(one) == option for one in master.renditions)
        chosen = () if is_caption else tuple(_option(master, paired, paired, "SUBTITLES", option))
        because = "selected; captions are inside the video" if is_caption else "selected"
    elif wanted == (ALL,):
        return offered, Choice(what="subtitles", chosen=labels(offered), because="all subtitles were asked for")
    elif wanted == (DEFAULT,):
        spoken = [one.language for one in audio if one.language]
        chosen = tuple(one for one in offered if one.default or (one.forced and _speaks(one, spoken)))
        because = "DEFAULT=YES, and FORCED ones of the audio's language"
    else:
        chosen = tuple(one for one in offered if any(languages.matches(tag, one.language) for tag in wanted))
        for tag in wanted:
            if not any(languages.matches(tag, one.language) for one in chosen):
                raise _missing("subtitles", tag, offered, master.url)
        because = f"asked for by language: {', '.join(wanted)}"
    rejected = tuple(_reject(one) for one in offered if one not in chosen)
    return chosen, Choice(what="subtitles", chosen=labels(chosen), because=because, rejected=rejected)


def choose_video_renditions(
    master: MultivariantPlaylist, variants: Sequence[Variant], preferences: Preferences, selected: Pairs = ()
) -> tuple[Rendition, ...]:
    """Alternative video (camera angles): the selected one, else the default one of each chosen group, or all with all
    variants."""
    option = dict(selected).get(VISUAL, AUTOMATIC)
    if option is not None and option != AUTOMATIC:
        own = groups_paired_with(master, variants, "VIDEO")
        return tuple(_option(master, own, own, "VIDEO", option))
    chosen: list[Rendition] = []
    for group in dict.fromkeys(one.video for one in variants if one.video):
        members = master.group("VIDEO", group)
        chosen += members if preferences.variants == "all" else _automatic(members)
    return tuple(chosen)


def _in_groups(master: MultivariantPlaylist, kind: str, groups: Iterable[str]) -> tuple[Rendition, ...]:
    return tuple(one for group in groups for one in master.group(kind, group))


def _automatic(group: Sequence[Rendition]) -> list[Rendition]:
    by_rank = sorted(group, key=lambda one: (not one.default, not one.autoselect, one.line))
    return by_rank[:1]


def _named(master: MultivariantPlaylist, groups: Sequence[str], wanted: Sequence[str]) -> list[Rendition]:
    """For each language asked for, one rendition of each group that has it."""
    chosen: list[Rendition] = []
    for tag in wanted:
        found: list[Rendition] = []
        for group in groups:
            members = master.group("AUDIO", group)
            nearest = languages.nearest(tag, (one.language for one in members))
            same = [one for one in members if nearest is not None and one.language == nearest]
            # Of several renditions in one language, the plain one comes before commentary and described video.
            same.sort(key=lambda one: (not one.default, not one.autoselect, len(one.characteristics), one.line))
            found += same[:1]
        if not found:
            raise _missing("audio", tag, _in_groups(master, "AUDIO", groups), master.url)
        chosen += found
    return chosen


def _option(
    master: MultivariantPlaylist,
    own: Iterable[str],
    paired: Iterable[str],
    kind: str,
    option: str,
    *,
    alike_first: bool = False,
) -> list[Rendition]:
    """The rendition of a media selection option, one of each own group that has it, else of a group paired with them.

    Where neither has it, a rendition of an own group in its language and with its characteristics stands for it.
    """
    members = [one for one in master.renditions if one.type == kind and option_id(one) == option]
    if not members:
        there = ", ".join(dict.fromkeys(f"`{option_id(one)}`" for one in master.renditions if one.type == kind))
        raise SelectionError(f"the stream has no option `{option}`", url=master.url, hint=f"options here: {there}")
    mine = [one for group in own for one in members if one.group == group]
    others = [one for group in paired for one in members if one.group == group][:1]
    alike = [one for group in own for one in master.group(kind, group) if is_alike(one, members[0])][:1]
    found = mine or (alike or others if alike_first else others or alike)
    if not found:
        raise SelectionError(f"the chosen variant has no option `{option}`", url=master.url)
    return found


def _multichannel(master: MultivariantPlaylist, chosen: Sequence[Rendition], paired: Iterable[str]) -> list[Rendition]:
    """The most capable multichannel renditions of the chosen languages, from groups the same video is paired with."""
    if channels_of(chosen) > 2:
        return []
    spoken = {one.language for one in chosen}
    best: dict[str | None, Rendition] = {}
    for one in _in_groups(master, "AUDIO", paired):
        count = one.channel_count or 0
        if one.language in spoken and count > max(2, _count(best.get(one.language))):
            best[one.language] = one
    return list(best.values())


def _count(rendition: Rendition | None) -> int:
    return (rendition.channel_count or 0) if rendition else 0


def _speaks(subtitle: Rendition, spoken: Sequence[str]) -> bool:
    """Whether forced subtitles belong to the audio; those without a language belong to any."""
    return subtitle.language is None or any(languages.matches(tag, subtitle.language) for tag in spoken)


def _missing(what: str, tag: str, offered: Iterable[Rendition], url: str) -> SelectionError:
    there = ", ".join(dict.fromkeys(one.language for one in offered if one.language)) or "none that is named"
    return SelectionError(f"the stream has no {what} in `{tag}`", url=url, hint=f"languages here: {there}")


def _reject(one: Rendition) -> Rejection:
    return Rejection(id=rendition_id(one), label=rendition_label(one), because="not asked for")


def _all(offered: Iterable[Rendition]) -> tuple[Rejection, ...]:
    return tuple(_reject(one) for one in offered)
