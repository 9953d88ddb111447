"""The loopback server's answers: one bundle and the page that plays it, as an ASGI application.

`admission` decides who is answered, `contents` finds and opens the files, `ranges` reads the Range header; this
module turns their values into responses. It never writes, and no request has a side effect. A playlist of which
nothing is stored yet is waited for, since most players give up at the first refusal.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.resources import files
from typing import BinaryIO

import anyio
import anyio.to_thread
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from hlsdl.bundle.layout import INDEX
from hlsdl.errors import HlsdlError
from hlsdl.player.admission import Refusal, judge
from hlsdl.player.contents import Contents
from hlsdl.player.growing import Absent, Text
from hlsdl.player.names import content_type, is_playlist
from hlsdl.player.ranges import Slice, choose_range

BLOCK = 256 * 1024
"""Bytes read from disk and handed to the socket at a time."""

PATIENCE = 20.0
"""Seconds that a request for a playlist waits for its first segment; players wait longer than that."""

LOOK_AGAIN = 0.2
"""Seconds between two looks meanwhile."""

RETRY_AFTER = "1"
"""Seconds after which it is worth asking again for what is not stored yet."""

ABOUT = "page/about.json"
"""Where the page learns the title and what the bundle is called."""

PAGE_FILES = {
    "": ("index.html", "text/html; charset=utf-8"),
    "page/player.js": ("player.js", "text/javascript; charset=utf-8"),
    "page/player.css": ("player.css", "text/css; charset=utf-8"),
    "page/vendor/shaka-player.ui.js": ("vendor/shaka-player.ui.js", "text/javascript; charset=utf-8"),
    "page/vendor/controls.css": ("vendor/controls.css", "text/css; charset=utf-8"),
}
"""What belongs to the page: path below the token -> (file below `web/`, content type)."""

PAGE_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' blob: data:; "
    "media-src 'self' blob: data:; connect-src 'self' blob: data:; worker-src 'self' blob:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
MEDIA_POLICY = "sandbox; default-src 'none'"

ALWAYS = {
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
}
"""Headers of every answer."""

_REFUSAL_TEXTS = {
    Refusal.BAD_REQUEST: "A request with a body is not understood here.",
    Refusal.FORBIDDEN: "This page may not read from here.",
    Refusal.NOT_FOUND: "There is nothing here.",
    Refusal.METHOD_NOT_ALLOWED: "Only GET and HEAD are understood here.",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class PlayerApp:
    """Serves one bundle to whoever knows the token. An ASGI application."""

    contents: Contents
    port: int
    token: str
    title: str
    """Shown when the bundle's manifest gives no title."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one HTTP request."""
        request = Request(scope, receive)
        verdict = judge(
            method=request.method,
            target=scope["raw_path"],
            headers=scope["headers"],
            port=self.port,
            token=self.token,
        )
        if verdict is Refusal.HANG_UP:
            await _hang_up(request)
            return
        response = _refuse(verdict) if isinstance(verdict, Refusal) else await self._answer(request, verdict.name)
        await response(scope, receive, send)

    async def _answer(self, request: Request, name: str) -> Response:
        if name in PAGE_FILES:
            return _page_file(name)
        try:
            if name == ABOUT:
                return await self._about()
            found = await self._find(request, name)
        except HlsdlError as error:
            return _text(error.message, 500)
        if found is Absent.NOT_YET:
            return _not_yet()
        if isinstance(found, Absent):
            return _refuse(Refusal.NOT_FOUND)
        return _growing_text(request, name, found) if isinstance(found, Text) else _bundle_file(request, name, found)

    async def _find(self, request: Request, name: str) -> BinaryIO | Text | Absent:
        """What is there; a playlist is waited for, as long as the client does."""
        until = anyio.current_time() + PATIENCE
        while (found := await anyio.to_thread.run_sync(self.contents.find, name)) is Absent.NOT_YET:
            if not is_playlist(name) or anyio.current_time() >= until or await request.is_disconnected():
                break
            await anyio.sleep(LOOK_AGAIN)
        return found

    async def _about(self) -> Response:
        description = await anyio.to_thread.run_sync(self.contents.describe)
        about = {"title": description.title or self.title, "state": description.state, "playlist": INDEX}
        return JSONResponse(about, headers={**ALWAYS, "Content-Security-Policy": MEDIA_POLICY})


