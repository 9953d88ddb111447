"""Where httpx and httpcore are used: connections that go only where they may, and the generic door.

`DirectTransport` is an `httpx.AsyncBaseTransport` whose connections are made by us: names are resolved and vetted by
`resolving`, response heads are bounded, proxies are explicit. `GenericDoor` turns any such transport, ours or a
caller's, into a `Door`, and translates every foreign exception once. Redirects, cookies and decoding of httpx are
never used: those decisions are `exchange`'s and `fetching`'s.
"""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import AsyncGenerator, AsyncIterator, Iterable
from importlib.util import find_spec
from typing import Any

import httpcore
import httpx

from hlsdl.access.limits import Limits
from hlsdl.access.proxies import Proxy, ProxyRules
from hlsdl.access.urls import DEFAULT_PORTS, SourceOrigin
from hlsdl.errors import HlsdlError, NetworkError, PolicyError, UsageError
from hlsdl.transfer.doors import Head, HeadWatch, PaceWatch, Question, Setback, Timeouts
from hlsdl.transfer.policy import certificate_refused, is_about_certificates
from hlsdl.transfer.proxying import proxy_addresses, refusal, speaks_no_socks, unreachable
from hlsdl.transfer.resolving import Vetting, first_connected
from hlsdl.transfer.trust import LazyTls

IDLE_CONNECTIONS = 64
"""Connections kept open without work, over all hosts."""
KEEP_ALIVE = 30.0
"""Seconds that an idle connection is kept."""

FOREIGN = (httpx.HTTPError, httpx.StreamError, httpx.InvalidURL, OSError, *(
    httpcore.NetworkError, httpcore.ProtocolError, httpcore.TimeoutException, httpcore.ProxyError,
    httpcore.UnsupportedProtocol, httpcore.ConnectionNotAvailable,
))  # fmt: skip
"""What a transport may raise, besides what our own connections raise already translated."""


def certificate_error(error: BaseException) -> ssl.SSLError | None:
    """The TLS failure behind `error` that trying again cannot cure, or None."""
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, ssl.SSLError) and is_about_certificates(str(seen.reason or seen)):
            return seen
        seen = seen.__cause__ or seen.__context__
    return None


def translate(error: Exception, url: str, timeouts: Timeouts) -> HlsdlError | Setback:
    """What a foreign exception means: Setback when another try may help, an HlsdlError when not."""
    if isinstance(error.__cause__, HlsdlError | Setback):  # a transport of ours has said it already
        return error.__cause__
    tls = certificate_error(error)
    if tls is not None:
        found = getattr(tls, "verify_message", "") or tls.reason or "the handshake failed"
        reason = str(found).replace("_", " ").lower()
        return certificate_refused(str(tls.reason), reason, url)
    if isinstance(error, httpx.UnsupportedProtocol | httpx.InvalidURL | httpcore.UnsupportedProtocol):
        return PolicyError("a URL cannot be asked for over HTTP", url=url)
    if isinstance(error, httpx.ProxyError | httpcore.ProxyError):
        return refusal(str(error), url)
    if isinstance(error, httpx.ConnectTimeout | httpcore.ConnectTimeout):
        message = f"connecting took longer than {timeouts.connect:g} seconds"
    elif isinstance(error, httpx.TimeoutException | httpcore.TimeoutException):
        message = f"the server sent nothing for {timeouts.stall:g} seconds"
    elif isinstance(error, httpx.ConnectError | httpcore.ConnectError):
        message = "the connection cannot be made"
    elif isinstance(error, httpx.ProtocolError | httpcore.ProtocolError):
        message = "the server broke off or broke the protocol"
    else:
        message = "the connection failed"
    hint = "check the network; run the same command again to go on"
    timed_out = isinstance(error, httpx.TimeoutException | httpcore.TimeoutException)
    return Setback(NetworkError(message, url=url, hint=hint, retryable=True), timed_out=timed_out)


class GuardedStream(httpcore.AsyncNetworkStream):
    """A connection whose response heads are watched; encrypting it later does not end the watch."""

    def __init__(self, stream: httpcore.AsyncNetworkStream, watch: HeadWatch) -> None:
        self._stream, self._watch = stream, watch
        tls = stream.get_extra_info("ssl_object")
        self._is_http1 = tls is None or tls.selected_alpn_protocol() != "h2"

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        """Read, unless the head that is being read is over its limits."""
        self._watch.check()
        data = await self._stream.read(max_bytes, timeout)
        self._watch.received(data)
        return data

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        """Write; a request begins a new head."""
        if buffer:
            self._watch.asked(watch=self._is_http1)
        await self._stream.write(buffer, timeout)

    async def aclose(self) -> None:
        """Close."""
        await self._stream.aclose()

    async def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.AsyncNetworkStream:
        """Continue encrypted, still watched."""
        return GuardedStream(await self._stream.start_tls(ssl_context, server_hostname, timeout), self._watch)

    def get_extra_info(self, info: str) -> Any:
        """Whatever the connection knows."""
        return self._stream.get_extra_info(info)


