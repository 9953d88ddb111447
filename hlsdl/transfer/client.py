"""Client: one job's HTTP. It puts the pieces of this room together; other rooms ask it for bytes.

Rules are decided in `policy`, `credentials`, `ranges` and `content`; bytes are moved by `fetching` and `documents`.
What only media needs is imported when media is asked for: the first playlist can be on its way before.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeVar

from hlsdl.access.cookies import Cookie, read_cookies_txt
from hlsdl.access.credentials import CookieJar, Credentials
from hlsdl.access.gate import UrlPolicy
from hlsdl.access.limits import KIB, MIB, Limits
from hlsdl.access.proxies import ProxyRules
from hlsdl.access.urls import is_file_url, read_url
from hlsdl.errors import HlsdlError, first_of
from hlsdl.transfer.checking import CheckedUrls
from hlsdl.transfer.concurrency import START, most_at_rate
from hlsdl.transfer.cookie_file import read_cookie_file
from hlsdl.transfer.crew import SPARE, Crew
from hlsdl.transfer.documents import Body, DocumentKind, Reading
from hlsdl.transfer.doors import Door, QuickDoor, Timeouts
from hlsdl.transfer.exchange import Exchange, Sent
from hlsdl.transfer.local_files import LocalFiles, is_data_url
from hlsdl.transfer.options import TransferOptions
from hlsdl.transfer.patience import Clock, Patience, SystemClock
from hlsdl.transfer.policy import RetryPolicy
from hlsdl.transfer.resolving import Resolver, SystemResolver, Vetting
from hlsdl.transfer.tap import RateLimit, Tap
from hlsdl.transfer.transport import open_door

if TYPE_CHECKING:
    from hlsdl.planning.plan import Resource
    from hlsdl.transfer.joining import Run
    from hlsdl.transfer.lane import Keeper
    from hlsdl.transfer.parts import Entity, Forgive
    from hlsdl.transfer.sink import Sink


T = TypeVar("T")

AT_ONCE = 0.05
"""Seconds whose worth of bytes --limit-rate lets pass together: short, so that it is smooth, and still there is no
wake-up for each packet."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Job:
    """What one `fetch_all` was told to do with what it brings."""

    make_sink: Callable[[Resource], Sink]
    finished: Callable[[Resource, Sink], Awaitable[None]]
    on_bytes: Callable[[int], None] | None
    forgive: Forgive | None
    stopped: Callable[[], bool]
    given_up: Callable[[], bool]
    entities: Mapping[str, Entity]
    """Of each URL that is asked for in parts."""


