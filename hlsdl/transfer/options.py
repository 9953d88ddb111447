"""TransferOptions: everything a user can say about the network, as one value.

A plain value without behaviour, so that the command line can build it before anything that speaks HTTP is loaded.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from hlsdl.errors import UsageError
from hlsdl.transfer.pauses import Pauses

MOST_CONNECTIONS = 256
MOST_RETRIES = 1000
LONGEST_TIME = 1_000_000.0
"""Seconds: eleven days."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TransferOptions:
    """How to talk to origins; the defaults are those of the command line. `repr` shows no secrets.

    Raises:
        UsageError: a number that cannot be meant.
    """

    connections: int | None = None
    """Most requests at once; None: 8 for each host to begin with, and then as many as serve best, up to 64."""
    retries: int = 8
    """Tries after the first, for each resource."""
    timeout: float = 15.0
    """Seconds for each connection attempt, name resolution and TLS included."""
    stall_timeout: float = 20.0
    """Seconds without a byte, before the head of a response as well as inside its body."""
    limit_rate: int | None = None
    """Bytes per second over all connections together."""
    headers: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    """Sent to the source's origin and to the trusted ones, to nobody else."""
    cookies_file: Path | None = field(default=None, repr=False)
    """A Netscape `cookies.txt`; the same rule as for headers."""
    cookies_text: str | None = field(default=None, repr=False)
    """What stands in such a file, for cookies that no file shall hold."""
    user_agent: str | None = None
    referer: str | None = field(default=None, repr=False)
    proxy: str | None = field(default=None, repr=False)
    """`http://`, `https://`, `socks5://` or `socks5h://`; None: as the environment says; empty: none at all."""
    cacert: Path | None = None
    """A PEM file of the authorities to trust instead of the system's."""
    client_cert: Path | None = None
    """A PEM file with a client certificate and its key."""
    insecure: bool = False
    """Do not verify certificates, and follow redirects from https to http."""
    require_https: bool = False
    allow_private: bool = False
    """Allow loopback, RFC 1918 and ULA addresses for hosts that were not typed."""
    http2: bool = False
    """Offer HTTP/2 over TLS, many requests on one connection."""
    http3: bool = False
    """Try HTTP/3 first, where libcurl has it; HTTP/2 and HTTP/1.1 stand behind it."""
    transport: Literal["auto", "libcurl", "httpx"] = "auto"
    """Whose connections: `auto` takes libcurl where it can be used, else httpx; the others insist."""
    trusted_origins: tuple[str, ...] = ()
    """Hosts that also get the headers and cookies given for the source."""
    pauses: Pauses = field(default_factory=Pauses, repr=False, compare=False)
    """Which hosts asked to be left alone: known to all downloads with these options, or with a `replace` of them."""

    def __post_init__(self) -> None:
        for name, least, most in (
            ("connections", 1, MOST_CONNECTIONS),
            ("retries", 0, MOST_RETRIES),
            ("limit_rate", 1, None),
        ):
            number = getattr(self, name)
            if isinstance(number, bool):
                raise UsageError(f"`{name}` is a number, and was given as `{number}`")
            if number is not None and not (least <= number and (most is None or number <= most)):
                told = f"less than {least}" if number < least else f"more than {most}"
                raise UsageError(f"`{name}` is {told}")
        for name in ("timeout", "stall_timeout"):
            seconds = getattr(self, name)
            if not 0 < seconds <= LONGEST_TIME:  # nor is it NaN
                raise UsageError(f"`{name}` is no time: seconds, more than 0 and at most {LONGEST_TIME:.0f}")
