"""Serving one bundle on loopback: from a path to the two addresses that play it.

The socket and the thread are handled here, the connections in `protocol`, the answers in `app`.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import uvicorn

from hlsdl.bundle.layout import INDEX
from hlsdl.bundle.watching import Watch
from hlsdl.errors import HlsdlError, UsageError
from hlsdl.player.admission import new_token
from hlsdl.player.app import PlayerApp
from hlsdl.player.contents import Contents
from hlsdl.player.protocol import HEAD_TIMEOUT, LARGEST_HEAD, LoopbackProtocol
from hlsdl.session.storage import StorageManager

logger = logging.getLogger(__name__)

ADDRESS = "127.0.0.1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Serving:
    """A bundle that is being served. The addresses hold the secret, so `repr` leaves it out."""

    port: int
    token: str = field(repr=False)
    title: str
    """The bundle's title, else the name of its folder."""

    @property
    def page_url(self) -> str:
        """The page that plays the bundle in a browser."""
        return f"http://{ADDRESS}:{self.port}/{self.token}/"

    @property
    def playlist_url(self) -> str:
        """The local multivariant playlist, for any HLS player."""
        return self.page_url + INDEX


@contextmanager
def serve(bundle_path: Path, *, port: int = 0) -> Iterator[Serving]:
    """Serve a bundle on 127.0.0.1 for as long as the context lasts.

    The bundle may be partial, and may grow while it is served: then its playlists list what is stored so far.

    Args:
        bundle_path: the bundle's folder; the last link in this path may be symbolic, none below it may.
        port: the TCP port, or 0 for a free one.

    While it is served nobody deletes it (`bundle.watching`), and the library learns that it is used.

    Raises:
        UsageError: there is no bundle at that path, or the port cannot be used.
        LockedError: the bundle is being deleted.
    """
    root = bundle_path.resolve()
    contents = Contents(root)
    if not root.joinpath(INDEX).is_file() and not contents.is_growing:
        raise UsageError(f"`{bundle_path}` has no `{INDEX}` to play", hint="give the folder of a bundle")
    with _listen(port) as listener, Watch.begin(root), _noting_use(root):
        title = contents.describe().title or root.stem
        serving = Serving(port=listener.getsockname()[1], token=new_token(), title=title)
        with _running(PlayerApp(contents=contents, port=serving.port, token=serving.token, title=title), listener):
            yield serving


@contextmanager
def _noting_use(root: Path) -> Iterator[None]:
    """Tell the library when playing begins and when it has ended; a library that cannot be written stops no player."""
    _note_use(root)
    try:
        yield
    finally:
        _note_use(root)


def _note_use(root: Path) -> None:
    try:
        StorageManager().use(root)
    except HlsdlError as error:
        logger.warning("the library does not learn that this bundle is played: %s", error.message)


def _listen(port: int) -> socket.socket:
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    # POSIX: a port whose last connections linger may be used again. On Windows the option would share the port.
    if os.name == "posix":
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((ADDRESS, port))
        listener.listen(128)
    except (OSError, OverflowError) as error:
        listener.close()
        reason = error.strerror if isinstance(error, OSError) else "out of range"
        raise UsageError(f"port `{port}` cannot be used: {reason}", hint="port 0 takes a free one") from error
    return listener


class _Server(uvicorn.Server):
    """A uvicorn server that says when it is up."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.is_up = threading.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start to accept connections."""
        await super().startup(sockets)
        self.is_up.set()


@contextmanager
def _running(app: PlayerApp, listener: socket.socket) -> Iterator[None]:
    server = _Server(
        uvicorn.Config(
            app,
            http=LoopbackProtocol,
            ws="none",
            lifespan="off",
            interface="asgi3",
            log_config=None,
            proxy_headers=False,
            server_header=False,
            timeout_keep_alive=int(HEAD_TIMEOUT),
            timeout_graceful_shutdown=1,
            h11_max_incomplete_event_size=LARGEST_HEAD,
        )
    )
    thread = threading.Thread(
        target=lambda: asyncio.run(server.serve(sockets=[listener])), name="hlsdl-player", daemon=True
    )
    thread.start()
    try:
        while not server.is_up.wait(0.05):
            if not thread.is_alive():
                raise HlsdlError("the loopback server did not start", hint="the log says why")
        yield
    finally:
        server.should_exit = True
        thread.join()
