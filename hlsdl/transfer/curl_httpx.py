"""httpx's requests over libcurl: for programs that speak httpx and want this room's connections.

    async with httpx.AsyncClient(transport=CurlTransport.for_source("https://films.example/")) as client:
        response = await client.get("https://films.example/master.m3u8")

hlsdl itself uses the door directly, since httpx's objects cost more than a small segment's transfer. The connections,
their vetting, proxies, time-outs and bounds are the door's; redirects, cookies and decoding are httpx's here.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Mapping
from typing import Any

import httpx

from hlsdl.access.credentials import Credentials
from hlsdl.access.gate import UrlPolicy
from hlsdl.access.limits import Limits
from hlsdl.access.proxies import ProxyRules
from hlsdl.access.urls import read_url
from hlsdl.errors import HlsdlError, LimitError, PolicyError
from hlsdl.transfer.curl import CurlDoor
from hlsdl.transfer.curl_reply import CurlReply
from hlsdl.transfer.doors import Question, Setback, Timeouts
from hlsdl.transfer.options import TransferOptions
from hlsdl.transfer.resolving import SystemResolver, Vetting

FOREVER = 86_400.0
"""Seconds: a time-out that httpx was told to do without."""

_OURS = frozenset({"host", "connection"})
"""Said by libcurl: they follow from the URL, and from the connection."""


class CurlTransport(httpx.AsyncBaseTransport):
    """An `httpx.AsyncBaseTransport` on libcurl; GET only, as everything here. One event loop only.

    `policy` is asked before each request, so that a redirect that httpx follows goes only where the first one might.
    What cannot be asked for, or fails, is an `httpx.TransportError` whose `__cause__` is our own error.
    """

    def __init__(self, door: CurlDoor, policy: UrlPolicy) -> None:
        self._door, self._policy = door, policy

    @classmethod
    def for_source(
        cls, url: str, options: TransferOptions | None = None, *, environment: Mapping[str, str] | None = None
    ) -> CurlTransport:
        """The rules of a job whose source is `url`: its host may be private, all others must not.

        Of `options` those are heeded that concern connections: proxy, certificates (the user's own for this source
        only), addresses, HTTP versions, `timeout` for connecting. `environment` (proxies) is by default that of the
        process. UsageError as `CurlDoor`.
        """
        options = options or TransferOptions()
        policy = UrlPolicy.for_typed([url], allow_private=options.allow_private, require_https=options.require_https)
        door = CurlDoor(
            vetting=Vetting(policy, SystemResolver()),
            options=options,
            proxies=ProxyRules(explicit=options.proxy, environment=os.environ if environment is None else environment),
            limits=Limits(),
            shows_certificate_to=Credentials.given(sources=[read_url(url)]).may_go_to,
        )
        return cls(door, policy)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send one request and wait for the head."""
        _refuse_more_than_get(request)
        target = request.extensions.get("target", request.url.raw_path).decode("ascii")
        try:
            question = Question(
                url=self._policy.check_url(f"{request.url.scheme}://{request.url.netloc.decode('ascii')}{target}"),
                headers=tuple(
                    (name.decode("ascii"), value.decode("utf-8"))
                    for name, value in request.headers.raw
                    if name.lower().decode("ascii") not in _OURS
                ),
                timeouts=_timeouts(request.extensions.get("timeout", {})),
            )
            reply = await self._door.ask(question)
        except (HlsdlError, Setback) as error:
            raise _foreign(error, httpx.ConnectError, request) from error
        return httpx.Response(
            reply.head.status,
            headers=[(name.encode("ascii"), value.encode("latin-1")) for name, value in reply.head.fields],
            stream=CurlStream(reply, request),
            extensions={"http_version": reply.head.http_version.encode("ascii")},
        )

    async def aclose(self) -> None:
        """Close all connections."""
        await self._door.close()


class CurlStream(httpx.AsyncByteStream):
    """The raw body; closing it before its end closes its connection."""

    def __init__(self, reply: CurlReply, request: httpx.Request) -> None:
        self._reply, self._request = reply, request

    async def __aiter__(self) -> AsyncIterator[bytes]:
        try:
            while block := await self._reply.read_block():
                yield block
        except (HlsdlError, Setback) as error:
            raise _foreign(error, httpx.ReadError, self._request) from error

    async def aclose(self) -> None:
        """Let go of the connection."""
        await self._reply.close()


def _refuse_more_than_get(request: httpx.Request) -> None:
    names = {name.lower() for name in request.headers}
    if request.method != "GET" or "transfer-encoding" in names or request.headers.get("content-length", "0") != "0":
        raise httpx.UnsupportedProtocol("only GET is spoken here, without a body", request=request)
    if request.headers.get("host", "").encode("latin-1") not in {b"", request.url.netloc}:
        raise httpx.UnsupportedProtocol("the Host header follows from the URL", request=request)


def _timeouts(given: Mapping[str, Any]) -> Timeouts:
    """httpx's `read` is for each wait, as ours are; its `connect` is the options' business here."""
    read = given.get("read")
    read = FOREVER if read is None else float(read)
    connect = given.get("connect")
    return Timeouts(connect=FOREVER if connect is None else float(connect), first_byte=read, stall=read, slowest=0)


def _foreign(
    error: HlsdlError | Setback, usual: type[httpx.TransportError], request: httpx.Request
) -> httpx.TransportError:
    """What httpx would call it; messages of ours hold no secrets."""
    told = error.error if isinstance(error, Setback) else error
    kind = usual
    if isinstance(error, Setback) and error.timed_out:
        kind = httpx.ReadTimeout if usual is httpx.ReadError else httpx.TimeoutException
    elif isinstance(told, PolicyError):
        kind = httpx.UnsupportedProtocol
    elif isinstance(told, LimitError):
        kind = httpx.RemoteProtocolError
    return kind(told.message, request=request)
