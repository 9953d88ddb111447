"""HTTP as bytes on a socket: what a well-meaning client library would not send."""

from __future__ import annotations

import contextlib
import socket
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Answer:
    """Everything the server sent until it closed."""

    data: bytes

    @property
    def status(self) -> int:
        """The status, or 0 when nothing was sent."""
        return int(self.data.split(b" ", 2)[1]) if self.data else 0

    @property
    def headers(self) -> dict[str, str]:
        lines = self.data.partition(b"\r\n\r\n")[0].decode("latin-1").split("\r\n")[1:]
        return {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}

    @property
    def body(self) -> bytes:
        return self.data.partition(b"\r\n\r\n")[2]


def exchange(port: int, request: bytes) -> Answer:
    """Send bytes and return all that comes back until the server closes.

    Our side stays open: a server that sees its end drops the answer, and a test would see nothing for the wrong reason.
    """
    with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
        # The server may close before it has read everything; what it sent, if anything, is still to be read.
        with contextlib.suppress(ConnectionError):
            connection.sendall(request)
        return Answer(read_all(connection))


def read_all(connection: socket.socket) -> bytes:
    """Read until the server closes, politely or not."""
    received = bytearray()
    while True:
        try:
            block = connection.recv(65536)
        except ConnectionResetError:
            return bytes(received)
        if not block:
            return bytes(received)
        received += block


def assert_no_media(answer: Answer) -> None:
    """Nothing of the bundle is in the answer, whatever its status."""
    assert b"#EXTM3U" not in answer.data
    assert b"secret" not in answer.data
    assert b"\x47\x40" not in answer.data
    assert answer.status in {0, 400, 403, 404, 405, 416}
