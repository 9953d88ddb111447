"""Patience as values: which answers are worth another try, when, and what a server says about waiting.

Pure: time and chance are arguments. `patience` waits as `RetryPolicy` says; where we may go is `access`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC
from enum import StrEnum

from hlsdl.errors import HttpError, NetworkError


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

    def pause(self, doublings: int) -> float:
        """Seconds to leave a host alone that does not say how long; fewer than no `doublings` halve the usual."""
        return min(self.longest_pause, self.first_pause * 2.0 ** min(doublings, 30))


class StatusClass(StrEnum):
    """What an HTTP status asks of us."""

    SUCCESS = "success"
    REDIRECT = "redirect"
    RETRY = "retry"
    """408, 425, 429 and the server errors that pass."""
    PERMANENT = "permanent"
    """The same URL will not do; whether a fresh playlist may hold another one is for the session to say."""


WITH_BODY = frozenset({200, 203, 206})
"""Of answers whose body is what was asked for, or a part of it."""
REDIRECTS = frozenset({301, 302, 303, 307, 308})
"""Of answers that say where it is (RFC 9110 §15.4)."""
_RETRIED = frozenset({408, 425, 429, 500, 502, 503, 504, 520, 521, 522, 523, 524})


def class_of_status(status: int) -> StatusClass:
    """Classify a final status; 204, 205, 304 and the like are no answer to a plain GET, hence permanent."""
    if status in WITH_BODY:
        return StatusClass.SUCCESS
    if status in REDIRECTS:
        return StatusClass.REDIRECT
    if status in _RETRIED:
        return StatusClass.RETRY
    return StatusClass.PERMANENT


def hint_for_status(status: int) -> str | None:
    """What a person can do about a refusal."""
    if status == 401:
        return "the server wants a sign-in: give it with --cookies FILE or -H 'Authorization: …'"
    if status == 403:
        return "the URL may have expired, or cookies, -H or --referer of the page are needed"
    if status in {404, 410}:
        return "the stream may have moved: open its page again for a fresh URL"
    if status == 407:
        return "the proxy wants a sign-in: put user and password into --proxy, before its host and an @"
    return None


ABOUT_CERTIFICATES = (
    "certificate",
    "unknown ca",
    "access denied",
    "self-signed",
    "self signed",
    "local issuer",
    "alternative",
    "does not match",
)
"""What a TLS library says where the reason is a certificate, its own words or those of an alert (RFC 8446 §6.2); any
other failure of a handshake may pass."""
HANDSHAKE_RETRIES = 2


def is_about_certificates(text: str) -> bool:
    """Whether a TLS library says of a failure that a certificate is the reason, which trying again does not cure."""
    words = text.lower().replace("_", " ")
    return any(sign in words for sign in ABOUT_CERTIFICATES)


def handshake_failed(url: str) -> NetworkError:
    """The error for a handshake that broke for another reason than a certificate."""
    return NetworkError(
        "the TLS handshake failed",
        url=url,
        hint="check that the server speaks TLS at this address, and whether it wants a client certificate"
        " (`--client-cert`); run the same command again to go on",
        retryable=True,
    )


def certificate_refused(words: str, reason: str, url: str) -> HttpError:
    """The error for a certificate that is the reason why no connection is made.

    Args:
        words: those of the TLS library: an alert is the server's word, and about a certificate of ours.
        reason: why one of the server's cannot be trusted.
        url: of the request.
    """
    said = words.lower().replace("_", " ")
    if "alert" not in said:
        told, hint = f"the server's TLS cannot be trusted: {reason}", hint_for_certificate(reason)
    else:
        told = "wants a client certificate" if "required" in said else "does not accept the client certificate"
        told, hint = f"the server {told}", "`--client-cert FILE` shows one to the source"
    return HttpError(told, url=url, hint=hint)


def hint_for_certificate(reason: str) -> str:
    """What a person can do about a certificate that cannot be trusted for `reason`."""
    if "expired" in reason or "not yet valid" in reason:
        return "check the clock of this machine; --insecure trusts everybody, on the way too"
    return "--cacert FILE trusts another authority; --insecure trusts everybody, on the way too"


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
    from email.utils import parsedate_to_datetime  # for those few answers that say how long to wait

    try:
        moment = parsedate_to_datetime(value or "")
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