class PinnedBackend(httpcore.AsyncNetworkBackend):
    """Makes one line's connections: to vetted addresses, or to a proxy that the user or environment named."""

    def __init__(self, vetting: Vetting | None, limits: Limits) -> None:
        self._vetting = vetting
        self._backend = httpcore.AnyIOBackend()
        self.opened = 0
        """Connections made so far."""
        self.watch = HeadWatch(limits)

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """Resolve, vet, and connect to one of the vetted addresses; `timeout` is for each of these steps."""
        patience = timeout or Timeouts().connect
        if self._vetting is None:
            addresses = await proxy_addresses(host, port, patience)
        else:
            addresses = await self._vetting.addresses(host, port, timeout=patience)

        async def connect(address: str) -> httpcore.AsyncNetworkStream:
            return await self._backend.connect_tcp(address, port, patience, local_address, socket_options)

        try:
            stream = await first_connected(addresses, connect, lambda late: late.aclose())
        except httpcore.ConnectError as error:
            if self._vetting is None:
                raise unreachable() from error
            raise
        self.opened += 1
        return GuardedStream(stream, self.watch)

    async def sleep(self, seconds: float) -> None:
        """Only httpcore's own retries would call this; they are off."""
        await asyncio.sleep(seconds)


class Line:
    """One connection to one origin: a pool of one, since httpcore's pools slow down as they grow."""

    def __init__(self, pool: httpcore.AsyncConnectionPool, backend: PinnedBackend, key: SourceOrigin) -> None:
        self.pool, self.backend, self.key = pool, backend, key

    def lost_the_race(self, opened_before: int) -> bool:
        """Whether a request failed because the server closed an idle connection just then: no byte came back."""
        return 0 < self.backend.opened == opened_before and not self.backend.watch.answered

    @property
    def is_clean(self) -> bool:
        """Whether the connection holds nothing that could be taken for the answer to a later request."""
        for connection in self.pool.connections:
            inner: Any = connection
            while getattr(inner, "_connection", None) is not None:
                inner = inner._connection
            state = getattr(inner, "_h11_state", None)
            if state is not None and state.trailing_data[0]:
                return False
            if state is None and not hasattr(inner, "_h2_state"):
                return False
        return True


