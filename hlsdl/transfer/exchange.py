"""One question, answered for good: redirects followed, every hop checked, statuses judged.

Our own redirect loop, since credentials, the URL gate and the host's pause are decided anew at each hop. Bodies are
`fetching`'s business, retries are `patience`'s.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from hlsdl.access.credentials import CookieJar, Credentials
from hlsdl.access.gate import UrlPolicy
from hlsdl.access.limits import MIB, Limits
from hlsdl.access.urls import CheckedUrl, SourceOrigin
from hlsdl.errors import HlsdlError, HttpError, IntegrityError, LimitError, NetworkError, PolicyError
from hlsdl.transfer.doors import Door, Head, KeepsConnections, Question, Reply, Setback, Timeouts, discard
from hlsdl.transfer.patience import HostPace, Patience
from hlsdl.transfer.policy import StatusClass, class_of_status, hint_for_status, read_retry_after
from hlsdl.transfer.ranges import is_whole

Headers = tuple[tuple[str, str], ...]

PLAIN = (("Accept-Encoding", "identity"),)
"""Asks for a body as it is."""
HINT_OTHER = "the server serves it wrong; as soon as it no longer does, the same command goes on"
HINT_CUT = "the connection to the server is unstable; run the same command again to go on"
KNOWN = 64
"""Origins whose standing headers are kept ready."""


class Sent:
    """A question that was sent already, together with the place at its host that it has."""

    __slots__ = ("_pace", "answer")

    def __init__(self, answer: Callable[[], Awaitable[Reply]], pace: HostPace) -> None:
        self.answer = answer
        """Waits for its reply."""
        self._pace: HostPace | None = pace

    def take_place(self) -> bool:
        """The place is the caller's from now on; False when it was taken already."""
        pace, self._pace = self._pace, None
        return pace is not None

    def give_back(self) -> bool:
        """Give the place back, unless somebody took it: then False."""
        pace, self._pace = self._pace, None
        if pace is not None:
            pace.leave()
        return pace is not None


@dataclass(slots=True, kw_only=True)
class Opened:
    """A reply with a status that says success (or 416 to a range), its body still to be read."""

    reply: Reply
    head: Head
    """Its status and headers."""
    url: CheckedUrl
    """Where it came from in the end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchange:
    """Everything that a job's requests have in common."""

    door: Door
    policy: UrlPolicy
    credentials: Credentials
    jar: CookieJar
    patience: Patience
    limits: Limits
    timeouts: Timeouts
    block: int = MIB
    """Bytes that the door may gather."""
    standing: dict[SourceOrigin, tuple[Headers, Headers]] = field(default_factory=dict, init=False, repr=False)
    """What was asked last of an origin where no cookies are about, and all headers of that request: thousands of
    segments are asked for by the very same ones."""

    async def open(
        self, url: CheckedUrl, headers: Headers, *, block: int | None = None, begun: Sent | None = None
    ) -> Opened:
        """Ask for `url` with these headers besides the credentials, and follow redirects.

        `block`: bytes that the door may gather, when they are fewer than usual. `begun`: this question, sent already.

        Setback for a status or failure that another try may heal, HttpError for a refusal, PolicyError for a hop that
        must not be made, LimitError for a head that is too large.
        """
        here = url
        for _ in range(self.limits.redirects + 1):
            if begun is not None:
                reply, begun = await begun.answer(), None
            else:
                if self.patience.is_paused(here.host):
                    await self.patience.wait_for(here.host)
                reply = await self.door.ask(self.question(here, headers, block))
            head = reply.head
            try:
                location = self._judge(here, head, headers)
            except (HlsdlError, Setback) as failure:
                if here is not url and isinstance(failure, Setback) and failure.wait is not None:
                    now = self.patience.clock.now()
                    self.patience.host(url.host).crowded(now=now, until=now + failure.wait)
                await discard(reply)
                raise
            if location is None:
                return Opened(reply=reply, head=head, url=here)
            await discard(reply)
            here = self.policy.check_redirect(here, location)
        raise PolicyError(f"the server redirects more than {self.limits.redirects} times", url=url.text)

    def question(self, url: CheckedUrl, headers: Headers, block: int | None = None) -> Question:
        """What `open` asks first."""
        block = self.block if block is None else min(block, self.block)
        return Question(url=url, headers=self._all_headers(url, headers), timeouts=self.timeouts, block=block)

    def _all_headers(self, url: CheckedUrl, asked: Headers) -> Headers:
        """What is always sent to `url`, and what is asked of it; only cookies look at more of it than its origin."""
        kept = self.jar.cookies_of(url) if self.jar.has_any else ()
        is_standing = not kept and not self.credentials.cookies
        if is_standing and (standing := self.standing.get(url.origin)) is not None and standing[0] is asked:
            return standing[1]
        given = self.credentials.headers_for(url, now=self.patience.clock.wall(), kept=kept)
        names = {name.lower() for name, _ in given}
        headers = (*given, *(() if "accept" in names else (("Accept", "*/*"),)), *asked)
        if is_standing:
            if len(self.standing) >= KNOWN:
                self.standing.clear()
            self.standing[url.origin] = (asked, headers)
        return headers

    def _judge(self, url: CheckedUrl, head: Head, asked: Headers) -> str | None:
        """Return the Location to follow, or None when the body is what was asked for; raises for anything else."""
        if head.size > self.limits.head_bytes or len(head.fields) > self.limits.head_fields:
            raise LimitError(
                f"the response head has {len(head.fields)} fields and {head.size} bytes, more than allowed",
                url=url.text,
            )
        if "set-cookie" in head.headers:
            set_cookies = [value for name, value in head.fields if name == "set-cookie"]
            self.jar.store(url, set_cookies, now=self.patience.clock.wall())
        if head.flaw is not None:
            raise Setback(IntegrityError(f"the server {head.flaw}", url=url.text, hint=HINT_OTHER), retries=2)
        if head.status == 200:  # as nearly always
            return None
        kind = class_of_status(head.status)
        is_for_range = any(name == "Range" for name, _ in asked)
        if head.status == 206 and not (is_for_range or is_whole(head.headers, head.content_length)):
            told = "the server answers with a part where the whole was asked for"
            raise Setback(IntegrityError(told, url=url.text, hint=HINT_OTHER), retries=2)
        if kind is StatusClass.SUCCESS or (head.status == 416 and is_for_range):
            return None
        location = head.headers.get("location")
        if kind is StatusClass.REDIRECT and location:
            return location
        if kind is StatusClass.RETRY:
            raise self._passing_failure(url, head)
        where = " and does not say where it is" if kind is StatusClass.REDIRECT else ""
        raise HttpError(
            f"the server answers {head.status}{where}",
            url=url.text,
            http_status=head.status,
            hint=hint_for_status(head.status),
            challenge=head.headers.get("www-authenticate"),
        )

    def _passing_failure(self, url: CheckedUrl, head: Head) -> Setback:
        wait = None
        if head.status in {429, 503}:
            wait = self.patience.throttled(
                url.host,
                retry_after=read_retry_after(
                    head.headers.get("retry-after"),
                    date=head.headers.get("date"),
                    now=self.patience.clock.wall(),
                ),
                url=url.text,
                status=head.status,
            )
            if isinstance(self.door, KeepsConnections):  # it may count those that are open, and not those in use
                self.door.keep_at_most(self.patience.allowed)
        error = NetworkError(
            f"the server answers {head.status}",
            url=url.text,
            http_status=head.status,
            hint="run the same command again later; what is stored stays",
            retryable=True,
        )
        return Setback(error, wait=wait)