async def _hang_up(request: Request) -> None:
    """Close the connection without a byte, and wait until it is closed."""
    request.scope["state"]["hang_up"]()
    while (await request.receive())["type"] != "http.disconnect":
        pass


def _refuse(refusal: Refusal) -> Response:
    response = _text(_REFUSAL_TEXTS[refusal], refusal.value)
    if refusal is Refusal.METHOD_NOT_ALLOWED:
        response.headers["Allow"] = "GET, HEAD"
    return response


def _text(text: str, status: int) -> Response:
    """Return a refusal. The connection ends with it: what follows on it may be a body that was never read."""
    headers = {**ALWAYS, "Content-Security-Policy": MEDIA_POLICY, "Connection": "close"}
    return PlainTextResponse(text + "\n", status, headers)


def _not_yet() -> Response:
    response = _text("This part is not stored yet.", 503)
    response.headers["Retry-After"] = RETRY_AFTER
    return response


def _growing_text(request: Request, name: str, text: Text) -> Response:
    """A growing playlist, whole: it is another one the next time, so no part of it is worth having."""
    headers = {**ALWAYS, "Content-Security-Policy": MEDIA_POLICY, "ETag": text.etag}
    if request.headers.get("if-none-match") == text.etag:
        return Response(status_code=304, headers=headers)
    return Response(text.data, headers={**headers, "Content-Type": content_type(name)})


def _page_file(name: str) -> Response:
    path, media_type = PAGE_FILES[name]
    try:
        data = files("hlsdl.player").joinpath("web", *path.split("/")).read_bytes()
    except FileNotFoundError:
        # The package was built where npm could not run: the page finds out by this answer, and says so.
        return _refuse(Refusal.NOT_FOUND)
    headers = {**ALWAYS, "Content-Security-Policy": PAGE_POLICY, "Cross-Origin-Opener-Policy": "same-origin"}
    return Response(data, headers={**headers, "Content-Type": media_type})


def _bundle_file(request: Request, name: str, file: BinaryIO) -> Response:
    """Return the file or the part of it that was asked for. The response closes the file."""
    size = os.fstat(file.fileno()).st_size
    headers = {**ALWAYS, "Content-Security-Policy": MEDIA_POLICY, "Accept-Ranges": "bytes"}
    part: Slice | str = "whole"
    # A Range has a meaning for GET only (RFC 9110 §14.2); If-Range never matches, as no validator is given.
    if request.method == "GET" and "if-range" not in request.headers:
        part = choose_range(request.headers.getlist("range"), size)
    if part == "unsatisfiable":
        file.close()
        return Response(status_code=416, headers={**headers, "Content-Range": f"bytes */{size}"})
    status = 200
    if isinstance(part, Slice):
        status = 206
        headers["Content-Range"] = f"bytes {part.start}-{part.start + part.length - 1}/{size}"
    else:
        part = Slice(start=0, length=size)
    headers |= {"Content-Length": str(part.length), "Content-Type": content_type(name)}
    if request.method == "HEAD":
        file.close()
        return Response(status_code=status, headers=headers)
    return _FileResponse(file, part, status, headers)


class _FileResponse(StreamingResponse):
    """Part of an open file, which is closed however the response ends."""

    def __init__(self, file: BinaryIO, part: Slice, status: int, headers: dict[str, str]) -> None:
        super().__init__(_blocks(file, part), status, headers)
        self.file = file

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            self.file.close()


def _blocks(file: BinaryIO, part: Slice) -> Iterator[bytes]:
    file.seek(part.start)
    left = part.length
    while left and (block := file.read(min(BLOCK, left))):
        left -= len(block)
        yield block
