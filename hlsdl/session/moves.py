"""Finding a stream again that has moved: the playlists of now, planned like those of then.

`planning.moving` judges whether they are the same streams; `segments` decides when to ask.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import replace

from hlsdl.errors import HttpError
from hlsdl.planning.moving import moved, require_same_streams
from hlsdl.planning.plan import DownloadPlan, Resource, StreamPlan, make_plan
from hlsdl.planning.selection import Selection, StreamSource
from hlsdl.session.contents import Contents
from hlsdl.session.presentation import Documents, Root, choose, plan_streams, read_root, read_stream, read_texts
from hlsdl.session.program import ProgramFault, asked
from hlsdl.session.sources import Source
from hlsdl.session.wishes import Asked
from hlsdl.transfer.client import Client

logger = logging.getLogger(__name__)

Renew = Callable[[str], Awaitable[str | None]]
"""Asked for a new URL when the source itself is refused: gets the old one, returns the new one or None."""


class Moves:
    """Reads the playlists of one download again."""

    def __init__(self, client: Client, contents: Contents, *, renew: Renew | None = None) -> None:
        self.plan = contents.plan
        """The plan of then: its objects and their paths never change."""
        self._client, self._contents, self._renew = client, contents, renew

    def is_stale(self, remaining: Iterable[Resource]) -> bool:
        """Whether something that is still to come was planned from a stored playlist, perhaps of long ago."""
        wanted = {resource.stream for resource in remaining}
        stored = self._contents.documents.stored
        if self.plan.master is None:
            return bool(wanted) and self._contents.source.url in stored
        return any(stream.id in wanted and stream.source.url in stored for stream in self.plan.streams)

    async def read_again(self) -> DownloadPlan:
        """The same objects under the URLs of now.

        Raises:
            IntegrityError: the streams are not what they were when the download began.
            HlsdlError: the playlists cannot be read.
        """
        try:
            return await self._read_from(self._contents.source.url)
        except HttpError as refusal:
            return await self._read_from(await _renewed(self._renew, self._contents.source.url, refusal))

    async def read_copy(self, stream: StreamPlan, url: str) -> DownloadPlan:
        """The stream's redundant copy at `url`, planned alone, like the stream itself."""
        root = self._contents.root
        variables = root.master.variables if root.master else {}
        playlist = await read_stream(Documents(self._client), replace(stream.source, url=url), variables)
        return make_plan([(stream.source, playlist)])

    async def _read_from(self, url: str) -> DownloadPlan:
        documents, then = Documents(self._client), self._contents
        source = replace(then.source, url=url)
        is_same = await documents.read(url) == then.root.document
        if is_same and then.root.master is None:
            return self.plan
        root = then.root if is_same else await read_root(documents, source)
        before, now = _same_choice(then.root, root, then.asked)
        gone = {new.id for old, new in zip(before, now.streams, strict=True) if old.id in then.asked.dropped}
        chosen = now.without(gone)
        texts = await read_texts(documents, root, chosen)
        # Playlists that are what they were to the last byte need not be read and planned again: 50,000 segments take a
        # second and more.
        if is_same and all(text == then.documents.known(text.url) for text in texts):
            return self.plan
        return moved(self.plan, plan_streams(root, chosen, texts))


class Addresses:
    """Where the playlists of a stored multivariant playlist are now: the source is read again, once, when asked."""

    def __init__(self, client: Client, source: Source, root: Root, asked: Asked, *, renew: Renew | None = None) -> None:
        self._client, self._source, self._root, self._asked, self._renew = client, source, root, asked, renew
        self._lock = asyncio.Lock()
        self._now: dict[str, str] | None = None

    async def now(self, url: str) -> str | None:
        """The URL of today of the stream that had `url`; None when it is no chosen stream.

        Raises:
            IntegrityError: the source offers other streams than it did.
            HlsdlError: it cannot be read.
        """
        async with self._lock:
            if self._now is None:
                then, now = _same_choice(self._root, await self._read(), self._asked)
                self._now = {old.url: new.url for old, new in zip(then, now.streams, strict=True)}
        return self._now.get(url)

    async def _read(self) -> Root:
        try:
            return await read_root(Documents(self._client), self._source)
        except HttpError as refusal:
            url = await _renewed(self._renew, self._source.url, refusal)
            return await read_root(Documents(self._client), replace(self._source, url=url))


async def _renewed(renew: Renew | None, url: str, refusal: HttpError) -> str:
    """Another URL for a source that is refused, from the app; without one the refusal stands."""
    if renew is None:
        raise refusal
    try:
        now = await asked(lambda: renew(url))
    except ProgramFault as fault:
        logger.warning("the program was asked for a new URL and %s", fault)
        raise refusal from fault
    if isinstance(now, str):
        return now
    if now is not None:
        logger.warning("the program was asked for a new URL and gave something else: `%s`", type(now).__name__)
    raise refusal


def _same_choice(root: Root, again: Root, asked: Asked) -> tuple[tuple[StreamSource, ...], Selection]:
    """What the wishes led to then, in the same order as what they lead to now.

    Raises:
        IntegrityError: they lead to other streams now.
    """
    then, now = choose(root, asked.wishes).streams, choose(again, asked.wishes)
    require_same_streams(then, now.streams)
    return then, now
