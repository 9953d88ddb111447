"""A response on libcurl, as its readers see it (`doors.Reply`)."""

from __future__ import annotations

from hlsdl.transfer.curl_transfer import Conducts, Transfer
from hlsdl.transfer.doors import Head


class CurlReply:
    """A response under way on libcurl."""

    __slots__ = ("_door", "_transfer", "head")

    def __init__(self, door: Conducts, transfer: Transfer, head: Head) -> None:
        self.head = head
        self._door, self._transfer = door, transfer

    async def read_block(self) -> bytes:
        """All that has come since; waits for a whole block, the end, or a quarter of a second's worth."""
        transfer = self._transfer
        while True:
            if not transfer.is_done:
                await transfer.wait()
            block = transfer.take()
            if block:
                return block
            if transfer.is_done:
                if transfer.failure is not None:
                    raise transfer.failure
                return b""

    def take_rest(self) -> bytes:
        """All that has come and was not read."""
        return self._transfer.take_rest()

    @property
    def ready(self) -> int:
        """Bytes of the whole body when they can be read at once; else 0."""
        return self._transfer.ready

    @property
    def is_over(self) -> bool:
        """Whether nothing is left, here or on the wire."""
        return self._transfer.is_over

    async def close(self) -> None:
        """Let go; a body that was not read to its end takes its connection with it."""
        self._door.abandon(self._transfer)
