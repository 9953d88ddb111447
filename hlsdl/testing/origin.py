"""ScriptedOrigin: an HTTP/1.1 server on a real socket that misbehaves exactly when it is told to.

It runs in threads of its own, so that tests, demonstrations and other processes can all talk to it. What is
answered is decided in `answers` and `behaviours`; this module reads requests, keeps the log and sends bytes.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
import struct
import threading
import time
from collections import defaultdict, deque
from collections.abc import Iterator, Mapping
from dataclasses import replace
from email.utils import formatdate
from http import HTTPStatus
from pathlib import Path
from typing import Self
from urllib.parse import unquote

from hlsdl.testing.answers import LONG_AGO, Answer, Request, StoredObject, answer_for, stored_bytes, stored_file
from hlsdl.testing.behaviours import Behaviour
from hlsdl.testing.range_behaviours import IgnoreRange

LONGEST_HEAD = 1024 * 1024
"""Bytes of a request head that are read before the connection is dropped."""

EVERY_PATH = "*"
"""In place of a path: any request for which the path itself has no behaviour."""


class ScriptedOrigin:
    """An HLS origin on 127.0.0.1, or another address of this machine (`host`), with scripted faults and an access log.

        with ScriptedOrigin() as origin:
            origin.add("/a.ts", b"…")
            origin.script("/a.ts", Cut(after=3), Status(503))
            origin.url("/a.ts")                  # first cut, then 503, then served
            origin.requests[0].headers["range"]

    What is scripted for a path comes first, then what always applies to it, then both for `"*"`: any other path.
    Keep-alive, Range and If-Range (206, 416), ETag, Last-Modified and If-None-Match work as RFC 9110 says. `tls`
    (see `LocalAuthority`) makes it https; `delay` seconds are added before every answer. An object may be given with
    its query (`/a.ts?token=1`); without one it serves every query.
    """

    def __init__(self, *, tls: ssl.SSLContext | None = None, delay: float = 0.0, host: str = "127.0.0.1") -> None:
        self.host = host
        self.delay = delay
        self.port = 0
        self._tls = tls
        self._objects: dict[str, StoredObject] = {}
        self._folders: list[tuple[str, Path]] = []
        self._scripts: dict[str, deque[Behaviour]] = defaultdict(deque)
        self._constant: dict[str, tuple[Behaviour, ...]] = {}
        self._requests: list[Request] = []
        self._changed = threading.Condition()
        self._closing = threading.Event()
        self._listener: socket.socket | None = None
        self._sockets: set[socket.socket] = set()
        self._threads: list[threading.Thread] = []
        self._connections = 0
        self._answering = 0
        self._most_at_once = 0

    # -- what it serves ------------------------------------------------------------------------------------------

    def add(
        self,
        path: str,
        body: bytes,
        *,
        content_type: str | None = None,
        etag: str | None = "auto",
        last_modified: str | None = LONG_AGO,
        headers: Mapping[str, str] | None = None,
    ) -> str:
        """Serve `body` at `path` from now on, and return its URL: before `start`, when there is no port yet, its path.

        The content type follows from the extension; `etag="auto"` makes a strong ETag, None leaves it out.
        """
        stored = stored_bytes(
            path, body, content_type=content_type, etag=etag, last_modified=last_modified, headers=headers
        )
        with self._changed:
            self._objects[path] = stored
        return self.url(path) if self.port else path

    def add_folder(self, folder: Path | str, at: str = "/") -> None:
        """Serve the files below `folder` under the path `at`; each is read when it is asked for."""
        with self._changed:
            self._folders.append((at.rstrip("/") + "/", Path(folder).resolve()))

    def remove(self, path: str) -> None:
        """Answer 404 for an object that was added."""
        with self._changed:
            del self._objects[path]

    def script(self, path: str, *behaviours: Behaviour) -> None:
        """Queue behaviours for `path`: one is used up by each request, then normal service follows."""
        with self._changed:
            self._scripts[path].extend(behaviours)

    def always(self, path: str, *behaviours: Behaviour) -> None:
        """Apply all of `behaviours`, in order, to each request for `path`; none: normal service, even beside `"*"`."""
        with self._changed:
            self._constant[path] = behaviours

    # -- what happened -------------------------------------------------------------------------------------------

    def url(self, path: str, *, host: str | None = None) -> str:
        """The absolute URL of `path`, optionally by another name of this machine such as `localhost`."""
        name = host or self.host
        authority = f"[{name}]" if ":" in name else name
        return f"{'https' if self._tls else 'http'}://{authority}:{self.port}{path}"

    @property
    def requests(self) -> list[Request]:
        """All requests so far, in order of arrival."""
        with self._changed:
            return list(self._requests)

    def count(self, path: str) -> int:
        """How many requests asked for `path`, with any query unless `path` has one."""
        return sum(1 for request in self.requests if path in {request.target, request.path})

    def clear_requests(self) -> None:
        """Forget the access log."""
        with self._changed:
            self._requests.clear()

    @property
    def connections(self) -> int:
        """How many TCP connections were accepted."""
        return self._connections

    @property
    def most_at_once(self) -> int:
        """The largest number of requests that were being answered at one moment."""
        return self._most_at_once

    def wait_for(self, path: str, count: int = 1, *, timeout: float = 10.0) -> None:
        """Block until `path` was asked for `count` times; TimeoutError after `timeout` seconds."""

        def seen() -> bool:
            return sum(1 for r in self._requests if path in {r.target, r.path}) >= count

        with self._changed:
            if not self._changed.wait_for(seen, timeout):
                raise TimeoutError(f"{path} was not asked for {count} times within {timeout} s")

    def wait_for_end(self, *, timeout: float = 10.0) -> None:
        """Block until every connection has ended, and with it what was being answered; TimeoutError as `wait_for`."""
        deadline = time.monotonic() + timeout
        while True:
            with self._changed:
                if not self._sockets:
                    return
            if time.monotonic() > deadline:
                raise TimeoutError(f"connections are still open after {timeout} s")
            time.sleep(0.01)

    # -- life ----------------------------------------------------------------------------------------------------

    def start(self) -> Self:
        """Listen on a free port, after `close` on another one; `with` does this."""
        family = socket.AF_INET6 if ":" in self.host else socket.AF_INET
        self._listener = socket.create_server((self.host, 0), family=family, backlog=512)
        self._closing.clear()
        self.port = self._listener.getsockname()[1]
        self._run(self._accept, self._listener)
        return self

    def close(self) -> None:
        """Drop every connection and stop."""
        self._closing.set()
        with self._changed:
            sockets = [*self._sockets, *([self._listener] if self._listener else [])]
        for each in sockets:
            with contextlib.suppress(OSError):
                socket.socket.shutdown(each, socket.SHUT_RDWR)
        if self._listener is not None:
            self._listener.close()
        for thread in self._threads:
            thread.join(timeout=10)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_exc: object) -> None:
        self.close()

    def _run(self, target: object, *arguments: object) -> None:
        thread = threading.Thread(target=target, args=arguments, daemon=True, name="scripted-origin")  # type: ignore[arg-type]
        with self._changed:
            self._threads = [known for known in self._threads if known.is_alive() or known.ident is None]
            self._threads.append(thread)
        thread.start()

    def _accept(self, listener: socket.socket) -> None:
        while not self._closing.is_set():
            try:
                connection, _ = listener.accept()
            except OSError:
                return  # closed: by us, or by the system, and there is nobody to tell
            self._connections += 1
            self._run(self._converse, connection, self._connections)

    def _converse(self, connection: socket.socket, number: int) -> None:
        """Serve one connection until either side has had enough."""
        with self._changed:
            self._sockets.add(connection)
        try:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self._tls is not None:
                # Known before the handshake, so that closing the origin ends one that is under way.
                plain = connection
                connection = self._tls.wrap_socket(plain, server_side=True, do_handshake_on_connect=False)
                with self._changed:
                    self._sockets.discard(plain)
                    self._sockets.add(connection)
                connection.do_handshake()
            for request in self._read_requests(connection, number):
                if self._closing.is_set() or not self._answer(connection, request):
                    return
        except (OSError, EOFError, ValueError):
            return  # the client went away, or spoke something that is not HTTP
        finally:
            with self._changed:
                self._sockets.discard(connection)
            connection.close()

    def _read_requests(self, connection: socket.socket, number: int) -> Iterator[Request]:
        buffer = bytearray()
        while True:
            end = buffer.find(b"\r\n\r\n")
            while end < 0:
                received = connection.recv(65_536)
                if not received or len(buffer) > LONGEST_HEAD:
                    return
                buffer += received
                end = buffer.find(b"\r\n\r\n")
            first, *fields = bytes(buffer[:end]).decode("latin-1").split("\r\n")
            del buffer[: end + 4]
            method, target, _version = first.split(" ")
            pairs = (field.partition(":") for field in fields)
            headers = {name.strip().lower(): value.strip() for name, _, value in pairs}
            body_length = int(headers.get("content-length", "0"))
            while len(buffer) < body_length:
                received = connection.recv(65_536)
                if not received:
                    return
                buffer += received
            del buffer[:body_length]
            yield Request(method=method, target=target, headers=headers, connection=number)

    # -- answering -----------------------------------------------------------------------------------------------

    def _answer(self, connection: socket.socket, request: Request) -> bool:
        """Answer one request; returns whether the connection may go on."""
        with self._changed:
            self._requests.append(request)
            behaviours = self._behaviours_for(request)
            self._answering += 1
            self._most_at_once = max(self._most_at_once, self._answering)
            self._changed.notify_all()
        try:
            if any(isinstance(behaviour, IgnoreRange) for behaviour in behaviours):
                shown = replace(request, headers={k: v for k, v in request.headers.items() if k != "range"})
            else:
                shown = request
            answer = answer_for(shown, self._find(request.target))
            for behaviour in behaviours:
                answer = behaviour.apply(request, answer)
            return self._send(connection, request, answer)
        finally:
            with self._changed:
                self._answering -= 1

    def _behaviours_for(self, request: Request) -> tuple[Behaviour, ...]:
        for name in (request.target, request.path, EVERY_PATH):
            if self._scripts.get(name):
                return (self._scripts[name].popleft(),)
            if name in self._constant:
                return self._constant[name]
        return ()

    def _find(self, target: str) -> StoredObject | None:
        path = target.partition("?")[0]
        with self._changed:
            stored = self._objects.get(target) or self._objects.get(path) or self._objects.get(unquote(path))
            folders = list(self._folders)
        if stored is not None:
            return stored
        for at, folder in folders:
            if path.startswith(at):
                file = (folder / unquote(path[len(at) :])).resolve()
                if file.is_relative_to(folder) and file.is_file():
                    return stored_file(file)
        return None

    def _send(self, connection: socket.socket, request: Request, answer: Answer) -> bool:
        self._closing.wait(self.delay + answer.delay)
        if answer.hold is not None and answer.hold_after is None:
            self._wait_for(answer.hold)
        if answer.raw is not None:
            connection.sendall(answer.raw)
            return False
        if answer.silent:
            return self._end(connection, answer)
        while answer.endless_interim:
            connection.sendall(answer.interim)
        head = answer.interim + _head(answer)
        request.status = answer.status
        body = b"" if request.method == "HEAD" or answer.status in {204, 304} else answer.body
        self._send_body(connection, request, answer, head, body)
        if answer.framing == "chunked" and answer.ending == "keep" and body == answer.body:
            connection.sendall(b"0\r\n\r\n")
        if answer.ending == "keep" and request.headers.get("connection", "").lower() == "close":
            return False
        return self._end(connection, answer)

    def _send_body(self, connection: socket.socket, request: Request, answer: Answer, head: bytes, body: bytes) -> None:
        view = memoryview(body)[: answer.stop_after]
        pending, sent = head, 0
        while sent < len(view) and not self._closing.is_set():
            if answer.hold is not None and answer.hold_after is not None and not answer.hold.is_set():
                limit = max(answer.hold_after - sent, 0)
                if limit == 0:
                    connection.sendall(pending)
                    pending = b""
                    self._wait_for(answer.hold)
                    continue
            else:
                limit = len(view)
            block = view[sent : sent + min(answer.block, limit)]
            if answer.framing == "chunked":
                pending += b"%x\r\n" % len(block)
            # Counted first: a client that has the last byte must find the whole count in the log.
            request.body_bytes_sent += len(block)
            connection.sendall(b"".join((pending, block)))
            pending = b"\r\n" if answer.framing == "chunked" else b""
            sent += len(block)
            if answer.pause:
                self._closing.wait(answer.pause)
            if answer.endless and sent == len(view):
                sent = 0
        if pending:
            connection.sendall(pending)

    def _wait_for(self, event: threading.Event) -> None:
        while not event.wait(0.02) and not self._closing.is_set():
            continue

    def _end(self, connection: socket.socket, answer: Answer) -> bool:
        if answer.ending == "keep":
            return answer.framing != "close"
        if answer.ending == "reset":
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        while answer.ending == "stall" and connection.recv(65_536):
            continue  # whatever else the client says stays unanswered, until it goes away
        return False


def _head(answer: Answer) -> bytes:
    try:
        reason = HTTPStatus(answer.status).phrase
    except ValueError:
        reason = "Unknown"
    lines = [f"HTTP/1.1 {answer.status} {reason}", f"Date: {formatdate(time.time(), usegmt=True)}"]
    lines += [f"{name}: {value}" for name, value in answer.headers]
    if answer.framing == "chunked":
        lines.append("Transfer-Encoding: chunked")
    elif answer.framing == "close":
        lines.append("Connection: close")
    elif answer.status not in {204, 304}:
        length = len(answer.body) if answer.declared_length is None else answer.declared_length
        lines.append(f"Content-Length: {length}")
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")
