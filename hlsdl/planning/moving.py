"""Sources that move: the same streams under other URLs.

A signed URL expires, a CDN fails, a second run comes a week later: the playlists are read anew, and every object of the
plan is matched with the one at the same place of the new playlists. Identity is the place in the stream (discontinuity
sequence, media sequence, byte range, duration), never the URL. What does not match is another encode, and two encodes
are never mixed.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace

from hlsdl.errors import IntegrityError
from hlsdl.planning.naming import place_of
from hlsdl.planning.plan import DownloadPlan, Resource, StreamPlan, make_plan, stored_key_path
from hlsdl.planning.selection import StreamSource
from hlsdl.playlist.models import Key, Segment, SessionData

QUICK_SAMPLE = 4 << 20
"""Bytes (4 MiB) that are asked for again to be compared."""
CHANGED_HINT = "`hlsdl fetch --force` starts over with the stream as it is now; another -o path keeps what is here"


def moved(plan: DownloadPlan, now: DownloadPlan) -> DownloadPlan:
    """The plan with the URLs of `now`: same objects, same paths.

    Raises:
        IntegrityError: the streams are not what they were when the download began.
    """
    require_same_streams([one.source for one in plan.streams], [one.source for one in now.streams])
    streams = tuple(moved_stream(old, new) for old, new in zip(plan.streams, now.streams, strict=True))
    keys = _moved_keys(plan, now)
    if plan.inline_keys() != now.inline_keys():
        raise _changed("the keys in its playlists are other ones", "")
    return replace(plan, streams=streams, keys=keys, data=_moved_data(plan, now))


def moved_stream(old: StreamPlan, new: StreamPlan) -> StreamPlan:
    """The stream's plan with the URLs of `new`.

    Raises:
        IntegrityError: `new` is another stream, or another encode of it.
    """
    difference = what_differs(old, new)
    if difference is not None:
        raise _changed(difference, new.source.url)
    resources = tuple(
        replace(resource, url=other.url) for resource, other in zip(old.resources, new.resources, strict=True)
    )
    return replace(old, source=replace(new.source, id=old.id), resources=resources)


def with_copy(plan: DownloadPlan, stream: StreamPlan, copy: DownloadPlan) -> DownloadPlan:
    """The plan with one stream, and its keys, at a redundant copy, which was planned alone.

    Raises:
        IntegrityError: it is another stream, or another encode of it.
    """
    alone = make_plan([(stream.source, stream.playlist)])
    there = moved(alone, copy)
    urls = {key.path: key.url for key in there.keys}
    return replace(
        plan,
        streams=tuple(there.streams[0] if one.id == stream.id else one for one in plan.streams),
        keys=tuple(replace(key, url=urls.get(key.path, key.url)) for key in plan.keys),
    )


def what_differs(old: StreamPlan, new: StreamPlan) -> str | None:
    """Why `new` cannot stand for `old`, one clause; None when it can."""
    if _described(old.source) != _described(new.source):
        return f"a {old.source.kind} stream is described differently"
    if len(old.playlist.segments) != len(new.playlist.segments):
        return f"a {old.source.kind} stream has {len(new.playlist.segments)} segments instead of " + str(
            len(old.playlist.segments)
        )
    for mine, theirs in zip(old.playlist.segments, new.playlist.segments, strict=True):
        if _place(mine) != _place(theirs):
            return f"segment {mine.sequence} of a {old.source.kind} stream is another one now"
    if [_slot(one) for one in old.resources] != [_slot(one) for one in new.resources]:
        return f"the objects of a {old.source.kind} stream are other ones now"
    return None


def require_same_streams(then: Sequence[StreamSource], now: Sequence[StreamSource]) -> None:
    """The streams that are chosen now, one by one, are those that were chosen then.

    Raises:
        IntegrityError: they are not.
    """
    if len(then) != len(now):
        raise _changed(f"it has {len(now)} chosen streams instead of {len(then)}", "")
    for old, new in zip(then, now, strict=True):
        if _described(old) != _described(new):
            raise _changed(f"a {old.kind} stream is described differently", new.url)


def _described(source: StreamSource) -> tuple[object, ...]:
    return (source.kind, source.resolution, source.codecs, source.language, source.name)


def _place(segment: Segment) -> tuple[object, ...]:
    """What makes a segment this segment, whatever its URL."""
    return (
        segment.sequence,
        segment.discontinuity_sequence,
        segment.duration,
        segment.byte_range,
        segment.gap,
        tuple((key.method, key.iv, key.keyformat) for key in segment.keys),
    )


def _slot(resource: Resource) -> tuple[object, ...]:
    # Names end in the extension of a URL, which may differ between origins; the number before it may not.
    return (resource.kind, resource.sequence, resource.byte_range, resource.duration)


def _moved_keys(plan: DownloadPlan, now: DownloadPlan) -> tuple[Resource, ...]:
    """Keys by their place: what is encrypted with a key then is encrypted with the one at that place now.

    Tokens can make one key look like two, in either reading: then several URLs lead to it, and one of them will do.

    Raises:
        IntegrityError: what was encrypted with one key is now encrypted with two, which have other names.
    """
    urls: dict[str, str] = {}
    for old, new in zip(plan.streams, now.streams, strict=True):
        for mine, theirs in _keys_at_places(old, new):
            for key, other in zip(mine, theirs, strict=True):
                if not (path := stored_key_path(key)) or not other.uri:
                    continue
                if _name(urls.setdefault(path, other.uri)) != _name(other.uri):
                    raise _changed(f"the keys of a {old.source.kind} stream change at other places", "")
    return tuple(replace(key, url=urls.get(key.path, key.url)) for key in plan.keys)


def _name(url: str) -> str:
    """The last part of its path."""
    return place_of(url)[1].rpartition("/")[2]


def _moved_data(plan: DownloadPlan, now: DownloadPlan) -> tuple[Resource, ...]:
    """Session data by its DATA-ID and LANGUAGE (RFC 8216 §4.3.4.4); what is not offered any more keeps its URL."""
    urls = {(item.data_id, item.language): item.uri for item in _session_data(now) if item.uri}
    moved_urls = {
        item.uri: urls[item.data_id, item.language]
        for item in _session_data(plan)
        if item.uri and (item.data_id, item.language) in urls
    }
    return tuple(replace(one, url=moved_urls.get(one.url, one.url)) for one in plan.data)


def _session_data(plan: DownloadPlan) -> tuple[SessionData, ...]:
    return plan.master.session_data if plan.master is not None else ()


def _keys_at_places(old: StreamPlan, new: StreamPlan) -> Iterator[tuple[tuple[Key, ...], tuple[Key, ...]]]:
    """The keys of then and now at each place where others begin."""
    last: object = None
    for segment, other in zip(old.playlist.segments, new.playlist.segments, strict=True):
        pair = (segment.keys, other.keys)
        if pair != last:
            last = pair
            yield pair
    for init, other_init in zip(old.playlist.inits, new.playlist.inits, strict=False):
        if len(init.keys) == len(other_init.keys):
            yield init.keys, other_init.keys


def other_bytes(path: str) -> IntegrityError:
    """The error for a place that has other bytes for an object that is stored already."""
    return IntegrityError(
        f"the stream has changed since its download began: `{path}` has other bytes now", hint=CHANGED_HINT
    )


def other_length(kind: str) -> IntegrityError:
    """The error for a stream that has other segments now than were planned, when its playlist of then is lost."""
    return _changed(f"a {kind} stream has other segments", "")


def _changed(difference: str, url: str) -> IntegrityError:
    return IntegrityError(
        f"the stream has changed since its download began: {difference}", url=url or None, hint=CHANGED_HINT
    )


def samples(
    plan: DownloadPlan, now: DownloadPlan, stored: Mapping[str, int], *, is_a_copy: bool = False
) -> tuple[Resource, ...]:
    """The objects to compare before another place is believed to have the same streams: of each stream a segment, or
    the init sections where no segment has come yet, and a key that no finished segment speaks for.

    Playlists of equal shape prove nothing about the bytes. Where only the query differs it is the same place with
    another token, unless the stream is described with another bitrate, or its playlist is at another place, or it is a
    redundant copy. Segments that were encrypted anew may have other bytes under their very URLs: where a key is at
    another place, it is a segment under that key; where only its query is another one, it is the key itself.

    Args:
        plan: the URLs of then.
        now: the URLs of now.
        stored: path -> size of what is finished.
        is_a_copy: whether what has other URLs now has them at a redundant copy.
    """
    moved_keys = {old.path for old, new in zip(plan.keys, now.keys, strict=True) if _is_elsewhere(old, new)}
    chosen: list[Resource] = []
    spoken_for: set[str] = set()
    for old, new in zip(plan.streams, now.streams, strict=True):
        finished = [one for one in new.resources if one.path in stored]
        segments = [one for one in finished if one.kind == "segment"]
        under = _under_keys(old, moved_keys) if moved_keys else {}
        under_moved = [one for one in segments if one.path in under]
        spoken_for.update(*(under[one.path] for one in under_moved))
        if under_moved or _may_be_another(old, new, is_a_copy=is_a_copy):
            chosen += [telling(under_moved or segments, stored)] if segments else finished
    unproven = [one for one in now.keys if one.path in moved_keys - spoken_for and one.path in stored]
    # The query of a key is often what says which key it is.
    asked_otherwise = [
        new
        for old, new in zip(plan.keys, now.keys, strict=True)
        if old.url != new.url and new.path in stored and new.path not in moved_keys
    ]
    return (*chosen, *unproven[:1], *asked_otherwise[:1])


def telling(finished: Sequence[Resource], stored: Mapping[str, int]) -> Resource:
    """The one of these that says most about which encode it is of: the largest that is quickly asked for again.

    Silence, black and empty subtitles are the same in each encode, and small.
    """
    quick = [one for one in finished if stored[one.path] <= QUICK_SAMPLE]
    return max(quick, key=lambda one: stored[one.path]) if quick else min(finished, key=lambda one: stored[one.path])


def _may_be_another(old: StreamPlan, new: StreamPlan, *, is_a_copy: bool) -> bool:
    """Whether what is at the URLs of now may be another encode."""
    if all(one.url == other.url for one, other in zip(old.resources, new.resources, strict=True)):
        return False
    if is_a_copy or old.source.bandwidth != new.source.bandwidth:
        return True
    if place_of(old.source.url) != place_of(new.source.url):
        return True
    return any(_is_elsewhere(one, other) for one, other in zip(old.resources, new.resources, strict=True))


def _is_elsewhere(one: Resource, other: Resource) -> bool:
    return one.url != other.url and place_of(one.url) != place_of(other.url)


def _under_keys(stream: StreamPlan, paths: Collection[str]) -> dict[str, frozenset[str]]:
    """Path of each segment that is encrypted with one of the keys at `paths` -> the paths of those keys."""
    of_sets: dict[tuple[Key, ...], frozenset[str]] = {}
    under: dict[str, frozenset[str]] = {}
    for segment in stream.playlist.segments:
        used = of_sets.get(segment.keys)
        if used is None:
            used = of_sets[segment.keys] = frozenset(filter(None, map(stored_key_path, segment.keys))) & set(paths)
        if used and not segment.gap:
            under[f"{stream.id}/{stream.files[segment.line]}"] = used
    return under


def same_urls(plan: DownloadPlan, other: DownloadPlan, paths: Sequence[str]) -> bool:
    """Whether the objects at `paths` have the same URLs in both plans: asking again would change nothing."""
    wanted = set(paths)

    def urls(of: DownloadPlan) -> dict[str, str]:
        return {one.path: one.url for one in (*of.keys, *of.data, *of.resources) if one.path in wanted}

    return urls(plan) == urls(other)
