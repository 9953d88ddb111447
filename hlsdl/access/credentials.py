"""Who gets what: headers and cookies stay with the origin they were given for.

Pure, apart from the bounded jar of what servers set. `exchange` asks anew for each request and each redirect hop, so a
redirect can carry nothing to another origin.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from hlsdl.access.addresses import read_host
from hlsdl.access.cookies import Cookie, read_set_cookie
from hlsdl.access.limits import Limits
from hlsdl.access.urls import DEFAULT_PORTS, CheckedUrl, SourceOrigin, is_text
from hlsdl.errors import UsageError

DEFAULT_USER_AGENT = "hlsdl"

OURS = frozenset(
    {
        "host",
        "connection",
        "content-length",
        "transfer-encoding",
        "te",
        "upgrade",
        "range",
        "if-range",
        "accept-encoding",
    }
)
"""Headers that the engine sets itself; a wrong one would break ranges, framing or the checks."""

_NAME = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_UNSENDABLE = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """What was given for a source, and where it may go: its own origins and the trusted ones.

    `Referer` and `User-Agent` are no secrets: the agent goes everywhere; the referer goes in full to the source's
    origins and as a bare origin elsewhere, as a browser sends it.
    """

    origins: frozenset[SourceOrigin] = frozenset()
    headers: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    cookies: tuple[Cookie, ...] = field(default=(), repr=False)
    trusted: frozenset[tuple[str, int | None]] = frozenset()
    """(host, port or None for any) of --trust-origin."""
    user_agent: str = DEFAULT_USER_AGENT
    referer: str | None = field(default=None, repr=False)

    @classmethod
    def given(
        cls,
        *,
        sources: Iterable[CheckedUrl],
        headers: Sequence[tuple[str, str]] = (),
        cookies: Sequence[Cookie] = (),
        trusted_origins: Iterable[str] = (),
        user_agent: str | None = None,
        referer: str | None = None,
    ) -> Credentials:
        """Check what the user gave; UsageError for a header that cannot be sent or is not theirs to set.

        A `user_agent` or `referer` of its own wins over one among `headers`.
        """
        named = (("User-Agent", user_agent), ("Referer", referer))
        user_agent, referer, kept = DEFAULT_USER_AGENT, None, []
        for name, value in (*headers, *((name, value) for name, value in named if value)):
            if not _NAME.fullmatch(name) or _UNSENDABLE.search(value) or not is_text(value):
                raise UsageError(
                    f"the header `{name[:40]!a}` cannot be sent: its name or value has forbidden characters"
                )
            if name.lower() in OURS:
                raise UsageError(f"the header `{name}` is set by hlsdl itself and cannot be given")
            if name.lower() == "user-agent":
                user_agent = value.strip()
            elif name.lower() == "referer":
                referer = value.strip()
            else:
                kept.append((name, value.strip()))
        return cls(
            origins=frozenset(source.origin for source in sources),
            headers=tuple(kept),
            cookies=tuple(cookies),
            trusted=frozenset(_read_trusted(origin) for origin in trusted_origins),
            user_agent=user_agent,
            referer=referer,
        )

    def may_go_to(self, origin: SourceOrigin) -> bool:
        """Whether `origin` is the source's or a trusted one.

        A trusted host gets nothing over http unless the source itself is on http: that would be a leak to the wire.
        """
        if origin in self.origins:
            return True
        if origin.scheme == "http" and not any(origin.scheme == "http" for origin in self.origins):
            return False
        return not self.trusted.isdisjoint({(origin.host, origin.port), (origin.host, None)})

    def headers_for(self, url: CheckedUrl, *, now: float, kept: Iterable[Cookie] = ()) -> list[tuple[str, str]]:
        """The headers of a request for `url`; `kept` are the cookies that this origin has set itself."""
        headers = [("User-Agent", self.user_agent)]
        ours = self.may_go_to(url.origin)
        referer = self._referer_for(url, whole=ours)
        if referer is not None:
            headers.append(("Referer", referer))
        pairs: dict[str, str] = {}
        if ours:
            headers += [(name, value) for name, value in self.headers if name.lower() != "cookie"]
            pairs.update((cookie.name, cookie.value) for cookie in self.cookies if cookie.suits(url, now))
        pairs.update((cookie.name, cookie.value) for cookie in kept if cookie.suits(url, now))
        texts = [f"{name}={value}" if name else value for name, value in pairs.items()]
        if ours:
            texts += [value for name, value in self.headers if name.lower() == "cookie"]
        if texts:
            headers.append(("Cookie", "; ".join(texts)))
        return headers

    def _referer_for(self, url: CheckedUrl, *, whole: bool) -> str | None:
        if self.referer is None or whole:
            return self.referer
        found = re.match(r"(https?)://[^/?#@]+(?=[/?#]|$)", self.referer, re.IGNORECASE)
        if found is None or (found[1].lower() == "https" and url.scheme == "http"):
            return None
        return found[0] + "/"


def _read_trusted(written: str) -> tuple[str, int | None]:
    """Read `host`, `host:port`, `[v6]:port` or an http(s) origin."""
    found = re.fullmatch(r"(?:(https?)://)?(\[[0-9A-Fa-f:.]+\]|[^:/?#@\[\]\s]+)(?::([0-9]{1,5}))?/?", written)
    if found is None:
        raise UsageError(f"`{written}` is no host to trust", hint="give a host name such as cdn.example.com")
    port = int(found[3]) if found[3] else DEFAULT_PORTS.get(found[1] or "")
    try:
        return read_host(found[2]), port  # as hosts of URLs are read, with which it is compared
    except ValueError as error:
        told = f"`{written}` is no host to trust: {error}"
        raise UsageError(told, hint="give a host name such as cdn.example.com") from error


class CookieJar:
    """The cookies that servers set during a job: kept for each origin alone, and bounded.

    Past the bounds the oldest cookie, or the origin that set one longest ago, is forgotten.
    """

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._origins: OrderedDict[SourceOrigin, OrderedDict[tuple[str, str], Cookie]] = OrderedDict()

    def __repr__(self) -> str:
        return f"CookieJar({len(self._origins)} origins)"

    def store(self, url: CheckedUrl, set_cookie: Iterable[str], *, now: float) -> None:
        """Take the Set-Cookie headers of a response from `url`; unusable and oversized ones are not kept."""
        for header in set_cookie:
            if len(header) > self._limits.cookie_bytes:
                continue
            cookie = read_set_cookie(header, url, now=now)
            if cookie is None or (cookie.secure and url.scheme != "https"):
                continue
            held = self._origins.setdefault(url.origin, OrderedDict())
            self._origins.move_to_end(url.origin)
            held.pop((cookie.name, cookie.path), None)
            if cookie.expires is None or cookie.expires > now:
                held[cookie.name, cookie.path] = cookie
            while len(held) > self._limits.cookies_per_origin:
                held.popitem(last=False)
        while len(self._origins) > self._limits.cookie_origins:
            self._origins.popitem(last=False)

    @property
    def has_any(self) -> bool:
        """Whether an origin has set a cookie."""
        return bool(self._origins)

    def cookies_of(self, url: CheckedUrl) -> tuple[Cookie, ...]:
        """What the origin of `url` has set."""
        return tuple(self._origins.get(url.origin, {}).values())
