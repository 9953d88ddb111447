"""Handles of libcurl: what is set on every one of them, the sockets they may open, and whether this libcurl will do.

Everything that libcurl would take from its surroundings is said explicitly: proxy, authorities, protocols, redirects.
"""

from __future__ import annotations

import asyncio
import errno
import os
import select
import socket
import sys
from functools import cache
from ipaddress import ip_address
from typing import Any, Protocol

import pycurl

from hlsdl.access.proxies import Proxy
from hlsdl.errors import PolicyError, UsageError
from hlsdl.transfer.descriptors import borrowed, none_left
from hlsdl.transfer.doors import Question, Setback
from hlsdl.transfer.hearing import KEPT_IDLE
from hlsdl.transfer.opening import Opening
from hlsdl.transfer.options import TransferOptions
from hlsdl.transfer.pinning import Pin
from hlsdl.transfer.trust import LazyTls, system_store

OLDEST = 0x080B00
"""libcurl 8.11: bounded response heads, MAXFILESIZE and the multi interface as they are relied upon."""
RECEIVE = 512 * 1024
"""Bytes that libcurl asks the kernel for at once."""
SLOW_BUFFER = 64 * 1024
"""Bytes that the kernel may take in advance under --limit-rate."""


_FORBIDDEN = ("\r", "\n", "\0")
SUPPRESS_CONNECT_HEADERS = 265
"""CURLOPT_SUPPRESS_CONNECT_HEADERS, for which pycurl has no name: a proxy's answer to CONNECT must not be taken for the
head of what was asked for."""


@cache
def why_not() -> str | None:
    """Say why this machine's libcurl cannot be used (half a sentence), or None when it can."""
    if sys.platform == "win32" or not (hasattr(select, "epoll") or hasattr(select, "poll")):
        return "the event loop of this system does not watch sockets"
    if pycurl.version_info()[2] < OLDEST:
        return f"libcurl {version()} is too old"
    missing = [name for name in _NEEDED if not hasattr(pycurl, name)]
    if missing:
        return f"pycurl lacks {', '.join(missing)}"
    return None if _refuses_other_protocols() else "libcurl does not refuse other protocols"


_NEEDED = (
    "ACTIVESOCKET",
    "HTTP09_ALLOWED",
    "OPENSOCKETFUNCTION",
    "PIPEWAIT",
    "REQUEST_TARGET",
    "RESOLVE",
    "SOCKOPTFUNCTION",
)


def _refuses_other_protocols() -> bool:
    """Whether a handle of ours refuses `file:`: tried, since the option that says so is an old one."""
    curl = pycurl.Curl()
    try:
        curl.setopt(pycurl.PROTOCOLS, pycurl.PROTO_HTTP | pycurl.PROTO_HTTPS)
        curl.setopt(pycurl.URL, "file:///")
        curl.setopt(pycurl.WRITEFUNCTION, len)
        curl.perform()
    except pycurl.error as error:
        return bool(error.args[0] == 1)
    finally:
        curl.close()
    return False


class Adopted(Protocol):
    """Told of each socket that libcurl takes over."""

    def __call__(self, descriptor: int, *, is_stream: bool) -> None:
        """`is_stream`: of TCP, and not of datagrams."""
        ...


class Handle:
    """A reusable `pycurl.Curl`, and what was set on it last."""

    __slots__ = (
        "_adopted",
        "_is_stream",
        "_receive_buffer",
        "asks_anew",
        "curl",
        "headers",
        "kept_idle",
        "opening",
        "pin",
        "proxy",
        "refusal",
        "request",
        "shows_certificate",
    )

    def __init__(self, adopted: Adopted, receive_buffer: int | None, *, shows_certificate: bool = False) -> None:
        self.curl = pycurl.Curl()
        self.shows_certificate = shows_certificate
        """Whether it is for origins that may see the user's own; pycurl cannot take one back."""
        self.pin: Pin | None = None
        self.proxy: Proxy | None = None
        self.request: Any = None
        """What it was given last."""
        self.opening: Opening[Any] = Opening()
        """That of this request's origin."""
        self.headers: list[bytes] | None = None
        self.refusal: PolicyError | Setback | None = None
        """Why the last socket was not made."""
        self.kept_idle = KEPT_IDLE
        """Seconds that a connection may have been idle and be used again."""
        self.asks_anew = False
        """Whether it asks again, and on a connection of its own."""
        self._adopted, self._receive_buffer = adopted, receive_buffer
        self._is_stream = True
        """Whether the socket made last is of TCP."""
        self.curl.setopt(pycurl.OPENSOCKETFUNCTION, self._open_socket)
        self.curl.setopt(pycurl.SOCKOPTFUNCTION, self._prepare_socket)

    def _open_socket(self, _purpose: int, address: Any) -> Any:
        """Make a socket to a vetted address only, whatever libcurl thinks of the name."""
        try:
            wanted = ip_address(address.addr[0].partition("%")[0])
            if self.pin is None or wanted not in self.pin.addresses:
                self.refusal = PolicyError("a connection to an address that was not vetted was refused")
                return pycurl.SOCKET_BAD
            made = socket.socket(address.family, address.socktype, address.protocol)
            self._is_stream = made.type == socket.SOCK_STREAM
            # libcurl takes a duplicate; this one must not outlive the connection.
            asyncio.get_running_loop().call_soon(made.close)
            self.opening.opened(self.request)
        except (OSError, ValueError, AttributeError) as error:
            if isinstance(error, OSError) and error.errno in (errno.EMFILE, errno.ENFILE):
                self.refusal = Setback(none_left())  # others may give theirs back
            return pycurl.SOCKET_BAD  # reported as a connection that cannot be made
        return made

    def _prepare_socket(self, descriptor: int, _purpose: int) -> int:
        self._adopted(descriptor, is_stream=self._is_stream)
        try:
            os.set_inheritable(descriptor, False)  # a duplicate has lost that
            if self._receive_buffer is not None:
                with borrowed(descriptor) as line:
                    line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, self._receive_buffer)
        except OSError:
            return int(pycurl.SOCKOPT_ERROR)
        return int(pycurl.SOCKOPT_OK)


