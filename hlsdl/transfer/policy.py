"""What we allow ourselves and others: limits, patience, and where we may go.

Pure: every function returns a value or raises; time and chance are arguments. `exchange` obeys the URL rules at every
hop, `resolving` at every connection, `patience` waits as `RetryPolicy` says.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC
from email.utils import parsedate_to_datetime
from enum import StrEnum

from hlsdl.errors import PolicyError
from hlsdl.transfer.addresses import AddressKind, kind_of, kind_of_name, kind_of_text, literal_address
from hlsdl.transfer.urls import CheckedUrl, join_location, read_url

KIB, MIB = 1024, 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What a hostile or broken server may cost us; each is enforced with a LimitError unless it says otherwise."""

    url: int = 8192
    """Characters of a URL."""
    redirects: int = 10
    """Hops before a PolicyError."""
    head_bytes: int = 64 * KIB
    head_fields: int = 256
    interim_responses: int = 16
    """1xx responses before the final one."""
    decoded_ratio: int = 100
    """Decoded bytes for each encoded byte of a gzip playlist, once `decoded_freely` bytes are out."""
    decoded_freely: int = 1 * MIB
    slice: int = 64 * MIB
    """Largest entity of which a byte range is cut out when the server ignores Range."""
    resume_from: int = 8 * MIB
    """Bytes that must be held before a transfer is resumed rather than restarted."""
    block: int = 1 * MIB
    """Largest block given to a sink."""
    slowest: int = 1 * KIB
    """Bytes per second, averaged over `slow_after` seconds, below which a transfer is dropped and tried again."""
    slow_after: float = 30.0
    cookies_per_origin: int = 50
    cookie_bytes: int = 4 * KIB
    cookie_origins: int = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPolicy:
    """How patient we are with an origin."""

    retries: int = 8
    """Tries after the first, for each resource."""
    first_delay: float = 0.5
    longest_delay: float = 30.0
    first_pause: float = 1.0
    """Seconds a host is left alone after a 429 or 503 without Retry-After; doubled while that does not help."""
    longest_pause: float = 120.0
    longest_retry_after: float = 300.0
    """A server that asks for more ends the job, resumable."""
    tokens: float = 50.0
    """Retries that a job may spend without successes; after that, one retry at a time, `slow_delay` apart."""
    refund: float = 0.1
    """Tokens that a success gives back."""
    slow_delay: float = 30.0

    def delay(self, failures: int, chance: float) -> float:
        """Seconds to wait after the `failures`-th failure: full jitter; `chance` is in [0, 1)."""
        return chance * min(self.longest_delay, self.first_delay * 2.0 ** (failures - 1))

    def pause(self, fruitless: int) -> float:
        """Seconds to leave a host alone after `fruitless` pauses in a row that no success followed."""
        return min(self.longest_pause, self.first_pause * 2.0 ** min(fruitless, 30))


class StatusClass(StrEnum):
    """What an HTTP status asks of us."""

    SUCCESS = "success"
    REDIRECT = "redirect"
    RETRY = "retry"
    """408, 425, 429 and the server errors that pass."""
    REFRESH = "refresh"
    """403, 404, 410: a fresh playlist may hold a working URL; the same URL will not."""
    PERMANENT = "permanent"


_RETRIED = frozenset({408, 425, 429, 500, 502, 503, 504, 520, 521, 522, 523, 524})


def class_of_status(status: int) -> StatusClass:
    """Classify a final status; 204, 205, 304 and the like are no answer to a plain GET, hence permanent."""
    if status in {200, 203, 206}:
        return StatusClass.SUCCESS
    if status in {301, 302, 303, 307, 308}:
        return StatusClass.REDIRECT
    if status in _RETRIED:
        return StatusClass.RETRY
    return StatusClass.REFRESH if status in {403, 404, 410} else StatusClass.PERMANENT


def hint_for_status(status: int) -> str | None:
    """What a person can do about a refusal."""
    if status == 401:
        return "the server wants a sign-in: give it with --cookies FILE or -H 'Authorization: …'"
    if status == 403:
        return "the URL may have expired, or cookies, -H or --referer of the page are needed"
    if status in {404, 410}:
        return "the stream may have moved: open its page again for a fresh URL"
    if status == 407:
        return "the proxy wants a sign-in: give it as --proxy http://user:password@host:port"
    return None


def read_retry_after(value: str | None, *, date: str | None, now: float) -> float | None:
    """Seconds that a Retry-After header asks for (RFC 9110 §10.2.3); None when absent or unreadable.

    An HTTP-date counts from the response's own Date, so that a wrong clock does no harm; `now` (seconds since the
    epoch) stands in when there is none. A past date is 0.
    """
    if value is None:
        return None
    value = value.strip()
    if value.isascii() and value.isdecimal():
        return float(value[:18])
    then = _read_date(value)
    if then is None:
        return None
    return max(0.0, then - (_read_date(date) or now))


