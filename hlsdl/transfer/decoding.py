"""Decoding gzip playlists without trusting them: bounded output, bounded ratio, and an end that must be there.

Pure. Only playlists are ever asked for in gzip; everything else travels as it is.
"""

from __future__ import annotations

import zlib

from hlsdl.access.limits import KIB, Limits
from hlsdl.errors import LimitError

_STEP = 64 * KIB


class TruncatedBody(Exception):
    """The encoded body ended before the gzip trailer, or is damaged."""


MEMBER = b"\x1f\x8b"
"""What a member of gzip begins with (RFC 1952 §2.3.1)."""


class BoundedGunzip:
    """Decodes one layer of gzip in steps of at most 64 KiB of output.

    LimitError when the output passes `limit` bytes or the ratio of `limits`; TruncatedBody from `finish`, or from
    `feed` when the stream is damaged. Several members in a row are legal (RFC 1952 §2.2); what follows the last one is
    ignored.
    """

    def __init__(self, *, limit: int, limits: Limits, url: str) -> None:
        self._limit, self._limits, self._url = limit, limits, url
        self._decoder = zlib.decompressobj(31)
        self._consumed = 0
        self._held = b""
        self._blocks: list[bytes] = []
        self._size = 0

    def feed(self, data: bytes) -> None:
        """Decode the next encoded bytes."""
        self._consumed += len(data)
        data, self._held = self._held + data, b""
        pending = True
        while data or pending:
            if self._decoder.eof:
                if data == MEMBER[:1]:  # perhaps of a member whose other bytes have not come yet
                    self._held = data
                    return
                if not data.startswith(MEMBER):
                    return
                self._decoder = zlib.decompressobj(31)
            try:
                decoded = self._decoder.decompress(data, _STEP)
            except zlib.error as error:
                raise TruncatedBody("damaged") from error
            self._keep(decoded)
            # A full step may leave output inside the decoder even when all input is consumed.
            pending = len(decoded) == _STEP and not self._decoder.eof
            data = self._decoder.unused_data if self._decoder.eof else self._decoder.unconsumed_tail

    def _keep(self, decoded: bytes) -> None:
        self._blocks.append(decoded)
        self._size += len(decoded)
        if self._size > self._limit:
            raise LimitError(f"a compressed body decodes to more than {self._limit} bytes", url=self._url)
        if self._size > self._limits.decoded_freely and self._size > self._consumed * self._limits.decoded_ratio:
            raise LimitError("a compressed body decodes to suspiciously much", url=self._url)

    def finish(self) -> bytes:
        """The decoded body; TruncatedBody unless the trailer was there."""
        if not self._decoder.eof:
            raise TruncatedBody("cut")
        return b"".join(self._blocks)
