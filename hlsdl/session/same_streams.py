"""The same streams: which of those that a source offers now are the ones that a bundle has.

A run adds to what is stored, and takes nothing away: where the source leads elsewhere than it did, it is refused.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from hlsdl.bundle.manifest import StoredStream
from hlsdl.bundle.reading import Bundle
from hlsdl.errors import IntegrityError, SelectionError
from hlsdl.planning.naming import place_of
from hlsdl.planning.selection import Selection, StreamSource
from hlsdl.session.presentation import Root, choose
from hlsdl.session.wishes import Asked


def choose_again(before: Bundle | None, root: Root, asked: Asked) -> Selection:
    """What a bundle is asked for, its streams under the ids that they have in it."""
    selection = choose(root, asked.wishes, asked.dropped)
    return selection if before is None else with_ids_of(before, selection).without(asked.dropped)


@contextmanager
def told_of_stored(is_stored: bool) -> Iterator[None]:
    """Say of what cannot be chosen that it was looked for in the playlist that the bundle has, where that is so."""
    try:
        yield
    except SelectionError as error:
        if is_stored:
            told = "that is what the bundle's own playlist offers, as it was fetched; `hlsdl inspect` asks the source"
            error.hint = f"{error.hint}; {told}" if error.hint else told
        raise


def ids_now(before: Bundle, root: Root, asked: Asked) -> frozenset[str]:
    """The ids that dropped streams, which are still in the bundle, have by the addresses of now.

    Once they are gone from the bundle nothing else tells which streams of the source they were.
    """
    now = choose(root, asked.wishes)
    pairs = zip(now.streams, with_ids_of(before, now).streams, strict=True)
    return frozenset(one.id for one, known in pairs if known.id in asked.dropped)


def require_all_of(before: Bundle | None, selection: Selection, asked: Asked) -> None:
    """Nothing that is stored is left out of what is chosen now, but what was dropped.

    Raises:
        IntegrityError: something is; the playlist that led to it is lost, or was changed.
    """
    chosen = {one.id for one in selection.streams} | asked.dropped
    for one in before.streams if before is not None else ():
        if one.id not in chosen:
            raise IntegrityError(
                f"the source leads to other streams now: to the bundle's {one.kind} stream `{one.id}` it does not",
                hint="the bundle stays as it is; `hlsdl fetch --force` starts over",
            )


def with_ids_of(before: Bundle, selection: Selection) -> Selection:
    """The selection with the ids that its streams have in a bundle, which is told by what they are and where.

    An id is made of a stream's address. Where that has another token, and the multivariant playlist that had the one of
    then is lost, the stream is still the one whose segments are stored. Streams that differ in nothing else than the
    query of their address stay what they are: which one is which, nobody can say.
    """
    stored = Counter(_apart_from_its_query(one, one.source_url) for one in before.streams)
    chosen = Counter(_apart_from_its_query(one, one.url) for one in selection.streams)
    known = {_apart_from_its_query(one, one.source_url): one.id for one in before.streams}
    streams = []
    for stream in selection.streams:
        what = _apart_from_its_query(stream, stream.url)
        streams.append(replace(stream, id=known[what]) if stored[what] == chosen[what] == 1 else stream)
    return replace(selection, streams=tuple(streams))


def _apart_from_its_query(stream: StoredStream | StreamSource, url: str) -> tuple[object, ...]:
    return (*place_of(url), stream.kind, stream.bandwidth, stream.resolution, stream.language, stream.name)
