"""Which proxy a URL goes through: the user's word first, then the environment's.

Pure: the environment is an argument.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address, ip_network
from urllib.parse import unquote, urlsplit

from hlsdl.access.urls import SourceOrigin, is_text
from hlsdl.errors import UsageError

SCHEMES = {"http": 80, "https": 443, "socks5": 1080, "socks5h": 1080}


@dataclass(frozen=True, slots=True, kw_only=True)
class Proxy:
    """A proxy to talk to."""

    scheme: str
    host: str
    port: int
    user: str | None = field(default=None, repr=False)
    password: str | None = field(default=None, repr=False)

    @property
    def url(self) -> str:
        """Scheme, host and port, without the sign-in."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}:{self.port}"


@dataclass(frozen=True, slots=True, kw_only=True)
class ProxyRules:
    """`explicit` (--proxy) is used for everything; an empty text means none at all, None asks `environment`.

    The variables are those of curl: `http_proxy`, `https_proxy`, `all_proxy` and `no_proxy`, in lower or upper case.
    """

    explicit: str | None = field(default=None, repr=False)
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)

    def proxy_for(self, origin: SourceOrigin) -> Proxy | None:
        """The proxy for URLs of this origin, or None; UsageError when what was given is no proxy."""
        if self.explicit is not None:
            return read_proxy(self.explicit) if self.explicit else None
        written = self._variable(f"{origin.scheme}_proxy") or self._variable("all_proxy")
        if not written or self._is_exempt(origin):
            return None
        return read_proxy(written)

    def _variable(self, name: str) -> str:
        # In a CGI script HTTP_PROXY is what the client sent as a "Proxy:" header.
        upper = "" if name == "http_proxy" and "REQUEST_METHOD" in self.environment else name.upper()
        return self.environment.get(name, "") or self.environment.get(upper, "")

    def _is_exempt(self, origin: SourceOrigin) -> bool:
        entries = re.split(r"[,\s]+", self._variable("no_proxy").strip())
        return any(_covers(entry.lower(), origin) for entry in entries if entry)


def _covers(entry: str, origin: SourceOrigin) -> bool:
    """Whether a NO_PROXY entry (`*`, a name, `.suffix`, `name:port`, an address or a network) covers `origin`."""
    if entry == "*":
        return True
    name, _, port = entry.rpartition(":") if re.fullmatch(r"[^:]+:[0-9]+", entry) else (entry, "", "")
    if port and int(port) != origin.port:
        return False
    name = name.strip("[]").removeprefix("*").removeprefix(".").removesuffix(".")
    if origin.host == name or (name and origin.host.endswith("." + name)):
        return True
    try:
        return ip_address(origin.host) in ip_network(name, strict=False)
    except ValueError:
        return False


def read_proxy(written: str) -> Proxy:
    """Read a proxy URL; a bare `host:port` is an http proxy. UsageError, without the sign-in, when it is none."""
    if not is_text(written):
        raise UsageError("the proxy is not valid UTF-8", hint="signs of user and password may be percent-encoded")
    try:
        parts = urlsplit(written if "://" in written else f"http://{written}")
        scheme, host, port = parts.scheme.lower(), parts.hostname, parts.port
    except ValueError as error:
        raise UsageError("the proxy is no readable URL", hint="give it as http://host:port") from error
    if scheme not in SCHEMES or not host:
        raise UsageError("the proxy is no http, https or socks5 URL", hint="give it as http://host:port")
    return Proxy(
        scheme=scheme,
        host=host,
        port=port or SCHEMES[scheme],
        user=unquote(parts.username) if parts.username is not None else None,
        password=unquote(parts.password) if parts.password is not None else None,
    )