def _read_date(value: str | None) -> float | None:
    try:
        moment = parsedate_to_datetime(value or "")
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


_NEVER = frozenset(
    {
        AddressKind.LINK_LOCAL,
        AddressKind.METADATA,
        AddressKind.MULTICAST,
        AddressKind.UNSPECIFIED,
        AddressKind.RESERVED,
    }
)
_ALLOWED_BY_FLAG = frozenset({AddressKind.LOOPBACK, AddressKind.PRIVATE})


@dataclass(frozen=True, slots=True, kw_only=True)
class UrlPolicy:
    """Where we may go: one gate for every URL, redirect targets included.

    A private, loopback or LAN address is allowed on the host names that the user typed, and with `allow_private` (which
    adds loopback, RFC 1918 and ULA). Link-local, metadata, multicast, unspecified and reserved addresses never are.
    """

    typed_hosts: frozenset[str] = frozenset()
    typed_http: bool = False
    """The user typed an `http:` URL, so a redirect from https to http takes nothing away."""
    allow_private: bool = False
    require_https: bool = False
    allow_downgrade: bool = False
    """`--insecure`: redirects from https to http are followed."""
    longest_url: int = field(default=Limits().url)

    @classmethod
    def for_typed(
        cls, urls: Iterable[str], *, allow_private: bool = False, require_https: bool = False, insecure: bool = False
    ) -> UrlPolicy:
        """The policy of a job whose source (and base) URLs were typed by the user; `file:` URLs add no host."""
        typed = [read_url(url) for url in urls if not url.lower().startswith("file:")]
        return cls(
            typed_hosts=frozenset(url.host for url in typed),
            typed_http=any(url.scheme == "http" for url in typed),
            allow_private=allow_private,
            require_https=require_https,
            allow_downgrade=insecure,
        )

    def check_url(self, url: str) -> CheckedUrl:
        """Read `url` and refuse what can be refused without a resolver; PolicyError or LimitError."""
        checked = read_url(url, longest=self.longest_url)
        if self.require_https and checked.scheme != "https":
            raise PolicyError("an `http:` URL was refused, since --require-https is set", url=checked.text)
        address = literal_address(checked.host)
        kind = kind_of(address) if address is not None else kind_of_name(checked.host)
        if kind is not None and not self.allows(kind, checked.host):
            raise self.refusal(kind, checked.text)
        return checked

    def check_redirect(self, previous: CheckedUrl, location: str) -> CheckedUrl:
        """Resolve and check a redirect's target; a downgrade to http needs a typed http URL or --insecure."""
        checked = self.check_url(join_location(previous, location))
        downgrade = previous.scheme == "https" and checked.scheme == "http"
        if downgrade and not (self.typed_http or self.allow_downgrade):
            raise PolicyError(
                "the server redirects from https to http",
                url=checked.text,
                hint="--insecure follows such redirects; what is fetched can then be read and changed on the way",
            )
        return checked

    def allows(self, kind: AddressKind, host: str, *, known_public: bool = False) -> bool:
        """Whether an address of `kind` may be used for `host`.

        `known_public`: the host had a public address before in this job. A typed name that moves from a public to a
        private address is DNS rebinding, not a LAN server.
        """
        if kind is AddressKind.GLOBAL:
            return True
        if kind in _NEVER:
            return False
        typed = host in self.typed_hosts and not known_public
        return typed or (self.allow_private and kind in _ALLOWED_BY_FLAG)

    def permitted(self, host: str, addresses: Sequence[str], *, known_public: bool = False) -> tuple[str, ...]:
        """Those of the resolved `addresses` that may be connected to; PolicyError when there are none.

        A typed name that resolves to public and private addresses at once keeps only the public ones.
        """
        kinds = {address: kind_of_text(address) for address in addresses}
        known_public = known_public or AddressKind.GLOBAL in kinds.values()
        allowed = tuple(a for a in addresses if self.allows(kinds[a], host, known_public=known_public))
        if not allowed:
            raise self.refusal(next(iter(kinds.values())), f"//{host}/")
        return allowed

    def refusal(self, kind: AddressKind, url: str) -> PolicyError:
        """The error for a host that is a place of `kind`."""
        if kind in _NEVER:
            return PolicyError(f"a URL leads to a {kind} address, and those are never asked", url=url)
        hint = "--allow-private allows loopback and private addresses for this job"
        return PolicyError(
            f"a URL leads to a {kind} address on a host that was not typed",
            url=url,
            hint=hint if kind in _ALLOWED_BY_FLAG else None,
        )
