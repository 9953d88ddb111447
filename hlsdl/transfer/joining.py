"""Joining: which byte ranges of one URL make one request.

Pure. Packagers put a whole rendition into one file and name each segment as a range of it; to ask for every range alone
costs a round trip each. So neighbours are joined, up to a size at which the line is well used, and never so many that
too few requests are left for the connections. `parts` cuts the answer up again.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from hlsdl.access.limits import KIB, MIB
from hlsdl.access.urls import is_file_url
from hlsdl.planning.plan import Resource
from hlsdl.playlist.models import ByteRange

MOST_BYTES = 8 * MIB
"""Of one joint request; less than is ever resumed, so that a cut one begins anew at its first unfinished part."""
MOST_PARTS = 32
"""Of one joint request."""
PER_CONNECTION = 4
"""Requests that each connection shall get: with fewer, the last ones are waited for while other connections idle."""
LEAST_BYTES = 64 * KIB
"""Below this a request costs more than its bytes, so no fair share is smaller."""


@dataclass(frozen=True, slots=True, eq=False)
class Run:
    """Parts of one URL that follow each other without a gap, asked for together. Equal only to itself."""

    parts: tuple[Resource, ...]

    @property
    def url(self) -> str:
        """The URL that all parts have."""
        return self.parts[0].url


def join(work: Iterable[Resource], *, most_bytes: int, most_parts: int = MOST_PARTS) -> list[Resource | Run]:
    """The same work with each byte range in a run, which stands where its first part stood.

    A part joins the run before it of the same stream and URL when it begins where that ends. Runs of several parts
    have at most `most_bytes` and `most_parts`; a part that is larger is a run of its own. What has no byte range stays.
    """
    joined: list[Resource | list[Resource]] = []
    latest: dict[tuple[str | None, str], list[Resource]] = {}
    for resource in work:
        if not is_part(resource):
            joined.append(resource)
            continue
        place = (resource.stream, resource.url)
        run = latest.get(place)
        if run is not None and _fits(run, resource, most_bytes, most_parts):
            run.append(resource)
        else:
            run = latest[place] = [resource]
            joined.append(run)
    return [Run(tuple(one)) if isinstance(one, list) else one for one in joined]


def leading(parts: Sequence[Resource], *, most_bytes: int = MOST_BYTES) -> tuple[Resource, ...]:
    """The longest beginning of `parts`, at least one, that makes one request."""
    run = [parts[0]]
    for part in parts[1:]:
        if not _fits(run, part, most_bytes, MOST_PARTS):
            break
        run.append(part)
    return tuple(run)


def fair_share(work: Iterable[Resource], connections: int) -> int:
    """The most bytes of a joint request that leave enough requests for so many connections."""
    total = sum(resource.byte_range.length for resource in work if resource.byte_range is not None)
    return max(LEAST_BYTES, min(MOST_BYTES, total // (PER_CONNECTION * connections)))


def is_part(resource: Resource) -> bool:
    """Whether this is a byte range that the network brings, and with the size that it is allowed to have."""
    return (
        resource.byte_range is not None
        and 0 < resource.byte_range.length <= resource.limit
        and not is_file_url(resource.url)
    )


def range_of(resource: Resource) -> ByteRange:
    """The byte range that a part has."""
    if resource.byte_range is None:
        raise ValueError("a part has a byte range")
    return resource.byte_range


def span_of(parts: Sequence[Resource]) -> Resource:
    """One resource from the first byte of `parts` to the last; they are sorted by their offsets."""
    offset = range_of(parts[0]).offset
    length = range_of(parts[-1]).end - offset
    return replace(parts[0], byte_range=ByteRange(offset=offset, length=length), limit=length)


def _fits(run: Sequence[Resource], part: Resource, most_bytes: int, most_parts: int) -> bool:
    return (
        len(run) < most_parts
        and range_of(part).offset == range_of(run[-1]).end
        and range_of(part).end - range_of(run[0]).offset <= most_bytes
    )
