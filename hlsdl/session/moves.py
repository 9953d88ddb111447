"""Finding a stream again that has moved: the playlists of now, planned like those of then.

`planning.moving` judges whether they are the same streams; `segments` decides when to ask.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import replace

from hlsdl.errors import HttpError
from hlsdl.planning.moving import moved
from hlsdl.planning.plan import DownloadPlan, Resource, StreamPlan, make_plan
from hlsdl.session.contents import Contents
from hlsdl.session.presentation import Documents, choose, read_root, read_stream, read_streams
from hlsdl.transfer.client import Client

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
        except HttpError:
            url = await self._renew(self._contents.source.url) if self._renew else None
            if url is None:
                raise
            return await self._read_from(url)

    async def read_copy(self, stream: StreamPlan, url: str) -> StreamPlan:
        """The stream's redundant copy at `url`, planned like the stream itself."""
        root = self._contents.root
        variables = root.master.variables if root.master else {}
        playlist = await read_stream(Documents(self._client), replace(stream.source, url=url), variables)
        return make_plan([(stream.source, playlist)]).streams[0]

    async def _read_from(self, url: str) -> DownloadPlan:
        documents = Documents(self._client)
        root = await read_root(documents, replace(self._contents.source, url=url))
        now = await read_streams(documents, root, choose(root, self._contents.wishes))
        return moved(self.plan, now)
