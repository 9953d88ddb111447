"""Dropping: streams go out of a bundle, and the rest stays whole, legal and playable; no network is needed.

The manifest says first that they are gone, so whatever interrupts this, the next run finishes it. Then nothing names
them any more, and only then their files go (docs/bundle-format.md §6).
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from pathlib import Path

from hlsdl.bundle import layout
from hlsdl.bundle.manifest import StoredStream
from hlsdl.bundle.reading import Bundle
from hlsdl.bundle.writing import BundleWriter
from hlsdl.errors import IntegrityError, UsageError
from hlsdl.session.contents import Contents, here, lay_out, refresh, remove_dropped, seal, stored_contents
from hlsdl.session.gaps import gaps_of
from hlsdl.session.same_streams import ids_now
from hlsdl.session.wishes import Asked, asked_in

SHORTEST = 4
"""Characters of an id that may stand for the whole."""


def drop(path: Path, ids: Sequence[str]) -> None:
    """Remove stored streams, with what only they used. A bundle that was unfinished stays so.

    Args:
        path: the bundle.
        ids: of the streams, or how only one of them begins; they do not come back unless they are asked for again.

    Raises:
        UsageError: it is no bundle, has no such stream, or would keep neither picture nor sound.
        IntegrityError: what stays is damaged.
        LockedError: another process works on the bundle.
    """
    _asked_without(Bundle.open(path), ids)  # before anything is locked or mended
    with BundleWriter.open(path) as writer:
        bundle = Bundle.open(path)
        asked = _asked_without(bundle, ids)
        contents = stored_contents(bundle, asked)
        contents = replace(contents, asked=asked.without(ids_now(bundle, contents.root, asked)))
        _require_the_rest(bundle, contents)
        stored = here(writer)  # what has a flaw stays: nothing may bring it again
        missing = frozenset(one.path for one in contents.plan.resources if one.path not in stored)
        gaps = gaps_of(bundle.manifest, contents.plan, stored)
        keys_missing = any(key.path not in stored for key in contents.plan.keys)
        lay_out(writer, contents)
        if not (missing - gaps or keys_missing):
            seal(writer, contents, absent=gaps, keeps_flaws=True)
        else:
            refresh(writer, contents)
            remove_dropped(writer, contents)


def _asked_without(bundle: Bundle, ids: Sequence[str]) -> Asked:
    """What the bundle is asked for once these streams are gone.

    Raises:
        UsageError: they are not there, or what stays has neither picture nor sound.
    """
    asked = asked_in(bundle.manifest)
    there = [stream.id for stream in bundle.streams]
    # What an interrupted run dropped may be named again, to finish it.
    known = {*there, *(asked.dropped if bundle.state == "partial" else ())}
    if not ids:
        raise UsageError("no stream was named", hint=f"streams here: {', '.join(there)}")
    meant = {one: _meant(one, known) for one in ids}
    unknown = [one for one in ids if meant[one] is None]
    if unknown:
        names = ", ".join(f"`{one}`" for one in unknown)
        raise UsageError(f"the bundle has no stream {names}", hint=f"streams here: {', '.join(there)}")
    gone = {one for one in meant.values() if one is not None}
    if not any(_plays(stream, gone) for stream in bundle.streams):
        raise UsageError(
            "nothing to see or hear would be left of the bundle", hint="`hlsdl rm` deletes the bundle as a whole"
        )
    return asked.without(gone)


def _meant(text: str, known: Collection[str]) -> str | None:
    """The stream of this id, or whose id is the only one that begins so (`info` shows beginnings)."""
    beginning = [one for one in known if len(text) >= SHORTEST and one.startswith(text)]
    return text if text in known else beginning[0] if len(beginning) == 1 else None


def _plays(stream: StoredStream, dropped: Collection[str]) -> bool:
    return stream.kind in ("video", "audio") and stream.id not in dropped


def _require_the_rest(bundle: Bundle, contents: Contents) -> None:
    """What stays is what the bundle says it is, and whole where the bundle is.

    Raises:
        IntegrityError: it is not.
    """
    kept = {stream.id: stream for stream in bundle.streams if stream.id not in contents.asked.dropped}
    if kept.keys() != {stream.id for stream in contents.plan.streams}:
        raise IntegrityError(
            "the stored playlists no longer lead to the stored streams", hint="`hlsdl fetch --force` starts over"
        )
    if bundle.state != "complete":
        return
    gaps = gaps_of(bundle.manifest, contents.plan, bundle.entries)
    for stream in contents.plan.streams:
        if any(one.path not in bundle.entries and one.path not in gaps for one in stream.resources):
            raise IntegrityError(
                f"the {stream.source.kind} stream `{stream.id}` is damaged", hint="`hlsdl repair` mends it first"
            )
    if any(key.path not in bundle.entries for key in contents.plan.keys):
        raise IntegrityError(f"a key in `{layout.KEYS}` is missing", hint="`hlsdl repair` fetches it again")
