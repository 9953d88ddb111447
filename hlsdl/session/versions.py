"""Versions: whether the parts of one file, which come by byte ranges, are parts of one and the same file.

The ETag is the version's name, weak or not, else its date (RFC 9110 §8.8) and its length, as far as they are told.
Another name is a doubt, not a proof: servers behind one address may name the same file differently. `segments` asks
again for what `parts_to_compare` says, and decides by the bytes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from hlsdl.bundle.journal import Entry
from hlsdl.planning.moving import telling
from hlsdl.planning.naming import place_of
from hlsdl.planning.plan import Resource

MOST_NAMES = 4
"""Of one file; where so many were proven to mean the same, another one says nothing any more."""

Entries = Mapping[str, Entry]
File = tuple[str | None, tuple[str, str]]
"""The stream, and the place: host and path without the query, where tokens are. Each stream may have a file there."""


class Versions:
    """The names of each file that are known to mean the same bytes."""

    def __init__(self) -> None:
        self._names: dict[File, set[str]] = {}

    def fits(self, part: Resource, entry: Entry) -> bool:
        """Whether a finished part is of a version that the others are of, as far as the origin says."""
        name = _name(entry)
        if name is None:
            return True
        names = self._names.setdefault(_file(part), {name})
        return name in names or len(names) >= MOST_NAMES

    def doubted_of(self, resources: Iterable[Resource], entries: Entries) -> tuple[Resource, Entry] | None:
        """The first finished part that does not fit the ones before it."""
        finished = _finished(resources, entries)
        return next(((part, entry) for part, entry in finished if not self.fits(part, entry)), None)

    def accept(self, part: Resource, entry: Entry) -> None:
        """The version of this part was proven to have the same bytes as the others."""
        self._names[_file(part)].add(_name(entry) or "")

    def parts_to_compare(self, doubted: Resource, resources: Iterable[Resource], entries: Entries) -> list[Resource]:
        """A finished part of a version that is known, and the doubted one itself."""
        file = _file(doubted)
        known = [
            part
            for part, entry in _finished(resources, entries)
            if _file(part) == file and _name(entry) in self._names[file]
        ]
        sizes = {part.path: entries[part.path].size for part in known}
        return [telling(known, sizes), doubted] if known else [doubted]

    def paths_like(self, doubted: Resource, resources: Iterable[Resource], entries: Entries) -> list[str]:
        """The finished parts of that file which are of the doubted version."""
        file, name = _file(doubted), _name(entries[doubted.path])
        return [
            part.path for part, entry in _finished(resources, entries) if _file(part) == file and _name(entry) == name
        ]


def _name(entry: Entry) -> str | None:
    told = (entry.last_modified, entry.complete_length and f"{entry.complete_length} bytes")
    return entry.etag or " ".join(word for word in told if word) or None


def _file(part: Resource) -> File:
    return part.stream, place_of(part.url)


def _finished(resources: Iterable[Resource], entries: Entries) -> Iterator[tuple[Resource, Entry]]:
    for part in resources:
        if part.byte_range is not None and (entry := entries.get(part.path)) is not None:
            yield part, entry
