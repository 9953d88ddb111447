"""Renewal: the URLs of now for what does not come under those of then.

When an origin refuses (an expired URL answers 403), the playlists are read anew, once for each stretch of progress;
when a redundant copy of a stream exists, it takes over. Both only where the streams agree place by place and finished
objects have the same bytes there (`planning.moving`): two encodes are never mixed. Keys and session data ask for new
URLs, segments for copies as well.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Collection

from hlsdl.bundle.threads import in_thread
from hlsdl.bundle.writing import BundleWriter
from hlsdl.errors import (
    ContentKeyError,
    HlsdlError,
    HttpError,
    IntegrityError,
)
from hlsdl.planning.moving import other_bytes, same_urls, samples, telling, with_copy
from hlsdl.planning.plan import DownloadPlan, Resource
from hlsdl.session.copies import note_copy
from hlsdl.session.moves import Moves
from hlsdl.session.presentation import MAY_HAVE_MOVED, OF_A_PLACE
from hlsdl.transfer.client import Client
from hlsdl.transfer.documents import DocumentKind
from hlsdl.transfer.sink import MemorySink

OF_THE_ORIGIN = (*OF_A_PLACE, ContentKeyError)
"""What an origin, or what it sends, can be the reason for, so that another one may do better."""
SUBSTITUTES = (IntegrityError, ContentKeyError)
"""An expired URL may be answered by a page to sign in, or by nothing, as well as by a status that says so."""
EXPIRED = frozenset({401, 403})
"""The answers that say of a URL that it was good once, and not that what is there has failed."""
SPOKEN = {"segment": "a segment", "init": "an init section", "key": "a key", "data": "session data"}


class Renewal:
    """The plan of a download under the URLs of now."""

    def __init__(
        self, client: Client, writer: BundleWriter, moves: Moves, *, keys_are_given: bool, warn: Callable[[str], None]
    ) -> None:
        """`keys_are_given`: whether the program gives them, so that nothing need be at their addresses."""
        self.plan = moves.plan
        self.is_read_again = False
        """Whether the playlists are those of this run."""
        self._client, self._writer, self._moves, self._warn = client, writer, moves, warn
        self._keys_are_given = keys_are_given
        self._copies = _copies_of(moves.plan)
        self._stored_at_refresh = -1
        self._asked_again: set[str] = set()
        """Paths of what was asked for once more under the very URL that had been refused."""
        self._lock = asyncio.Lock()

    async def read_again(self) -> DownloadPlan:
        """The plan under the URLs of now, after a proof that another place has the same bytes.

        Raises:
            IntegrityError: it has others.
            HlsdlError: the playlists cannot be read.
        """
        again = await self._moves.read_again()
        await self._prove(again)
        self.plan, self.is_read_again = again, True
        self._copies = _copies_of(again)  # they may have had tokens, too
        return again

    async def read(self, resource: Resource) -> bytes:
        """What is at the URL of a key, or of session data, or else at that which it has now.

        Raises:
            HlsdlError: it cannot be had.
        """
        kind: DocumentKind = "key" if resource.kind == "key" else "data"
        try:
            return (await self._client.read(resource.url, kind=kind, limit=resource.limit)).data
        except OF_THE_ORIGIN as refusal:
            if kind == "data" and refusal.http_status not in EXPIRED:
                raise  # a film plays without it
            now = await self._now(resource, refusal)
            return (await self._client.read(now.url, kind=kind, limit=resource.limit)).data

    async def way_round(self, failed: Resource, error: HlsdlError) -> None:
        """Another place for a segment that did not come.

        Raises:
            HlsdlError: `error`, when there is none.
        """
        refusal: HlsdlError | None = None
        if error.http_status in EXPIRED:  # the addresses of copies may have expired as well
            try:
                await self._refresh(failed, error)
            except OF_THE_ORIGIN as found:
                refusal = found
            else:
                return
        if await self._from_a_copy(failed, error):
            return
        if refusal is not None:
            raise refusal
        await self._refresh(failed, error)

    async def prove_stored(self, streams: Collection[str]) -> None:
        """Compare a finished segment of each of these streams with the one at its URL, that of now, or at a copy.

        Raises:
            IntegrityError: it has other bytes there.
        """
        sizes = {path: entry.size for path, entry in self._writer.entries.items()}
        for stream in self.plan.streams:
            finished = [one for one in stream.resources if one.kind == "segment" and one.path in sizes]
            if stream.id not in streams or not finished:
                continue
            await self._prove_one(telling(finished, sizes))

    async def _prove_one(self, sample: Resource) -> None:
        while True:
            try:
                if await self.is_as_stored(sample):
                    return
                raise other_bytes(sample.path)
            except OF_THE_ORIGIN as refusal:
                await self.way_round(sample, refusal)
                self.is_read_again = True  # where the first place is now, would be asked in vain
            # Another URL, or another try at the same: neither is a proof.
            sample = next(one for one in self.plan.resources if one.path == sample.path)

    async def is_as_stored(self, resource: Resource) -> bool:
        """Whether a finished object still has the same bytes at its origin."""
        sink = MemorySink()
        await self._client.fetch(resource, sink)
        return hashlib.sha256(sink.data).hexdigest() == self._writer.entries[resource.path].sha256

    async def _now(self, resource: Resource, refusal: HlsdlError) -> Resource:
        """What was refused, perhaps together with others, under another URL; raises `refusal` when there is none."""
        async with self._lock:
            found = self._found(resource.path)
            if found is None or found.url == resource.url:
                await self._refresh(resource, refusal)
                found = self._found(resource.path)
        return found or resource

    def _found(self, path: str) -> Resource | None:
        return next((one for one in (*self.plan.keys, *self.plan.data) if one.path == path), None)

    async def _refresh(self, failed: Resource, error: HlsdlError) -> None:
        stored = len(self._writer.entries)
        is_substitute = isinstance(error, SUBSTITUTES)
        if not (is_substitute or error.http_status in MAY_HAVE_MOVED) or stored == self._stored_at_refresh:
            raise error
        # One refresh for each stretch of progress: a server that refuses for ever is asked twice, not for ever.
        self._stored_at_refresh = stored
        before = self.plan
        try:
            again = await self.read_again()
        except OF_THE_ORIGIN as refusal:
            if is_substitute:  # what is wrong with the object says more than that nothing newer is to be had
                raise error from refusal
            raise
        if same_urls(before, again, [failed.path]):
            if is_substitute or failed.path in self._asked_again:
                raise error
            self._asked_again.add(failed.path)  # once: some servers refuse for a moment what they have
            return
        self._warn(f"the playlists were read again, since {SPOKEN[failed.kind]} did not come: {error.message}")

    async def _from_a_copy(self, failed: Resource, error: HlsdlError) -> bool:
        """Point the failed stream at its next redundant copy that agrees with it and has its bytes, if there is one."""
        stream = next((one for one in self.plan.streams if one.id == failed.stream), None)
        copies = self._copies.get(stream.id, []) if stream else []
        while stream is not None and copies:
            url = copies.pop(0)
            try:
                plan = with_copy(self.plan, stream, await self._moves.read_copy(stream, url))
                await self._prove(plan, is_a_copy=True)
            except OF_THE_ORIGIN as refusal:
                self._warn(f"a redundant copy cannot take over: {refusal.message}")
                continue
            self._warn(f"a redundant copy of the {stream.source.kind} stream takes over: {error.message}")
            await in_thread(note_copy, self._writer, stream.id)  # before anything of it is stored
            self.plan = plan
            return True
        return False

    def _had_more(self, sample: Resource) -> bool:
        """Whether something of its stream was here that is damaged or lost: that went with this very init section."""
        beginning = f"{sample.stream}/"
        return any(path.startswith(beginning) for path in (*self._writer.wanted, *self._writer.expected))

    async def _prove(self, again: DownloadPlan, *, is_a_copy: bool = False) -> None:
        sizes = {path: entry.size for path, entry in self._writer.entries.items()}
        for sample in samples(self.plan, again, sizes, is_a_copy=is_a_copy):
            is_given = sample.kind == "key" and self._keys_are_given
            if is_given and is_a_copy:
                told = "its key is at another place, and nothing finished proves that it is the same one"
                raise ContentKeyError(told, url=sample.url)
            try:
                is_same = is_given or await self.is_as_stored(sample)
            except (HttpError, ContentKeyError) as refusal:
                if sample.kind != "key" or is_a_copy:
                    raise
                # It may be given once only, or to whoever signs in; what is stored stays what it was.
                self._warn(f"a key is at another place now, and cannot be compared: {refusal.message}")
                continue
            if not is_same and sample.kind == "init" and not self._had_more(sample):
                self._writer.forget(sample.path)  # nothing that goes with it has come: it is brought from there, too
            elif not is_same:
                raise other_bytes(sample.path)


def _copies_of(plan: DownloadPlan) -> dict[str, list[str]]:
    """Stream -> the URLs of its redundant copies that were not tried yet."""
    return {stream.id: list(stream.source.alternates) for stream in plan.streams}
