"""Which requests the loopback server answers: the rules, as pure functions.

A web page in the user's browser, or another user of this machine, can reach every port on loopback. What
keeps them out is written here: the exact Host (against DNS rebinding), the Origin, the methods, and a random
token as the first part of the path. `app` obeys these verdicts; `protocol` closes the connections.
"""

from __future__ import annotations

import hmac
import re
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum

TOKEN_BYTES = 32
"""Bytes of randomness in the token: 256 bits."""

LONGEST_TARGET = 2048
"""Bytes of a request target that are looked at; our own names are far shorter."""

_NAME = re.compile(rb"[A-Za-z0-9_][A-Za-z0-9._-]*")
# Our own names need no escapes, so a path with one is not ours: nothing is ever decoded.


class Refusal(Enum):
    """How a request is turned away. The value is the HTTP status; `HANG_UP` gets no answer at all."""

    HANG_UP = 0
    BAD_REQUEST = 400
    FORBIDDEN = 403
    NOT_FOUND = 404
    METHOD_NOT_ALLOWED = 405


@dataclass(frozen=True, slots=True, kw_only=True)
class Admitted:
    """A request that passed every rule."""

    name: str
    """The path below the token, without a leading slash; empty for the page itself."""


def new_token() -> str:
    """Return 256 bits from the operating system, in URL-safe characters."""
    return secrets.token_urlsafe(TOKEN_BYTES)


def hosts_of(port: int) -> frozenset[bytes]:
    """Return the only Host values that name this server."""
    names = (b"127.0.0.1", b"localhost", b"[::1]")
    hosts = {name + b":%d" % port for name in names}
    # RFC 9110 §7.2: clients leave the default port out.
    return frozenset(hosts | set(names)) if port == 80 else frozenset(hosts)


def judge(
    *, method: str, target: bytes, headers: Iterable[tuple[bytes, bytes]], port: int, token: str
) -> Admitted | Refusal:
    """Decide on a request from its head alone.

    Args:
        method: the HTTP method, as sent.
        target: the request target without its query, undecoded.
        headers: (lower-case name, value) pairs, duplicates included.
        port: the port this server listens on.
        token: the secret that must be the first part of the path.
    """
    fields = list(headers)
    hosts = [value for name, value in fields if name == b"host"]
    if len(hosts) != 1 or hosts[0] not in hosts_of(port):
        return Refusal.HANG_UP
    if method not in {"GET", "HEAD"}:
        return Refusal.METHOD_NOT_ALLOWED
    if not target.startswith(b"/"):
        # The absolute form carries a second host, and only proxies are sent it (RFC 9112 §3.2.2).
        return Refusal.HANG_UP
    if any(value != b"http://" + hosts[0] for name, value in fields if name == b"origin"):
        return Refusal.FORBIDDEN
    if _announces_a_body(fields):
        return Refusal.BAD_REQUEST
    return _judge_target(target, token)


def _announces_a_body(fields: list[tuple[bytes, bytes]]) -> bool:
    return any(
        name == b"transfer-encoding" or (name == b"content-length" and value.strip(b"0")) for name, value in fields
    )


def _judge_target(target: bytes, token: str) -> Admitted | Refusal:
    given, _, rest = target[1 : LONGEST_TARGET + 1].partition(b"/")
    if not hmac.compare_digest(given, token.encode("ascii")) or len(target) > LONGEST_TARGET:
        return Refusal.NOT_FOUND
    if target == b"/" + given:
        return Refusal.NOT_FOUND
    if rest and not all(_NAME.fullmatch(part) for part in rest.split(b"/")):
        return Refusal.NOT_FOUND
    return Admitted(name=rest.decode("ascii"))
