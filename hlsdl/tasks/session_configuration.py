"""How a session behaves: its kind, its patience, what it says to origins (URLSessionConfiguration).

The environment is not read here: folders that are not given are those of the user's data directory.
"""

from __future__ import annotations

import copy
import re
from dataclasses import dataclass, field, fields, replace
from enum import StrEnum
from pathlib import Path

from hlsdl.errors import UsageError
from hlsdl.session.configuration import checked_values
from hlsdl.tasks.wanted import must_be
from hlsdl.transfer.options import TransferOptions

WEEK = 7 * 24 * 3600.0
REQUEST = 60.0
"""Seconds: Apple's default of timeoutIntervalForRequest."""
Headers = tuple[tuple[str, str], ...]

_STALL_TIMEOUT = TransferOptions().stall_timeout
LONGEST_IDENTIFIER = 100
"""Characters; an identifier becomes a file name."""
_IDENTIFIER = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?")


class SessionKind(StrEnum):
    """Which of the three kinds a session is."""

    DEFAULT = "default"
    EPHEMERAL = "ephemeral"
    BACKGROUND = "background"


@dataclass(slots=True, kw_only=True)
class SessionConfiguration:
    """Make one with `default()`, `ephemeral()` or `background(identifier)`, then set what should differ.

    A session copies it when it is made; later changes have no effect. Times are seconds.

    Source: URLSessionConfiguration.
    """

    kind: SessionKind = SessionKind.DEFAULT
    identifier: str | None = None
    """Of a background session: its tasks are found again under it (`background(withIdentifier:)`)."""
    timeout_interval_for_request: float = REQUEST
    """Without a byte from the origin; each new byte starts it again (timeoutIntervalForRequest). Where this is as it
    was, and `transfer.stall_timeout` is not, that counts."""
    timeout_interval_for_resource: float = WEEK
    """For a whole task, retries and waiting for the network included, from its start in this process, or since it was
    suspended the last time (timeoutIntervalForResource)."""
    waits_for_connectivity: bool = False
    """Wait for the network instead of failing; background sessions always do (waitsForConnectivity)."""
    http_maximum_connections_per_host: int | None = None
    """Requests of one task at once. None: as many as serve best (httpMaximumConnectionsPerHost)."""
    http_additional_headers: dict[str, str] = field(default_factory=dict, repr=False)
    """Sent with every request to the origin of each asset (httpAdditionalHeaders)."""
    cookies_file: str | Path | None = field(default=None, repr=False)
    """A Netscape `cookies.txt` for all tasks (httpCookieStorage); read, never written."""
    connection_proxy: str | None = field(default=None, repr=False)
    """`http://…`, `https://…`, `socks5://…`; None: as the environment says (connectionProxyDictionary)."""
    limit_rate: int | None = None
    """Bytes per second for each task."""
    maximum_concurrent_tasks: int = 10
    """Tasks under way at once; others wait, the highest priority first."""
    transfer: TransferOptions = field(default_factory=TransferOptions)
    """What else can be said about the network; the fields above win."""
    library: str | Path | None = None
    """Where bundles go whose configuration names no destination. None: the library folder of the user."""
    storage: str | Path | None = None
    """Where a background session keeps its tasks. None: the sessions folder of the user."""

    @classmethod
    def default(cls) -> SessionConfiguration:
        """A session whose tasks live as long as the process (URLSessionConfiguration.default)."""
        return cls()

    @classmethod
    def ephemeral(cls) -> SessionConfiguration:
        """As `default`; nothing but the bundles is written to disk (URLSessionConfiguration.ephemeral).

        The library's index does not learn of its bundles either.
        """
        return cls(kind=SessionKind.EPHEMERAL)

    @classmethod
    def background(cls, identifier: str) -> SessionConfiguration:
        """A session whose tasks survive the process under `identifier`, one session at a time.

        Raises:
            UsageError: the identifier is no word of letters, digits, `.`, `_` and `-` of at most 100 characters.

        Source: URLSessionConfiguration.background(withIdentifier:).
        """
        _check_identifier(identifier if isinstance(identifier, str) else "")
        return cls(kind=SessionKind.BACKGROUND, identifier=identifier, waits_for_connectivity=True)

    def check(self) -> None:
        """Every value becomes one of the type that its field has.

        Raises:
            UsageError: a value cannot be: no task would ever run, none could ever end well, or be found again.
        """
        values = {one.name: getattr(self, one.name) for one in fields(self)}
        for name, value in checked_values(SessionConfiguration, values).items():
            setattr(self, name, value)
        if self.kind is SessionKind.BACKGROUND:
            _check_identifier(self.identifier or "")
        for name in ("timeout_interval_for_request", "timeout_interval_for_resource", "maximum_concurrent_tasks"):
            if not getattr(self, name) > 0:  # nor is it NaN
                raise UsageError(f"`{name}` is not positive")
        for name in ("http_maximum_connections_per_host", "limit_rate"):
            if (number := getattr(self, name)) is not None and number <= 0:
                raise UsageError(f"`{name}` is not positive", hint="None is without a limit of its own")
        try:
            self.transfer_options(())
        except UsageError as error:  # under the names that the program gave
            told = error.message
            for ours, theirs in _CALLED.items():
                told = told.replace(f"`{ours}`", f"`{theirs}`")
            raise UsageError(told, hint=error.hint) from None
        if self.cookies_file is not None and Path(self.cookies_file).is_fifo():
            raise UsageError("a pipe of cookies can be read once only", hint="a session reads a file for each task")

    @property
    def _stall_timeout(self) -> float:
        was_changed = self.timeout_interval_for_request != REQUEST or self.transfer.stall_timeout == _STALL_TIMEOUT
        return self.timeout_interval_for_request if was_changed else self.transfer.stall_timeout

    def transfer_options(self, *headers: Headers) -> TransferOptions:
        """What one task says to its origin; `headers` are the asset's own, then those that win over these, too."""
        base = self.transfer
        return replace(
            base,
            connections=self.http_maximum_connections_per_host or base.connections,
            stall_timeout=self._stall_timeout,
            headers=_winning(base.headers, tuple(self.http_additional_headers.items()), *headers),
            cookies_file=Path(self.cookies_file) if self.cookies_file is not None else base.cookies_file,
            proxy=self.connection_proxy if self.connection_proxy is not None else base.proxy,
            limit_rate=self.limit_rate or base.limit_rate,
        )


def _winning(*groups: Headers) -> Headers:
    """All of them, but for what a later group has by the same name."""
    winning: Headers = ()
    for group in groups:
        named = {name.lower() for name, _ in group}
        winning = (*(pair for pair in winning if pair[0].lower() not in named), *group)
    return winning


def own_copy(configuration: SessionConfiguration | None) -> SessionConfiguration:
    """What a session keeps of the configuration that it is given; UsageError when that is none or cannot be."""
    configuration = configuration or SessionConfiguration.default()
    must_be(configuration, SessionConfiguration, "configuration", example="hlsdl.SessionConfiguration.default()")
    copied = copy.deepcopy(configuration)
    copied.check()
    return copied


_CALLED = {
    "stall_timeout": "timeout_interval_for_request",
    "connections": "http_maximum_connections_per_host",
}
"""What options of a transfer are here."""


def _check_identifier(identifier: str) -> None:
    if len(identifier) > LONGEST_IDENTIFIER or not _IDENTIFIER.fullmatch(identifier):
        raise UsageError(
            f"`{identifier[:LONGEST_IDENTIFIER]!a}` cannot identify a session",
            hint=f"use at most {LONGEST_IDENTIFIER} letters, digits, dots, dashes and underscores",
        )
