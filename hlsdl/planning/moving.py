"""Sources that move: the same streams under other URLs.

A signed URL expires, a CDN fails, a second run comes a week later: the playlists are read anew, and every object of the
plan is matched with the one at the same place of the new playlists. Identity is the place in the stream (discontinuity
sequence, media sequence, byte range, duration), never the URL. What does not match is another encode, and two encodes
are never mixed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from hlsdl.errors import IntegrityError
from hlsdl.planning.naming import place_of
from hlsdl.planning.plan import DownloadPlan, Resource, StreamPlan
from hlsdl.planning.selection import StreamSource
from hlsdl.playlist.models import Segment

CHANGED_HINT = "`--force` starts over with the stream as it is now; another -o path keeps what is here"


def moved(plan: DownloadPlan, now: DownloadPlan) -> DownloadPlan:
    """The plan with the URLs of `now`: same objects, same paths.

    Raises:
        IntegrityError: the streams are not what they were when the download began.
    """
    require_same_streams([one.source for one in plan.streams], [one.source for one in now.streams])
    streams = tuple(moved_stream(old, new) for old, new in zip(plan.streams, now.streams, strict=True))
    keys = _moved_keys(plan, now)
    data = {resource.path: resource for resource in now.data}
    return replace(plan, streams=streams, keys=keys, data=tuple(data.get(one.path, one) for one in plan.data))


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
    return replace(old, resources=resources)


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
    """Keys by their place: the nth distinct key of the plan is the nth distinct key of the playlists now."""
    if len(plan.keys) != len(now.keys):
        raise _changed(f"it has {len(now.keys)} keys instead of {len(plan.keys)}", "")
    return tuple(replace(old, url=new.url) for old, new in zip(plan.keys, now.keys, strict=True))


def other_bytes(path: str) -> IntegrityError:
    """The error for a place that has other bytes for an object that is stored already."""
    return IntegrityError(
        f"the stream has changed since its download began: `{path}` has other bytes now", hint=CHANGED_HINT
    )


def _changed(difference: str, url: str) -> IntegrityError:
    return IntegrityError(
        f"the stream has changed since its download began: {difference}", url=url or None, hint=CHANGED_HINT
    )


def samples(plan: DownloadPlan, now: DownloadPlan, stored: Mapping[str, int]) -> tuple[Resource, ...]:
    """The objects to compare before another place is believed to have the same streams: the smallest segment of each,
    and each key that is at another place.

    Playlists of equal shape prove nothing about the bytes. Where only the query differs it is the same place with
    another token; where the path or the host differs, one finished segment is asked for again and must be the same.
    Segments that were encrypted anew have other bytes under their very URLs, but keep their key where it was.

    Args:
        plan: the URLs of then.
        now: the URLs of now.
        stored: path -> size of what is finished.
    """
    chosen: list[Resource] = []
    for old, new in zip(plan.streams, now.streams, strict=True):
        pairs = [(one, other) for one, other in zip(old.resources, new.resources, strict=True) if one.kind == "segment"]
        if any(one.url != other.url and place_of(one.url) != place_of(other.url) for one, other in pairs):
            finished = [other for one, other in pairs if one.path in stored]
            chosen += sorted(finished, key=lambda one: stored[one.path])[:1]
    keys = zip(plan.keys, now.keys, strict=True)
    chosen += [new for old, new in keys if old.path in stored and place_of(old.url) != place_of(new.url)]
    return tuple(chosen)


def same_urls(plan: DownloadPlan, other: DownloadPlan, paths: Sequence[str]) -> bool:
    """Whether the objects at `paths` have the same URLs in both plans: asking again would change nothing."""
    wanted = set(paths)
    urls = {one.path: one.url for one in plan.resources if one.path in wanted}
    return urls == {one.path: one.url for one in other.resources if one.path in wanted}
