"""Where the connections of one door may go: looked up and vetted once, then pinned for a while.

A look-up is shared by all who need it, and whoever is cancelled takes nobody else's along. What an address may be, the
gate decides (`resolving.Vetting`); that no socket is made to another one, `curl_handle` sees to.
"""

from __future__ import annotations

import asyncio
from functools import partial
from ipaddress import ip_address
from time import monotonic

from hlsdl.access.addresses import literal_address
from hlsdl.access.proxies import Proxy
from hlsdl.access.urls import CheckedUrl
from hlsdl.errors import NetworkError
from hlsdl.transfer.doors import Setback
from hlsdl.transfer.proxying import proxy_addresses
from hlsdl.transfer.resolving import Vetting

PINNED = 60.0
"""Seconds that a vetted look-up is used for new connections."""

_Key = tuple[str, int, bool]


class Pin:
    """Where one host's connections may go."""

    __slots__ = ("addresses", "entry", "until")

    def __init__(self, host: str, port: int, addresses: tuple[str, ...], until: float) -> None:
        self.addresses = frozenset(ip_address(address.partition("%")[0]) for address in addresses)
        self.until = until
        shown = ",".join(f"[{address}]" if ":" in address else address for address in addresses)
        self.entry = [] if literal_address(host) is not None else [f"{host}:{port}:{shown}"]
        """For libcurl; a literal address needs none."""


class Pins:
    """Those of one door, and the look-ups under way."""

    def __init__(self, vetting: Vetting) -> None:
        self._vetting = vetting
        self._pins: dict[_Key, Pin] = {}
        self._look_ups: dict[_Key, asyncio.Task[Pin]] = {}
        """Those under way; all who need the same wait for the same."""

    def known(self, url: CheckedUrl, proxy: Proxy | None) -> Pin | None:
        """What was looked up, and is fresh enough."""
        pin = self._pins.get(_pinned_as(url, proxy))
        return None if pin is None or monotonic() >= pin.until else pin

    async def look_up(self, url: CheckedUrl, proxy: Proxy | None, timeout: float) -> Pin:
        """Where this request's connection may go: the host's vetted addresses, or those of the proxy.

        A look-up that fails does so for all who wait for it, and the next one to ask begins another.
        """
        pin = self.known(url, proxy)
        if pin is not None:
            return pin
        key = _pinned_as(url, proxy)
        look_up = self._look_ups.get(key)
        if look_up is None:
            look_up = self._look_ups[key] = asyncio.create_task(self._pin(key, timeout), name="hlsdl look-up")
            look_up.add_done_callback(partial(self._looked_up, key))
        await asyncio.wait([look_up])  # which leaves it to the others when this one is cancelled
        if look_up.cancelled():
            raise closed()
        try:
            return look_up.result()
        except Setback as failure:  # each has its own, since they are written on
            raise Setback(failure.error, retries=failure.retries, timed_out=failure.timed_out) from failure.__cause__

    def forget(self, url: CheckedUrl, proxy: Proxy | None) -> None:
        """Look up anew next time: nothing was to be had there."""
        self._pins.pop(_pinned_as(url, proxy), None)

    def cancel(self) -> asyncio.Future[list[Pin | BaseException]]:
        """Cancel all look-ups; what is returned can be waited for, until they have noticed."""
        look_ups = tuple(self._look_ups.values())
        for look_up in look_ups:
            look_up.cancel()
        return asyncio.gather(*look_ups, return_exceptions=True)

    async def _pin(self, key: _Key, timeout: float) -> Pin:
        """A proxy is the user's or the environment's word, and resolves the host's name for itself."""
        host, port, is_proxy = key
        until = monotonic() + PINNED
        if is_proxy:
            addresses = await proxy_addresses(host, port, timeout)
        else:
            addresses = await self._vetting.addresses(host, port, timeout=timeout)
        pin = self._pins[key] = Pin(host, port, addresses, until)
        return pin

    def _looked_up(self, key: _Key, look_up: asyncio.Task[Pin]) -> None:
        del self._look_ups[key]
        if not look_up.cancelled():
            look_up.exception()  # perhaps nobody waits for it any more


def closed() -> Setback:
    """What those are told who wait when a door is closed."""
    return Setback(NetworkError("the connection was closed", retryable=True))


def _pinned_as(url: CheckedUrl, proxy: Proxy | None) -> _Key:
    """Whose addresses a request needs: the host's, or those of the proxy."""
    return (url.host, url.port, False) if proxy is None else (proxy.host, proxy.port, True)
