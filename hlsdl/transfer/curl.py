"""The door on libcurl, the default where pycurl has wheels: fast connections that go only where they may.

It is a `Door` as `doors` says, and builds nothing of an HTTP library for a request: a URL and header lines in, header
lines and body blocks out. A small body comes whole with its head, by one wake-up. Names are resolved and vetted by
`resolving`, then pinned, and each address is vetted again where the socket is made. Redirects, cookies, decoding and
the environment are never left to libcurl.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial

import pycurl

from hlsdl.access.limits import Limits
from hlsdl.access.proxies import Proxy, ProxyRules
from hlsdl.access.urls import SourceOrigin
from hlsdl.errors import HlsdlError
from hlsdl.transfer.curl_driver import Driver
from hlsdl.transfer.curl_errors import meaning, no_response
from hlsdl.transfer.curl_handle import (
    SLOW_BUFFER,
    Handle,
    find_authorities,
    header_lines,
    http_version,
    is_sent,
    set_constants,
    set_proxy,
)
from hlsdl.transfer.curl_interest import Interest
from hlsdl.transfer.curl_reply import CurlReply
from hlsdl.transfer.curl_transfer import Transfer
from hlsdl.transfer.descriptors import cut_off
from hlsdl.transfer.doors import Question, Setback, Timeouts
from hlsdl.transfer.hearing import Hearing
from hlsdl.transfer.opening import Opening
from hlsdl.transfer.options import TransferOptions
from hlsdl.transfer.pinning import Pin, Pins, closed
from hlsdl.transfer.resolving import Vetting
from hlsdl.transfer.trust import nobody

IDLE_CONNECTIONS = 128
"""Connections kept open, over all hosts."""
PER_HOST = 64
"""A last line only: how many requests go to a host at once is decided by who asks."""
KNOWN = 64
"""Sets of header lines that are kept ready."""
TICKS = 8
"""Looks at the time for each time-out."""

_MET_THE_END = frozenset({52, 55, 56})
"""Result codes: nothing came, or sending or receiving failed."""


class CurlDoor:
    """A job's connections by libcurl. One event loop only; made on the first question."""

    def __init__(
        self,
        *,
        vetting: Vetting,
        options: TransferOptions,
        proxies: ProxyRules,
        limits: Limits,
        shows_certificate_to: Callable[[SourceOrigin], bool] = nobody,
        interest: type[Interest] | None = None,
    ) -> None:
        """UsageError when a certificate file cannot be read or HTTP/3 is not to be had. `interest` is for tests.

        `shows_certificate_to` says which origins get to see that of `options.client_cert`.
        """
        http_version(options)
        self._options, self._proxies, self._limits = options, proxies, limits
        self._pins = Pins(vetting)
        self._interest = interest
        self._authorities = find_authorities(options)
        self._driver: Driver | None = None
        self._shows_certificate_to = None if options.client_cert is None else shows_certificate_to
        self._idle: dict[bool, list[Handle]] = {False: [], True: []}
        """By whether they show that certificate."""
        self._busy: dict[Transfer, Handle] = {}
        self._lines_of: dict[tuple[tuple[str, str], ...], list[bytes]] = {}
        self._last_lines: tuple[object, list[bytes]] = (None, [])
        """Those of the last question, found without comparing headers."""
        self._proxy_of: dict[SourceOrigin, Proxy | None] = {}
        self._openings: dict[SourceOrigin, Opening[Transfer]] = {}
        self._unsettled: set[Opening[Transfer]] = set()
        """Those of them of which a request has begun just now."""
        self._is_multiplexed = options.http2 or options.http3
        self._heard: dict[SourceOrigin, float] = {}
        """When something came of a request that shares its connection with others, on the loop's clock."""
        self._speaks_http1: set[SourceOrigin] = set()
        """Where more was offered, and not taken."""
        self._timer: asyncio.TimerHandle | None = None
        self._ticked = 0.0
        self._hearing = Hearing()

    async def ask(self, question: Question) -> CurlReply:
        """Send a GET and wait for the head, and for the first block of the body when it comes at once."""
        transfer = self.begin(question)
        if transfer is None:
            proxy = self._proxy_for(question.url.origin)
            pin = await self._pins.look_up(question.url, proxy, question.timeouts.connect)
            transfer = self._send(question, proxy, pin)
        return await self.answer(transfer)

    def begin(self, question: Question) -> Transfer | None:
        """Send a GET, unless its host must be looked up first: then None."""
        self._header_lines(question)  # before any look-up: what must not be sent is refused
        proxy = self._proxy_for(question.url.origin)
        pin = self._pins.known(question.url, proxy)
        return None if pin is None else self._send(question, proxy, pin)

    def _send(self, question: Question, proxy: Proxy | None, pin: Pin) -> Transfer:
        shows = self._shows_certificate_to is not None and self._shows_certificate_to(question.url.origin)
        idle = self._idle[shows]
        handle = idle.pop() if idle else self._new_handle(shows_certificate=shows)
        transfer = Transfer(question, handle, self)
        self._set_up(handle, transfer, self._header_lines(question), proxy, pin)
        self._busy[transfer] = handle
        if handle.opening.may_begin(transfer):
            self._start(transfer)
        if self._timer is None:
            self._keep_time(question.timeouts)
        return transfer

    def _start(self, transfer: Transfer) -> None:
        driver = self._driver
        assert driver is not None  # noqa: S101 - a handle was made with it
        driver.start(transfer.handle.curl, transfer.finished)
        self._unsettled.add(transfer.handle.opening)

    async def answer(self, request: Transfer) -> CurlReply:
        """Wait for the head of what was begun, and for the first block of the body when it comes at once."""
        transfer, question = request, request.question
        try:
            while True:
                await transfer.wait()
                head = transfer.head(self._limits)
                if head is not None:
                    if head.content_length is None and "content-length" in head.headers and not head.has_marked_end:
                        raise no_response(question)
                    transfer.is_open = True
                    self._note_answer(transfer)
                    return CurlReply(self, transfer, head)
                if transfer.is_done:
                    raise transfer.failure or no_response(question)
        except BaseException:
            self.abandon(transfer)
            raise

    def abandon(self, request: Transfer, failure: Setback | None = None) -> None:
        """Stop a transfer that is still under way; `failure` says why, to whoever waits for it."""
        if self._busy.pop(request, None) is None or self._driver is None:
            return
        self._driver.cancel(request.handle.curl)
        self._free(request, is_kept=False)
        request.end(failure)

    def keep_at_most(self, connections: int) -> None:
        """Close what is idle beyond so many."""
        if self._driver is not None:
            self._driver.keep_at_most(connections)

    async def close(self) -> None:
        """Cancel what is under way and close all connections."""
        look_ups = self._pins.cancel()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        driver, self._driver = self._driver, None
        if driver is not None:
            driver.close()
        for transfer in tuple(self._busy):
            transfer.end(closed())
        for handle in (*self._idle[False], *self._idle[True], *self._busy.values()):
            handle.curl.close()
        self._idle = {False: [], True: []}
        self._busy.clear()
        await look_ups

    # -- one request -----------------------------------------------------------------------------------------------

    def _set_up(self, handle: Handle, transfer: Transfer, headers: list[bytes], proxy: Proxy | None, pin: Pin) -> None:
        """What differs from request to request."""
        set_option = handle.curl.setopt
        url = transfer.question.url
        set_option(pycurl.URL, url.text)
        # Exactly as the playlist spells it, since signed URLs depend on that; libcurl has spellings of its own. A plain
        # proxy needs the absolute form.
        is_absolute = proxy is not None and url.scheme == "http" and proxy.scheme.startswith("http")
        set_option(pycurl.REQUEST_TARGET, url.text if is_absolute else url.target)
        if handle.headers is not headers:
            handle.headers = headers
            set_option(pycurl.HTTPHEADER, headers)
        set_option(pycurl.HEADERFUNCTION, transfer.lines.append)
        set_option(pycurl.WRITEFUNCTION, transfer.on_body)
        handle.refusal = None
        if handle.asks_anew != (is_anew := self._hearing.wants_anew(url.origin)):
            handle.asks_anew = is_anew
            set_option(pycurl.FRESH_CONNECT, int(is_anew))
        if handle.kept_idle != (seconds := self._hearing.kept_idle(url.origin)):
            handle.kept_idle = seconds
            set_option(pycurl.MAXAGE_CONN, seconds)
        if handle.proxy != proxy:
            handle.proxy = proxy
            set_proxy(handle.curl, proxy)
        opening = self._openings.get(url.origin)
        if opening is None:
            opening = self._openings[url.origin] = Opening()
        handle.opening, handle.request = opening, transfer
        if handle.pin is not pin:
            handle.pin = pin
            set_option(pycurl.RESOLVE, pin.entry)

    def _header_lines(self, question: Question) -> list[bytes]:
        """The header lines; those of the last question are mostly those of the next."""
        headers, lines = self._last_lines
        if headers is not question.headers:
            known = self._lines_of.get(question.headers)
            if known is None:
                if len(self._lines_of) >= KNOWN:
                    self._lines_of.clear()
                known = self._lines_of[question.headers] = header_lines(question)
            lines = known
            self._last_lines = (question.headers, lines)
        return lines

    def _proxy_for(self, origin: SourceOrigin) -> Proxy | None:
        if origin not in self._proxy_of:
            self._proxy_of[origin] = self._proxies.proxy_for(origin)
        return self._proxy_of[origin]

    def _new_handle(self, *, shows_certificate: bool) -> Handle:
        if self._driver is None:
            self._driver = Driver(
                idle=max(IDLE_CONNECTIONS, self._options.connections or 0),
                per_host=max(PER_HOST, self._options.connections or 0),
                multiplex=self._options.http2 or self._options.http3,
                begun=self._settle,
                interest=self._interest,
            )
        slow = self._options.limit_rate is not None
        buffer = SLOW_BUFFER if slow else None
        handle = Handle(self._driver.adopted, buffer, shows_certificate=shows_certificate)
        set_constants(handle, self._options, self._authorities)
        set_proxy(handle.curl, None)
        return handle

    def resume(self, transfer: Transfer) -> None:
        """Let a paused transfer go on."""
        if self._driver is not None:
            self._driver.resume(transfer.handle.curl)

    def ended(self, transfer: Transfer, code: int, message: str) -> None:
        """Libcurl is done with a transfer."""
        handle = self._busy.get(transfer)
        if handle is None or self._asks_anew(transfer, handle, code):
            return
        del self._busy[transfer]
        if code != 28:  # a time-out is nobody's word
            self._hearing.ended()
        failure: HlsdlError | Setback | None = None
        if self._is_multiplexed and transfer.lines:
            self._heard[transfer.question.url.origin] = asyncio.get_running_loop().time()
            if transfer.lines[0].startswith(b"HTTP/1"):
                self._speaks_http1.add(transfer.question.url.origin)
        if code:
            failure = handle.refusal or meaning(
                code,
                message,
                transfer.question,
                through_proxy=handle.proxy is not None,
                connect_status=handle.curl.getinfo(pycurl.HTTP_CONNECTCODE),
                is_head=bool(transfer.lines) or handle.curl.getinfo(pycurl.NUM_CONNECTS) > 0,
            )
            if not transfer.lines:
                self._pins.forget(transfer.question.url, handle.proxy)
        is_first = transfer in handle.opening.new
        if is_first:
            self._note_answer(transfer)
        # Of small answers on a kept connection there are thousands: that it was closed, the next request finds out.
        may_close = is_first or transfer.is_open
        self._free(transfer, is_kept=not code and not (may_close and transfer.closes))
        transfer.end(failure)

    def _settle(self) -> None:
        """Libcurl has opened connections for those that began just now, or has found some."""
        for opening in self._unsettled:
            opening.settled()
        self._unsettled.clear()

    def _note_answer(self, transfer: Transfer) -> None:
        """Something has come of it. Where many requests share a connection, that says nothing of connecting."""
        opening, curl = transfer.handle.opening, transfer.handle.curl
        if transfer in opening.new and transfer.lines and not self._is_multiplexed and self._driver is not None:
            opening.heard(transfer, curl.getinfo(pycurl.STARTTRANSFER_TIME))

    def _free(self, transfer: Transfer, *, is_kept: bool) -> None:
        """Its handle may be used again, and perhaps its connection."""
        opening = transfer.handle.opening
        self._idle[transfer.handle.shows_certificate].append(transfer.handle)
        opening.ended(transfer, is_kept=is_kept)
        if opening.held and self._driver is not None:
            for due in opening.due():
                self._start(due)

    def _asks_anew(self, transfer: Transfer, handle: Handle, code: int) -> bool:
        """Ask once more where a kept connection was closed under a request, which says nothing of the server.

        libcurl has asked again by itself, but on the next kept connection, which may have met the same end.
        """
        if self._is_multiplexed and transfer.question.url.origin not in self._speaks_http1:
            return False  # one connection for all: there a second stream on a new one is no rarity, and made none anew
        met_the_end = code in _MET_THE_END and not transfer.lines and handle.curl.getinfo(pycurl.NUM_CONNECTS) == 0
        if not met_the_end or handle.asks_anew or handle.refusal is not None or self._driver is None:
            return False
        handle.asks_anew = True
        handle.curl.setopt(pycurl.FRESH_CONNECT, 1)
        self._driver.start(handle.curl, transfer.finished)
        return True

    # -- time ------------------------------------------------------------------------------------------------------

    def _keep_time(self, timeouts: Timeouts) -> None:
        loop = asyncio.get_running_loop()
        self._ticked = loop.time()
        every = min(timeouts.first_byte, timeouts.stall, timeouts.slow_after, 2.0) / TICKS
        self._timer = loop.call_later(every, self._tick, loop, every)

    def _tick(self, loop: asyncio.AbstractEventLoop, every: float) -> None:
        self._timer = None
        now = loop.time()
        passed, self._ticked = now - self._ticked, now
        came = [one for one in self._busy if one.has_come_further()]
        self._hearing.look(now, has_come=bool(came))
        if self._is_multiplexed:
            self._heard |= {one.question.url.origin: now for one in came}
        for opening in self._openings.values():
            for overdue in opening.overdue():
                self._start(overdue)
        for transfer, handle in tuple(self._busy.items()):
            curl = handle.curl
            if transfer in handle.opening.held:
                continue  # it was not sent: what libcurl tells is of the request before it
            failure = transfer.tick(now, passed, partial(is_sent, curl), partial(self._is_unheard, transfer, curl, now))
            if failure is not None:
                if self._is_multiplexed:
                    self._leave(handle, transfer, now)
                self.abandon(transfer, failure)
            else:
                transfer.hand_over_what_is_old()
        if self._busy:
            self._timer = loop.call_later(every, self._tick, loop, every)

    def _is_unheard(self, transfer: Transfer, curl: pycurl.Curl, now: float) -> bool:
        """Where others share the connection, its end would be theirs: `_leave` knows of them."""
        is_shared = self._is_multiplexed and transfer.question.url.origin not in self._speaks_http1
        descriptor = curl.getinfo(pycurl.ACTIVESOCKET)
        return not is_shared and self._hearing.is_unheard(transfer.question.url.origin, descriptor, now)

    def _leave(self, handle: Handle, stalled: Transfer, now: float) -> None:
        """Cut off the connection of a stream that stalls, where nothing has come from its origin for as long: it may be
        dead, and each further try would be one more stream on it."""
        question, descriptor = stalled.question, handle.curl.getinfo(pycurl.ACTIVESOCKET)
        if descriptor >= 0 and now - self._heard.get(question.url.origin, 0.0) >= question.timeouts.stall:
            cut_off(descriptor)
