"""Bundles, a server over one of them, and a client that speaks bytes."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from hlsdl.player import Serving, serve

from .bundles import lay_out
from .raw import Answer, exchange


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle with TS segments, two AES-128 keys, and all the files that nobody may have."""
    return lay_out("aes128", tmp_path_factory.mktemp("player") / "A film.movpkg")


@pytest.fixture(scope="module")
def serving(bundle: Path) -> Iterator[Serving]:
    with serve(bundle) as running:
        yield running


@pytest.fixture
def ask(serving: Serving) -> Callable[..., Answer]:
    """Send one request for a path below the token, with the right Host, and return the answer."""

    def send(path: str, *headers: str, method: str = "GET", closing: bool = True) -> Answer:
        head = [f"{method} /{serving.token}/{path} HTTP/1.1", f"Host: 127.0.0.1:{serving.port}", *headers]
        head += ["Connection: close"] * closing
        return exchange(serving.port, "\r\n".join(head).encode("latin-1") + b"\r\n\r\n")

    return send


@pytest.fixture
def connect(serving: Serving) -> Iterator[Callable[[], socket.socket]]:
    """Open connections to the server; they are closed at the end."""
    opened: list[socket.socket] = []

    def open_one() -> socket.socket:
        opened.append(socket.create_connection(("127.0.0.1", serving.port), timeout=30))
        return opened[-1]

    yield open_one
    for connection in opened:
        connection.close()
