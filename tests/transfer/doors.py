"""The doors that must all behave alike, by name: to test another one, add it here.

Each maker takes what `Client` would give its door and returns an object with `ask` and `close`.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import httpx

from hlsdl.access.gate import UrlPolicy
from hlsdl.access.limits import Limits
from hlsdl.access.proxies import ProxyRules
from hlsdl.access.urls import SourceOrigin
from hlsdl.transfer.curl import CurlDoor
from hlsdl.transfer.curl_httpx import CurlTransport
from hlsdl.transfer.doors import Door
from hlsdl.transfer.options import TransferOptions
from hlsdl.transfer.origin import GenericDoor, open_generic_door
from hlsdl.transfer.resolving import Resolver, SystemResolver, Vetting
from hlsdl.transfer.trust import LazyTls, make_tls_context, nobody


@dataclass(frozen=True, kw_only=True)
class DoorSetting:
    """What a door is built from."""

    policy: UrlPolicy
    options: TransferOptions = field(default_factory=TransferOptions)
    limits: Limits = field(default_factory=Limits)
    resolver: Resolver = field(default_factory=SystemResolver)
    shows_certificate_to: Callable[[SourceOrigin], bool] = nobody


def curl(setting: DoorSetting) -> Door:
    """libcurl: the default."""
    return CurlDoor(
        vetting=Vetting(setting.policy, setting.resolver),
        options=setting.options,
        proxies=ProxyRules(explicit=setting.options.proxy or ""),
        limits=setting.limits,
        shows_certificate_to=setting.shows_certificate_to,
    )


def curl_httpx(setting: DoorSetting) -> Door:
    """libcurl as an httpx transport, behind the generic door."""
    return GenericDoor(CurlTransport(curl(setting), setting.policy))  # type: ignore[arg-type]


def direct(setting: DoorSetting) -> Door:
    """Our own transport behind the generic door: where there is no libcurl."""
    return open_generic_door(
        vetting=Vetting(setting.policy, setting.resolver),
        tls=LazyTls(setting.options, setting.shows_certificate_to),
        proxies=ProxyRules(explicit=setting.options.proxy or ""),
        limits=setting.limits,
        http2=setting.options.http2,
    )


def plain_httpx(setting: DoorSetting) -> Door:
    """httpx's own transport behind the generic door, as a program might bring it."""
    return GenericDoor(httpx.AsyncHTTPTransport(verify=context_for(setting.options), trust_env=False))


@lru_cache(maxsize=4)
def context_for(options: TransferOptions) -> ssl.SSLContext:
    """Reading the authorities takes longer than most tests."""
    return make_tls_context(options)


DOORS: dict[str, Callable[[DoorSetting], Door]] = {
    "curl": curl,
    "curl_httpx": curl_httpx,
    "direct": direct,
    "httpx": plain_httpx,
}
OUR_DOORS = ("curl", "curl_httpx", "direct")
"""Those over connections of our own making: they vet the addresses that names resolve to, bound response heads while they
are read, and ask again at once when an idle connection was closed under them."""


@dataclass
class FakeClock:
    """Time that passes only when somebody sleeps; `chance` is always the largest."""

    time: float = 1000.0
    slept: list[float] = field(default_factory=list)
    luck: float = 0.5

    def now(self) -> float:
        return self.time

    def wall(self) -> float:
        return 1_800_000_000.0 + self.time

    def chance(self) -> float:
        return self.luck

    async def sleep(self, seconds: float) -> Any:
        self.slept.append(seconds)
        self.time += seconds
        await asyncio.sleep(0)
