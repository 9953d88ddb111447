"""Matching: which stream of a package is which of its source, and which file is which object of the plan.

Pure. A package says of each file where it came from, and mostly a number; one that says both wrong, or neither, must
not give a scene the pictures of another one. So an address decides first, the whole of it, then without what may be a
token; a number alone counts where there is no address; and what may be either of two is neither.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from urllib.parse import quote

from hlsdl.bundle.movie_package import PackagedStream
from hlsdl.bundle.movpkg_reading import ListedObject
from hlsdl.errors import LimitError, PlaylistError
from hlsdl.planning.naming import place_of
from hlsdl.planning.plan import Resource, StreamPlan
from hlsdl.planning.selection import StreamSource
from hlsdl.playlist.addresses import Base
from hlsdl.session.presentation import LIMITS

_ESCAPE = re.compile(r"%[0-9a-fA-F]{2}")
Found = dict[str, ListedObject]
"""By the path that the object gets."""


def spelt(url: str, base: Base | None = None) -> str:
    """A URL as playlists are read here: programs write the same one with and without percent signs, large and small."""
    try:
        whole = (base or Base(url, LIMITS)).resolve(url, 0)
    except (PlaylistError, LimitError):
        whole = url
    return _ESCAPE.sub(lambda found: found[0].upper(), whole) if "%" in whole else whole


def streams_of(packaged: Sequence[PackagedStream], offered: Sequence[StreamSource]) -> dict[str, PackagedStream]:
    """Where a package has the streams of a multivariant playlist, by their ids.

    By the whole address, of a redundant copy as well; else, where no other is like it, without its query, its host, all
    but the last two names of its path, all but the last: tokens change, and redirects lead elsewhere.
    """
    found: dict[str, PackagedStream] = {}
    urls = {one.id: [spelt(url) for url in (one.url, *one.alternates)] for one in offered}
    for key in _LIKENESSES:
        # Likeness is one among all, those that were found before included: else the last two would always be alike.
        here: dict[Hashable, list[PackagedStream]] = defaultdict(list)
        for one in packaged:
            here[key(spelt(one.network_url))].append(one)
        keys = {stream: {key(url) for url in of_stream} for stream, of_stream in urls.items()}
        rivals = Counter(like for of_stream in keys.values() for like in of_stream)
        used = {id(one) for one in found.values()}
        for stream, of_stream in keys.items():
            alike = [one for like in of_stream for one in here.get(like, ())]
            is_clear = key is _whole or (len(alike) == 1 and all(rivals[like] == 1 for like in of_stream))
            free = [one for one in alike if id(one) not in used]
            if is_clear and free and stream not in found:
                found[stream] = max(free, key=lambda one: len(one.listing.segments))  # of two copies, the richer one
    return found


def _whole(url: str) -> Hashable:
    return url


def _path(url: str) -> Hashable:
    return place_of(url)[1]


def _last_names(count: int) -> Callable[[str], Hashable]:
    return lambda url: tuple(place_of(url)[1].split("/")[-count:])


_LIKENESSES: tuple[Callable[[str], Hashable], ...] = (_whole, place_of, _path, _last_names(2), _last_names(1))


def objects_of(packaged: PackagedStream, stream: StreamPlan) -> Found:
    """Where a package has each object of a stream."""
    base = Base(packaged.network_url, LIMITS)
    segments = [one for one in stream.resources if one.kind == "segment"]
    inits = [one for one in stream.resources if one.kind == "init"]
    listed = packaged.listing
    found = _by_address(listed.segments, segments, base) | _by_address(listed.inits, inits, base)
    if not found:
        found = _by_number_and_name(listed.segments, segments) | _by_number_and_name(listed.inits, inits)
    if not found:
        found = _by_file((*listed.segments, *listed.inits), (*segments, *inits), base)
    bare = _fitting(_numbered([one for one in listed.segments if not one.url], stream), segments)
    bare |= _fitting(_applying([one for one in listed.inits if not one.url], inits), inits)
    return bare | found  # an address says more than a number


def _by_address(listed: Iterable[ListedObject], wanted: Sequence[Resource], base: Base) -> Found:
    """Those that are listed under their address: the whole, else its path where that is no other's."""
    found: Found = {}
    addressed = [(spelt(one.url, base), one) for one in listed if one.url]
    for key in (_whole, _path):
        here: dict[Hashable, list[ListedObject]] = defaultdict(list)
        for url, one in addressed:
            here[key(url), one.offset].append(one)
        keys = [((key(spelt(one.url)), _offset(one)), one) for one in wanted]
        rivals = Counter(like for like, _ in keys)
        for like, resource in keys:
            alike = here.get(like, [])
            meant = _only(alike, resource)
            is_clear = key is _whole or (len(alike) == 1 and rivals[like] == 1)
            if meant is not None and is_clear and resource.path not in found:
                found[resource.path] = meant
    return found


