"""A film in one file, its parts, and a shelf that checks what is finished."""

from __future__ import annotations

from hlsdl.planning.plan import Resource
from hlsdl.testing import ScriptedOrigin
from hlsdl.transfer.sink import MemorySink
from transfer.conftest import segment

PART = 18_800
BODY = b"".join(b"G" + n.to_bytes(4, "big") + bytes(n % 251 for _ in range(183)) for n in range(2000))
"""Twenty parts."""
FILM = "/film.ts"


def parts_of(url: str, *numbers: int, size: int = PART) -> list[Resource]:
    return [segment(url, part=(n * size, size), path=f"{n}.ts", sequence=n, stream="0") for n in numbers]


class Shelf:
    """Sinks by path, and what was finished in which order; nothing is finished twice."""

    def __init__(self) -> None:
        self.sinks: dict[str, MemorySink] = {}
        self.finished: list[str] = []

    def make(self, resource: Resource) -> MemorySink:
        return self.sinks.setdefault(resource.path, MemorySink())

    async def finish(self, resource: Resource, sink: object) -> None:
        assert sink is self.sinks[resource.path]
        assert resource.path not in self.finished
        assert resource.byte_range is not None
        assert self.sinks[resource.path].data == BODY[resource.byte_range.offset : resource.byte_range.end]
        self.finished.append(resource.path)


def asked(origin: ScriptedOrigin) -> list[str | None]:
    return [request.headers.get("range") for request in origin.requests if request.path == FILM]


def sent(origin: ScriptedOrigin) -> int:
    return sum(request.body_bytes_sent for request in origin.requests)
