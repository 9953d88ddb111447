"""Small documents: playlists, keys and session data, read whole into memory.

Playlists may travel as gzip, which is decoded within bounds; everything else travels as it is.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from hlsdl.access.urls import CheckedUrl
from hlsdl.errors import HlsdlError, IntegrityError, LimitError, NetworkError
from hlsdl.transfer import content
from hlsdl.transfer.content import not_what_was_asked
from hlsdl.transfer.decoding import BoundedGunzip, TruncatedBody
from hlsdl.transfer.doors import Setback, discard
from hlsdl.transfer.exchange import HINT_CUT, HINT_OTHER, PLAIN, Exchange, Opened
from hlsdl.transfer.tap import Tap

DocumentKind = Literal["playlist", "key", "data"]

COMPRESSED = (("Accept-Encoding", "gzip"),)

LAST_LINES = (b"\n#EXT-X-ENDLIST\n", b"\n#EXT-X-ENDLIST\r\n", b"\n#EXT-X-ENDLIST")
"""What a media playlist that was not cut ends with, as nearly all do (RFC 8216 §4.3.3.4 lets it stand anywhere)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Body:
    """A document as the origin served it, decoded when it was compressed for the way."""

    data: bytes = field(repr=False)
    url: str = field(repr=False)
    """Where it came from, after redirects: the base of a playlist's URIs."""
    requested_url: str = field(repr=False)
    etag: str | None = None
    last_modified: str | None = None
    content_type: str | None = None


@dataclass(slots=True, kw_only=True)
class Reading:
    """One document on its way; lives as long as the tries for it."""

    exchange: Exchange
    url: CheckedUrl
    requested_url: str
    kind: DocumentKind
    limit: int
    tap: Tap
    _doubted: bool = False

    async def attempt(self) -> Body:
        """Try once."""
        opened, data = await self._bring()
        is_sealed = (
            opened.head.has_marked_end
            or "gzip" in opened.head.headers.get("content-encoding", "")
            or (self.kind == "playlist" and data.endswith(LAST_LINES))
        )
        if not is_sealed and self.kind != "key" and (await self._bring())[1] != data:
            # Without a length a cut cannot be told from the end, and half a playlist is a whole one of a shorter film.
            raise self._cut("a document comes without its length, and not twice the same")
        self._judge(data)
        headers = opened.head.headers
        return Body(
            data=data,
            url=opened.url.text,
            requested_url=self.requested_url,
            etag=headers.get("etag"),
            last_modified=headers.get("last-modified"),
            content_type=headers.get("content-type"),
        )

    async def _bring(self) -> tuple[Opened, bytes]:
        opened = await self.exchange.open(self.url, COMPRESSED if self.kind == "playlist" else PLAIN)
        try:
            data = await self._read(opened)
        except BaseException:
            await opened.reply.close()
            raise
        await discard(opened.reply)
        return opened, data

    @property
    def _most(self) -> int:
        return content.LONGEST_ERROR_PAGE if self.kind == "key" else self.limit

    async def _read(self, opened: Opened) -> bytes:
        decoder = self._decoder_for(opened.head.headers.get("content-encoding", "identity").strip().lower())
        expected = opened.head.content_length
        if expected is not None and expected > self._most:
            raise self._over(f"announces {expected} bytes")
        blocks: list[bytes] = []
        received = 0
        while block := await opened.reply.read_block():
            await self.tap.pass_on(len(block))
            received += len(block)
            if received > self._most:
                raise self._over("does not end")
            if decoder is None:
                blocks.append(block)
            else:
                self._decode(decoder, block)
        if expected is not None and received != expected:
            raise self._cut(f"the connection ended after {received} of {expected} bytes")
        if decoder is None:
            return b"".join(blocks)
        try:
            return decoder.finish()
        except TruncatedBody as error:
            raise self._cut("a compressed body ends too early") from error

    def _decode(self, decoder: BoundedGunzip, block: bytes) -> None:
        try:
            decoder.feed(block)
        except TruncatedBody as error:
            raise self._cut("a compressed body is damaged") from error

    def _decoder_for(self, encoding: str) -> BoundedGunzip | None:
        if encoding in {"", "identity"}:
            return None
        if self.kind == "playlist" and encoding in {"gzip", "x-gzip"}:
            return BoundedGunzip(limit=self.limit, limits=self.exchange.limits, url=self.url.text)
        if "," in encoding:
            raise LimitError("a body is compressed more than once", url=self.url.text)
        told = f"the server compresses ({encoding[:40]}) though it was asked not to"
        raise Setback(IntegrityError(told, url=self.url.text, hint=HINT_OTHER), retries=1)

    def _judge(self, data: bytes) -> None:
        """Refuse what is no key. What is no playlist is asked for once more, then left to the parser to say so."""
        if self.kind == "key":
            reason = content.why_not_key(data)
            if reason is not None:
                raise Setback(not_what_was_asked(reason, "key", self.url.text), retries=2)
        elif self.kind == "playlist" and not self._doubted and content.why_not_playlist(data) is not None:
            self._doubted = True
            raise Setback(IntegrityError("the server sends no playlist", url=self.url.text, hint=HINT_OTHER))

    def _over(self, what: str) -> HlsdlError:
        if self.kind == "key":
            return not_what_was_asked("a long document", "key", self.url.text)
        return LimitError(f"a document {what}, and {self.limit} are allowed", url=self.url.text)

    def _cut(self, message: str) -> Setback:
        return Setback(NetworkError(message, url=self.url.text, hint=HINT_CUT, retryable=True))