class DirectTransport(httpx.AsyncBaseTransport):
    """Requests over vetted connections, each line used by one request at a time.

    How many lines there are is decided by who asks: as many as requests at once.
    """

    def __init__(
        self, *, vetting: Vetting, tls: LazyTls, proxies: ProxyRules, limits: Limits, http2: bool = False
    ) -> None:
        if http2 and find_spec("h2") is None:
            raise UsageError("HTTP/2 is not installed", hint='install it with: pip install "hlsdl[http2]"')
        self._vetting, self._tls, self._proxies = vetting, tls, proxies
        self._limits, self._http2 = limits, http2
        self._idle: dict[SourceOrigin, list[Line]] = {}

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send one request; a keep-alive race is silently tried again on a fresh connection."""
        url = request.url
        extensions = dict(request.extensions)
        target = extensions.pop("target", url.raw_path)
        asked = httpcore.Request(
            request.method,
            httpcore.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=target),
            headers=request.headers.raw,
            content=request.stream,
            extensions=extensions,
        )
        key = SourceOrigin(url.scheme, url.raw_host.decode("ascii"), url.port or DEFAULT_PORTS.get(url.scheme, 0))
        line = self._idle[key].pop() if self._idle.get(key) else self._new_line(key)
        opened = line.backend.opened
        try:
            answer = await self._answer(line, asked)
        except (httpcore.NetworkError, httpcore.RemoteProtocolError):
            if not line.lost_the_race(opened):
                raise
            line = self._new_line(key)
            answer = await self._answer(line, asked)
        line.backend.watch.head_complete()
        stream = LineStream(self, line, answer.stream)
        return httpx.Response(answer.status, headers=answer.headers, stream=stream, extensions=answer.extensions)

    async def _answer(self, line: Line, asked: httpcore.Request) -> httpcore.Response:
        try:
            return await line.pool.handle_async_request(asked)
        except BaseException as error:
            await line.pool.aclose()
            if speaks_no_socks(error):
                raise httpcore.ProxyError("it speaks no SOCKS5") from error
            raise

    def _new_line(self, key: SourceOrigin) -> Line:
        proxy = self._proxies.proxy_for(key)
        backend = PinnedBackend(None if proxy else self._vetting, self._limits)
        pool = httpcore.AsyncConnectionPool(
            ssl_context=self._tls.context_for(key) if key.scheme == "https" else None,
            proxy=self._httpcore_proxy(proxy) if proxy else None,
            max_connections=1,
            keepalive_expiry=KEEP_ALIVE,
            http2=self._http2,
            network_backend=backend,
        )
        return Line(pool, backend, key)

    def _httpcore_proxy(self, proxy: Proxy) -> httpcore.Proxy:
        if proxy.scheme.startswith("socks") and find_spec("socksio") is None:
            raise UsageError("SOCKS proxies are not installed", hint='install them with: pip install "hlsdl[socks]"')
        auth = None if proxy.user is None else (proxy.user, proxy.password or "")
        context = self._tls.anonymous if proxy.scheme == "https" else None
        return httpcore.Proxy(proxy.url, auth=auth, ssl_context=context)

    async def give_back(self, line: Line) -> None:
        """Keep a line whose response was read to its end for the next request to the same origin."""
        if not line.is_clean:
            await line.pool.aclose()
            return
        self._idle.setdefault(line.key, []).append(line)
        if sum(map(len, self._idle.values())) > IDLE_CONNECTIONS:
            oldest = next(key for key, lines in self._idle.items() if lines)
            await self._idle[oldest].pop(0).pool.aclose()

    async def aclose(self) -> None:
        """Close all idle connections; the others are closed by those who use them."""
        idle, self._idle = self._idle, {}
        for line in (line for lines in idle.values() for line in lines):
            await line.pool.aclose()


class LineStream(httpx.AsyncByteStream):
    """A body on its line; the line goes back when the body was read to its end, else the connection is dropped."""

    def __init__(self, transport: DirectTransport, line: Line, stream: Any) -> None:
        self._transport, self._line, self._stream = transport, line, stream
        self._is_read = self._is_closed = False

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for block in self._stream:
            yield block
        self._is_read = True

    async def aclose(self) -> None:
        """Let go of the line."""
        if self._is_closed:
            return
        self._is_closed = True
        await self._stream.aclose()
        if self._is_read:
            await self._transport.give_back(self._line)
        else:
            await self._line.pool.aclose()


class GenericReply:
    """A response of any httpx transport."""

    def __init__(self, response: httpx.Response, question: Question) -> None:
        self.head = Head(
            status=response.status_code,
            fields=tuple((k.decode("latin-1").lower(), v.decode("latin-1")) for k, v in response.headers.raw),
            http_version=response.http_version,
        )
        self._response, self._question = response, question
        # Not `aiter_raw`: a response that was made with its content in hand refuses it.
        self._blocks = aiter(response.stream)  # type: ignore[arg-type]
        self._pace = PaceWatch(question.timeouts, question.url.text)
        self._is_done = False

    @property
    def is_over(self) -> bool:
        """Whether the transport has said that nothing follows."""
        return self._is_done

    ready = 0
    """Never known of a transport that may be any."""

    async def read_block(self) -> bytes:
        """The next bytes of the raw body, or b"" at its end."""
        while not self._is_done:
            started = time.monotonic()
            try:
                block = await anext(self._blocks)
            except StopAsyncIteration:
                self._is_done = True
                break
            except FOREIGN as error:
                raise translate(error, self._question.url.text, self._question.timeouts) from error
            self._pace.note(time.monotonic() - started, len(block))
            if block:
                return block
        return b""

    def take_rest(self) -> bytes:
        """Nothing: what was not read is still with the transport."""
        return b""

    async def close(self) -> None:
        """Let go of the connection."""
        self._is_done = True
        try:
            if isinstance(self._blocks, AsyncGenerator):
                await self._blocks.aclose()
            await self._response.stream.aclose()  # type: ignore[union-attr]
        except FOREIGN:
            return  # it is closed, one way or another, and its body is not wanted any more


class GenericDoor:
    """A door over any `httpx.AsyncBaseTransport`: ours, httpx's own, a mock, or one that a program brings.

    Only `DirectTransport` vets the addresses that names resolve to. With another transport, or behind a proxy, the
    rules apply to names and literal addresses.
    """

    def __init__(self, transport: httpx.AsyncBaseTransport) -> None:
        self._transport = transport

    async def ask(self, question: Question) -> GenericReply:
        """Send a GET and wait for the response head."""
        timeouts = question.timeouts
        patience = {
            "connect": timeouts.connect,
            "read": timeouts.first_byte,
            "write": timeouts.stall,
            "pool": timeouts.first_byte,
        }
        request = httpx.Request(
            "GET",
            question.url.text,
            headers=[(name.encode("ascii"), value.encode("utf-8")) for name, value in question.headers],
            extensions={"timeout": patience},
        )
        # The target is sent exactly as the playlist spells it, since signed URLs depend on that; httpx may spell it
        # in another way. (Given always, it would undo the absolute form that a plain proxy needs.)
        target = question.url.target.encode("ascii")
        if request.url.raw_path != target:
            request.extensions["target"] = target
        try:
            # Each wait has its own limit; this one is for a head that trickles in byte by byte.
            async with asyncio.timeout(4 * timeouts.connect + timeouts.first_byte):
                response = await self._transport.handle_async_request(request)
        except FOREIGN as error:
            raise translate(error, question.url.text, timeouts) from error
        patience["read"] = timeouts.stall
        return GenericReply(response, question)

    async def close(self) -> None:
        """Close the transport."""
        await self._transport.aclose()


def open_generic_door(
    *, vetting: Vetting, tls: LazyTls, proxies: ProxyRules, limits: Limits, http2: bool = False
) -> GenericDoor:
    """The door of a job: our own transport."""
    return GenericDoor(DirectTransport(vetting=vetting, tls=tls, proxies=proxies, limits=limits, http2=http2))