def _only(alike: Sequence[ListedObject], resource: Resource) -> ListedObject | None:
    """The one that is meant: of several at one address, that of the same number; else they must be one file."""
    if len({one.path for one in alike}) > 1:
        alike = [one for one in alike if one.sequence == resource.sequence]
    return alike[0] if len({one.path for one in alike}) == 1 else None


def _by_number_and_name(listed: Sequence[ListedObject], wanted: Sequence[Resource]) -> Found:
    """Those of a stream that was redirected: each has another address, but its own number, and a name of its own."""
    numbers = Counter(one.sequence for one in listed)
    here = {one.sequence: one for one in listed if one.url and one.sequence is not None and numbers[one.sequence] == 1}
    name = _last_names(1)
    names = Counter(name(spelt(one.url)) for one in wanted)
    pairs = ((one, here.get(one.sequence or 0)) for one in wanted)
    return {
        one.path: there
        for one, there in pairs
        if there is not None
        and names[name(spelt(one.url))] == 1
        and name(spelt(there.url)) == name(spelt(one.url))
        and there.offset == _offset(one)
    }


def _by_file(listed: Iterable[ListedObject], wanted: Iterable[Resource], base: Base) -> Found:
    """Those of a stream whose playlist somebody has pointed at the files themselves."""
    here = {spelt(quote(one.path), base): one for one in listed}
    pairs = ((one, here.get(spelt(one.url))) for one in wanted if one.byte_range is None)
    return {one.path: there for one, there in pairs if there is not None}


def _numbered(bare: Sequence[ListedObject], stream: StreamPlan) -> dict[int, ListedObject]:
    """Segments without an address, by their media sequence numbers, or all of them in their order."""
    numbers = Counter(one.sequence for one in bare)
    if None not in numbers:
        return {one.sequence: one for one in bare if one.sequence is not None and numbers[one.sequence] == 1}
    everything = [one.sequence for one in stream.playlist.segments]
    there = [one.sequence for one in stream.playlist.segments if not one.gap]
    if len(numbers) == 1 and len(bare) in (len(there), len(everything)):
        return dict(zip(there if len(bare) == len(there) else everything, bare, strict=True))
    return {}


def _applying(bare: Sequence[ListedObject], inits: Sequence[Resource]) -> dict[int, ListedObject]:
    """Init sections without an address: each applies from its number on; without numbers, in their order."""
    starts = sorted((one.sequence, place) for place, one in enumerate(bare) if one.sequence is not None)
    numbers = [number for number, _ in starts]
    wanted = [one.sequence or 0 for one in inits]
    if len(starts) == len(bare) and len(set(numbers)) == len(numbers):
        places = ((number, bisect_right(numbers, number)) for number in wanted)
        return {number: bare[starts[place - 1][1]] for number, place in places if place}
    return dict(zip(wanted, bare, strict=True)) if not starts and len(bare) == len(wanted) else {}


def _fitting(numbered: Mapping[int, ListedObject], wanted: Iterable[Resource]) -> Found:
    pairs = ((one, numbered.get(one.sequence or 0)) for one in wanted)
    return {one.path: there for one, there in pairs if there is not None and there.offset == _offset(one)}


def _offset(resource: Resource) -> int:
    return resource.byte_range.offset if resource.byte_range is not None else 0