class Client:
    """Brings everything that one source needs, by one set of rules.

        async with Client(TransferOptions(), "https://example.com/master.m3u8") as client:
            body = await client.read(url, kind="playlist", limit=32 * MIB)
            await client.fetch_all(plan.resources, make_sink, finished, on_bytes=progress.add)

    Args:
        options: what the user said.
        source_url: where the source is. Its origin gets the credentials.
        base_url: where a local playlist's relative URIs point (`--base-url`).
        typed: what of these the user typed; None: both. Only such a host may be private, and only such a `file:` URL
            allows local children.
        transport: an `httpx.AsyncBaseTransport` to use instead of our own connections. Names that it resolves are then
            not vetted; literal addresses and well-known names are.
        door: a door of another kind; wins over `transport`.
        limits, retry, clock, resolver, environment: for tests and unusual programs; the last names proxies.
    """

    def __init__(
        self,
        options: TransferOptions,
        source_url: str,
        *,
        base_url: str | None = None,
        typed: Sequence[str] | None = None,
        transport: Any = None,
        door: Door | None = None,
        limits: Limits | None = None,
        retry: RetryPolicy | None = None,
        clock: Clock | None = None,
        resolver: Resolver | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self._options = options
        self._limits = limits or Limits()
        self._clock = clock or SystemClock()
        sources = [url for url in (source_url, base_url) if url is not None]
        typed = sources if typed is None else typed
        self._policy = UrlPolicy.for_typed(
            typed, allow_private=options.allow_private, require_https=options.require_https, insecure=options.insecure
        )
        self._urls = CheckedUrls(self._policy)
        self._files = LocalFiles.beside(source_url, typed=source_url in typed)
        credentials = self._credentials(sources)
        self._door = door or self._make_door(transport, resolver or SystemResolver(), environment, credentials)
        self._exchange = Exchange(
            door=self._door,
            policy=self._policy,
            credentials=credentials,
            jar=CookieJar(self._limits),
            patience=Patience(
                retry or RetryPolicy(retries=options.retries),
                self._clock,
                connections=options.connections,
                ceiling=most_at_rate(options.limit_rate),
                pauses=options.pauses,
            ),
            limits=self._limits,
            timeouts=_timeouts(options, self._limits),
            block=MIB if options.limit_rate is None else max(4 * KIB, min(MIB, int(options.limit_rate * AT_ONCE))),
        )
        self._rate = _rate_limit(options.limit_rate, self._clock)
        self._begun: dict[tuple[str, DocumentKind, int], asyncio.Task[Body]] = {}
        """Documents that are read ahead."""

    def __repr__(self) -> str:
        return f"Client({self._options!r})"

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        try:
            if self._begun:
                await _end(self._begun.values())
        finally:
            await self._door.close()

    def require_allowed(self, url: str) -> None:
        """Say whether `fetch` may ask for `url`, as far as that can be seen without a look-up.

        Raises:
            PolicyError, LimitError, DiskError: as `fetch` would.
        """
        if is_file_url(url):
            self._files.permitted(url)
        else:
            self._urls.check(url)

    def met_playlist(self, url: str) -> None:
        """Be told of a playlist that need not be read: one from the network limits which local files are permitted."""
        self._files.met_remote_playlist |= not (is_file_url(url) or is_data_url(url))

    def read_ahead(self, url: str, *, kind: DocumentKind, limit: int) -> None:
        """Begin to read a document; the next `read` of the same gets its body or error. Unread, it ends with us."""
        self._begun[url, kind, limit] = asyncio.create_task(self._read(url, kind, limit))

    async def read(self, url: str, *, kind: DocumentKind, limit: int) -> Body:
        """Bring a small document whole; retries inside.

        A playlist may come as gzip and is decoded within bounds; a key has exactly 16 bytes.

        Raises:
            NetworkError: patience is spent, or the body stays cut.
            HttpError: the server refuses, or its certificate cannot be trusted.
            PolicyError: the URL, or one it redirects to, must not be asked for.
            LimitError: more than `limit` bytes.
            ContentKeyError: what came is no key.
            IntegrityError: the body stays encoded in a way that was not asked for.
        """
        begun = self._begun.pop((url, kind, limit), None)
        return await (begun or self._read(url, kind, limit))

    async def _read(self, url: str, kind: DocumentKind, limit: int) -> Body:
        if is_file_url(url) or is_data_url(url):
            return await self._files.document(url, kind, limit)
        if kind == "playlist":
            self.met_playlist(url)
        checked = self._policy.check_url(url)
        reading = Reading(
            exchange=self._exchange,
            url=checked,
            requested_url=url,
            kind=kind,
            limit=limit,
            tap=Tap(rate=self._rate),
        )
        return await self._exchange.patience.persist(checked.host, reading.attempt)

    async def fetch(
        self,
        resource: Resource,
        sink: Sink,
        *,
        on_bytes: Callable[[int], None] | None = None,
        on_total: Callable[[int], None] | None = None,
    ) -> None:
        """Bring one resource into its sink, with retries, and resuming where that is safe.

        `on_bytes` hears of every byte that comes off the wire, those of failed tries included; `on_total` of the size
        of the whole, whenever a response says it.

        Raises:
            NetworkError, HttpError, PolicyError, LimitError: as `read`.
            IntegrityError: what comes stays something else than media, or contradicts itself.
            HlsdlError: whatever the sink raises; the disk is never tried again.
        """
        await self._fetch(resource, sink, Tap(on_bytes=on_bytes, rate=self._rate, on_total=on_total))

    async def _fetch(
        self,
        resource: Resource,
        sink: Sink,
        tap: Tap,
        begun: Sent | None = None,
        given_up: Callable[[], bool] = lambda: False,
    ) -> None:
        """As `fetch`; with `begun`, its first question was sent already."""
        from hlsdl.transfer.fetching import Fetch

        checked = self._urls.known(resource.url)
        if checked is None and is_file_url(resource.url):
            await self._files.copy(resource, sink, tap, block=self._limits.block)
            return
        checked = checked or self._urls.check(resource.url)
        tap.pace = self._exchange.patience.host(checked.host)
        fetch = Fetch(exchange=self._exchange, url=checked, resource=resource, sink=sink, tap=tap, begun=begun)
        has_place = begun is not None and begun.take_place()
        persist = self._exchange.patience.persist
        await persist(checked.host, fetch.attempt, has_place=has_place, given_up=given_up)

    async def fetch_all(
        self,
        work: Iterable[Resource],
        make_sink: Callable[[Resource], Sink],
        finished: Callable[[Resource, Sink], Awaitable[None]],
        *,
        on_bytes: Callable[[int], None] | None = None,
        keeper: Keeper | None = None,
        forgive: Forgive | None = None,
        stopped: Callable[[], bool] = lambda: False,
        given_up: Callable[[], bool] = lambda: False,
    ) -> None:
        """Bring all of `work` in the order given, at most `options.connections` at once (None: as `concurrency` finds).

        A sequence is looked at ahead, and byte ranges of one URL that follow each other are asked for together
        (`joining`); what else is iterable is taken one by one. `finished` is awaited for each resource that is whole in
        its sink. A `keeper` is given what is small and comes as it mostly does; no sink is made for it (`lane`).

        The first permanent error stops the rest and is raised as it is; `forgive` may say that one resource's error is
        no reason to stop. Once `stopped` says so, what is under way comes to its end and nothing new begins; once
        `given_up` does, what fails is not tried again either.
        """
        from hlsdl.transfer.lane import Lane
        from hlsdl.transfer.parts import entities_of

        queue = self._joined(work)
        job = _Job(
            make_sink=make_sink,
            finished=finished,
            on_bytes=on_bytes,
            forgive=forgive,
            stopped=stopped,
            given_up=given_up,
            entities=entities_of(queue) if isinstance(queue, list) else {},
        )
        bring = partial(self._bring, job)
        try:
            async with asyncio.TaskGroup() as group:
                crew = Crew(group, iter(queue), bring, wanted=self._wanted_workers, stopped=stopped)
                lane = None
                if keeper is not None and self._rate is None and isinstance(self._door, QuickDoor):
                    door, heard = self._door, on_bytes or _unheard
                    lane = Lane(door, self._exchange, self._urls, keeper, heard, crew=crew, usually=bring)
                crew.fill()
                if lane is not None:  # now that there is something to attend to: a loop may begin its tasks at once
                    group.create_task(lane.attend())
        except BaseExceptionGroup as errors:
            raise first_of(errors) from None

    async def _bring(self, job: _Job, resource: Resource | Run, begun: Sent | None = None) -> None:
        """The usual way of one item, with `begun` from where it stands."""
        from hlsdl.transfer.joining import Run
        from hlsdl.transfer.parts import Cutter, PartsFetch

        tap = Tap(on_bytes=job.on_bytes, rate=self._rate)
        if isinstance(resource, Run):
            parts = PartsFetch(
                exchange=self._exchange,
                urls=self._urls,
                entity=job.entities[resource.url],
                cutter=Cutter(resource.parts, job.make_sink, job.finished),
                tap=tap,
                given_up=job.given_up,
            )
            await parts.bring(resource, forgive=job.forgive, stopped=job.stopped)
            return
        sink = job.make_sink(resource)
        try:
            await self._fetch(resource, sink, tap, begun, given_up=job.given_up)
        except HlsdlError as error:
            if job.forgive is None or not job.forgive(resource, error):
                raise
            await sink.restart()  # whoever tries once more begins with a sink of its own
        else:
            await job.finished(resource, sink)

    def _joined(self, work: Iterable[Resource]) -> Iterable[Resource] | list[Resource | Run]:
        from hlsdl.transfer.joining import fair_share, is_part, join

        if not (isinstance(work, Sequence) and any(map(is_part, work))):
            return work
        return join(work, most_bytes=fair_share(work, self._options.connections or START))

    def _wanted_workers(self) -> int:
        """How many resources may be under way: a few more than requests, since storing takes a moment too."""
        fixed = self._options.connections
        return max(1, fixed) if fixed is not None else self._exchange.patience.places + SPARE

    def _credentials(self, sources: list[str]) -> Credentials:
        options = self._options
        return Credentials.given(
            sources=[read_url(url) for url in sources if not is_file_url(url)],
            headers=options.headers,
            cookies=self._cookies(),
            trusted_origins=options.trusted_origins,
            user_agent=options.user_agent,
            referer=options.referer,
        )

    def _cookies(self) -> tuple[Cookie, ...]:
        file, text = self._options.cookies_file, self._options.cookies_text
        texts = (*((read_cookie_file(file),) if file is not None else ()), *((text,) if text is not None else ()))
        return tuple(cookie for one in texts for cookie in read_cookies_txt(one, now=time.time()))

    def _make_door(
        self, transport: Any, resolver: Resolver, environment: Mapping[str, str] | None, credentials: Credentials
    ) -> Door:
        if transport is not None:
            # Imported here: an HTTP library is heavy, and reading the options does not need one.
            from hlsdl.transfer.origin import GenericDoor

            return GenericDoor(transport)
        return open_door(
            self._options,
            vetting=Vetting(self._policy, resolver),
            proxies=ProxyRules(
                explicit=self._options.proxy, environment=os.environ if environment is None else environment
            ),
            limits=self._limits,
            shows_certificate_to=credentials.may_go_to,
        )


def _timeouts(options: TransferOptions, limits: Limits) -> Timeouts:
    return Timeouts(
        connect=options.timeout,
        first_byte=options.stall_timeout,
        stall=options.stall_timeout,
        slowest=limits.slowest,
        slow_after=limits.slow_after,
    )


def _unheard(_size: int) -> None:
    """Where nobody wants to hear of bytes."""


async def _end(tasks: Iterable[asyncio.Task[Body]]) -> None:
    """Give up what nobody waits for; whatever comes of it is nobody's."""
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def _rate_limit(rate: int | None, clock: Clock) -> RateLimit | None:
    if rate is None:
        return None
    from hlsdl.transfer.rate import SteadyRate

    return SteadyRate(rate, clock, at_once=max(1.0, rate * AT_ONCE))


__all__ = ["Body", "Client", "TransferOptions"]