def find_authorities(options: TransferOptions) -> tuple[str | None, str | None]:
    """The file and the folder of trusted authorities; UsageError when a file that was named cannot be read.

    `--cacert`, else what OpenSSL would use (`SSL_CERT_FILE` and `SSL_CERT_DIR` included), else certifi's list.
    """
    LazyTls(options)  # reads what was named, and complains as every door does
    if options.cacert is not None:
        return str(options.cacert), None
    store = system_store()
    if store is not None:
        return store
    import certifi  # only where the system knows no authority at all

    return certifi.where(), None


def set_constants(handle: Handle, options: TransferOptions, authorities: tuple[str | None, str | None]) -> None:
    """Set what is the same for all requests of a handle."""
    curl = handle.curl
    for option, value in (
        (pycurl.PROTOCOLS, pycurl.PROTO_HTTP | pycurl.PROTO_HTTPS),
        (pycurl.REDIR_PROTOCOLS, pycurl.PROTO_HTTP | pycurl.PROTO_HTTPS),
        (pycurl.FOLLOWLOCATION, 0),
        (pycurl.HTTP09_ALLOWED, 0),
        (pycurl.PATH_AS_IS, 1),
        (pycurl.NOSIGNAL, 1),
        (pycurl.TCP_NODELAY, 1),
        (pycurl.TCP_KEEPALIVE, 1),
        (pycurl.BUFFERSIZE, SLOW_BUFFER if options.limit_rate is not None else RECEIVE),
        (pycurl.CONNECTTIMEOUT_MS, max(1, round(options.timeout * 1000))),
        (pycurl.HTTP_VERSION, http_version(options)),
        (pycurl.PIPEWAIT, int(options.http2 or options.http3)),
        (pycurl.SSL_VERIFYPEER, int(not options.insecure)),
        (pycurl.SSL_VERIFYHOST, 0 if options.insecure else 2),
        (pycurl.PROXY_SSL_VERIFYPEER, int(not options.insecure)),
        (pycurl.PROXY_SSL_VERIFYHOST, 0 if options.insecure else 2),
        (pycurl.NOPROXY, ""),
        (SUPPRESS_CONNECT_HEADERS, 1),
    ):
        curl.setopt(option, value)
    # No MAXFILESIZE_LARGE: limits belong to resources and not to transfers (a key page, a part of a whole, the rest of
    # something). Those who read keep them, with a message that says which, and no more than two blocks come unasked.
    curl.setopt(pycurl.USERAGENT, "")  # none: pycurl has set its own
    file, folder = authorities
    if file is not None:
        curl.setopt(pycurl.CAINFO, file)
        curl.setopt(pycurl.PROXY_CAINFO, file)
    if folder is not None:
        curl.setopt(pycurl.CAPATH, folder)
        curl.setopt(pycurl.PROXY_CAPATH, folder)
    if options.client_cert is not None and handle.shows_certificate:
        curl.setopt(pycurl.SSLCERT, str(options.client_cert))
        curl.setopt(pycurl.SSLKEY, str(options.client_cert))


def is_sent(curl: pycurl.Curl) -> bool:
    """Whether the connection stands and the request is on its way."""
    return bool(curl.getinfo(pycurl.PRETRANSFER_TIME) > 0)


def version() -> str:
    """That of libcurl."""
    return str(pycurl.version_info()[1])


def has_http3() -> bool:
    """Whether this libcurl speaks HTTP/3."""
    return bool(pycurl.version_info()[4] & pycurl.VERSION_HTTP3)


def http_version(options: TransferOptions) -> int:
    """The highest HTTP that is offered; UsageError when this libcurl lacks what was asked for."""
    if options.http3:
        if not has_http3():
            raise UsageError("HTTP/3 is not built into the libcurl of this system", hint="leave --http3 out")
        return int(pycurl.CURL_HTTP_VERSION_3)
    return int(pycurl.CURL_HTTP_VERSION_2TLS if options.http2 else pycurl.CURL_HTTP_VERSION_1_1)


def header_lines(question: Question) -> list[bytes]:
    """Header lines as libcurl wants them; PolicyError for what would break out of its line."""
    lines = []
    for name, value in question.headers:
        if any(sign in name or sign in value for sign in _FORBIDDEN):
            raise PolicyError("a request header has a line break in it", url=question.url.text)
        # Without a value libcurl would drop the header, or send its own in its place.
        lines.append((f"{name}: {value}" if value else f"{name};").encode())
    return lines


def set_proxy(curl: pycurl.Curl, proxy: Proxy | None) -> None:
    """Go through `proxy`, or, None, through none, whatever the environment says."""
    if proxy is None:
        curl.setopt(pycurl.PROXY, "")
        return
    # The proxy resolves names: those that we resolved would be vetted, those that libcurl did would not.
    curl.setopt(pycurl.PROXY, proxy.url.replace("socks5://", "socks5h://", 1))
    for option, value in ((pycurl.PROXYUSERNAME, proxy.user), (pycurl.PROXYPASSWORD, proxy.password)):
        if value is None:
            curl.unsetopt(option)
        else:
            curl.setopt(option, value.encode("utf-8"))
