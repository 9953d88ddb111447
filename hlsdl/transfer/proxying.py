"""What proxies say and what it means, alike for every door: whether another try may help, and what to look at.

A proxy is the user's or the environment's word: its own address is not vetted, and it resolves origins for itself.
Which proxy a URL goes through is decided in `access.proxies`. What a proxy says is looked at and never shown.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from hlsdl.errors import HttpError, NetworkError
from hlsdl.transfer.doors import Setback
from hlsdl.transfer.policy import StatusClass, class_of_status, hint_for_status
from hlsdl.transfer.resolving import SystemResolver, interleave

HINT = "check --proxy, or the proxy variables of the environment"

_FOR_GOOD = ("authentication", "username", "rejected", "ruleset", "(2)")
"""Signs of a SOCKS5 refusal that stays: the sign-in, or reply 2, by rule (RFC 1928 §6)."""


async def proxy_addresses(host: str, port: int, timeout: float) -> tuple[str, ...]:
    """Where a proxy is; Setback when its name does not resolve."""
    try:
        async with asyncio.timeout(timeout):
            found: Iterable[str] = await SystemResolver().resolve(host, port)
    except (OSError, TimeoutError) as error:
        raise Setback(NetworkError("the proxy's name cannot be resolved", hint=HINT, retryable=True)) from error
    return interleave(tuple(found))


def unreachable(url: str | None = None) -> Setback:
    """No connection to the proxy itself."""
    return Setback(NetworkError("the proxy cannot be reached", url=url, hint=HINT, retryable=True))


def refusal(said: str, url: str) -> HttpError | Setback:
    """A tunnel that the proxy would not make; `said` begins with its HTTP status, or is a SOCKS client's reason."""
    status = int(said[:3]) if said[:3].isascii() and said[:3].isdecimal() else None
    if status is not None and class_of_status(status) is StatusClass.RETRY:
        error = NetworkError(f"the proxy answers {status}", url=url, http_status=status, hint=HINT, retryable=True)
        return Setback(error)
    if status is not None or any(sign in said.lower() for sign in _FOR_GOOD):
        hint = hint_for_status(407) if status == 407 else HINT
        return HttpError("the proxy refuses", url=url, http_status=status, hint=hint)
    return Setback(NetworkError("the proxy cannot reach the server", url=url, hint=HINT, retryable=True))


def speaks_no_socks(error: BaseException) -> bool:
    """Whether this is socksio's complaint about what came back; it is no exception of httpcore's."""
    return type(error).__module__.partition(".")[0] == "socksio"
