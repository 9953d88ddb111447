"""Which door a job gets: libcurl's where it can be used, else httpx's. Both are imported only when they are chosen."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from hlsdl.access.limits import Limits
from hlsdl.access.proxies import ProxyRules
from hlsdl.access.urls import SourceOrigin
from hlsdl.errors import UsageError
from hlsdl.transfer.doors import Door
from hlsdl.transfer.options import TransferOptions
from hlsdl.transfer.resolving import Vetting

logger = logging.getLogger(__name__)


def open_door(
    options: TransferOptions,
    *,
    vetting: Vetting,
    proxies: ProxyRules,
    limits: Limits,
    shows_certificate_to: Callable[[SourceOrigin], bool],
) -> Door:
    """The door of a job, by `options.transport`; UsageError when what was insisted on cannot be used.

    `shows_certificate_to`: the origins that may see the certificate of the user's own.
    """
    reason = None if options.transport == "httpx" else why_not_libcurl()
    if options.transport != "httpx" and reason is None:
        from hlsdl.transfer.curl import CurlDoor

        return CurlDoor(
            vetting=vetting,
            options=options,
            proxies=proxies,
            limits=limits,
            shows_certificate_to=shows_certificate_to,
        )
    if options.transport == "httpx" and options.http3:
        raise UsageError("httpx speaks no HTTP/3", hint="leave --http3 out, or let libcurl be used")
    if options.transport == "libcurl" or options.http3:
        raise UsageError(f"libcurl cannot be used: {reason}", hint="install pycurl from its wheel: pip install pycurl")
    if reason is not None:
        logger.debug("libcurl is not used, since %s", reason)
    from hlsdl.transfer.origin import open_generic_door
    from hlsdl.transfer.trust import LazyTls

    tls, http2 = LazyTls(options, shows_certificate_to), options.http2
    return open_generic_door(vetting=vetting, tls=tls, proxies=proxies, limits=limits, http2=http2)


def why_not_libcurl() -> str | None:
    """Say why libcurl is not used on this machine (half a sentence), or None when it is."""
    try:
        from hlsdl.transfer import curl_handle
    except ModuleNotFoundError:
        return "pycurl is not installed"
    except ImportError:
        return "pycurl is installed and cannot be loaded"
    return curl_handle.why_not()


@dataclass(frozen=True, slots=True, kw_only=True)
class InUse:
    """Whose connections a job gets on this machine when nothing else is insisted on."""

    name: Literal["libcurl", "httpx"]
    version: str
    http3: bool
    """Whether `http3` can be had."""
    why_not_libcurl: str | None
    """Half a sentence when it is httpx, else None."""


def transport_in_use() -> InUse:
    """Look which door `auto` opens."""
    reason = why_not_libcurl()
    if reason is None:
        from hlsdl.transfer import curl_handle

        return InUse(name="libcurl", version=curl_handle.version(), http3=curl_handle.has_http3(), why_not_libcurl=None)
    from importlib.metadata import version

    return InUse(name="httpx", version=version("httpx"), http3=False, why_not_libcurl=reason)
