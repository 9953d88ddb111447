"""How the loopback server treats connections: what uvicorn's HTTP/1.1 protocol lacks for hostile neighbours.

It closes without a byte when `app` says so or when what arrives is not HTTP, gives a request head five seconds to
arrive, and lets the connection that has waited longest go when there are too many. Requests are `app`'s business.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Any

from uvicorn.config import Config
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState

HEAD_TIMEOUT = 5.0
"""Seconds a connection may take to send a request head, from its start or from the last answer."""

LARGEST_HEAD = 16 * 1024
"""Bytes of a request head."""

MOST_CONNECTIONS = 128
"""Open connections; a browser uses six."""

logger = logging.getLogger(__name__)
# uvicorn warns of each malformed request; a neighbour who sends them should not fill the terminal.
logger.setLevel(logging.ERROR)


class LoopbackProtocol(H11Protocol):
    """One connection. The application finds `hang_up` in the state of each request's scope."""

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, {**app_state, "hang_up": self.hang_up}, _loop)
        self.logger = logger
        self.access_log = False  # it would write the token
        self.idle_since = self.loop.time()
        self._head_timer: asyncio.TimerHandle | None = None

    @property
    def is_idle(self) -> bool:
        """Whether no request is being answered."""
        return self.cycle is None or self.cycle.response_complete

    def hang_up(self) -> None:
        """Close at once, without an answer."""
        self.transport.abort()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Start the clock for the first request head."""
        super().connection_made(transport)
        self._make_room()
        self._await_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop the clock."""
        self._stop_waiting()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Stop the clock once a whole request head is there."""
        super().data_received(data)
        if not self.is_idle:
            self._stop_waiting()

    def on_response_complete(self) -> None:
        """Start the clock for the next request head, unless it came with the last one."""
        self._await_head()
        super().on_response_complete()
        if not self.is_idle:
            self._stop_waiting()

    def send_400_response(self, msg: str) -> None:
        """Give no answer to what is not HTTP."""
        self.hang_up()

    def _await_head(self) -> None:
        self._stop_waiting()
        self.idle_since = self.loop.time()
        self._head_timer = self.loop.call_later(HEAD_TIMEOUT, self.hang_up)

    def _stop_waiting(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _make_room(self) -> None:
        idle = [other for other in self.connections if isinstance(other, LoopbackProtocol) and other.is_idle]
        if len(self.connections) > MOST_CONNECTIONS and idle:
            min(idle, key=lambda connection: connection.idle_since).hang_up()
