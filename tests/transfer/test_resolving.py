"""Every address is vetted, and racing connections leave none open."""

from __future__ import annotations

import asyncio
import socket
import threading

import pytest

from hlsdl.access.gate import UrlPolicy
from hlsdl.errors import PolicyError
from hlsdl.transfer.doors import Setback
from hlsdl.transfer.resolving import SystemResolver, Vetting, first_connected, interleave
from transfer.test_connections import Answers

TYPED = UrlPolicy.for_typed(["http://films.example/"])


async def test_a_typed_public_name_that_turns_private_is_rebinding() -> None:
    vetting = Vetting(TYPED, Answers(films_example=[["8.8.8.8"], ["127.0.0.1"], ["8.8.4.4", "10.0.0.1"]]))
    assert await vetting.addresses("films.example", 80, timeout=1) == ("8.8.8.8",)
    with pytest.raises(PolicyError):
        await vetting.addresses("films.example", 80, timeout=1)
    assert await vetting.addresses("films.example", 80, timeout=1) == ("8.8.4.4",)


async def test_a_typed_private_name_may_stay_private() -> None:
    vetting = Vetting(TYPED, Answers(films_example=[["192.168.0.2"]]))
    for _ in range(3):
        assert await vetting.addresses("films.example", 80, timeout=1) == ("192.168.0.2",)


async def test_a_literal_address_is_vetted_and_not_looked_up() -> None:
    resolver = Answers()
    assert await Vetting(TYPED, resolver).addresses("8.8.8.8", 80, timeout=1) == ("8.8.8.8",)
    with pytest.raises(PolicyError):
        await Vetting(TYPED, resolver).addresses("::1", 80, timeout=1)
    assert resolver.asked == []


async def test_only_permitted_addresses_come_through_with_families_interleaved() -> None:
    found = ["2606:4700::1", "2606:4700::2", "fe80::1%eth0", "8.8.8.8", "10.0.0.1", "8.8.4.4"]
    vetting = Vetting(UrlPolicy(), Answers(cdn_example=[found]))
    expected = ("2606:4700::1", "8.8.8.8", "2606:4700::2", "8.8.4.4")
    assert await vetting.addresses("cdn.example", 443, timeout=1) == expected


def test_the_family_that_came_first_begins() -> None:
    assert interleave(["1.1.1.1", "1.1.1.2", "::2"]) == ("1.1.1.1", "::2", "1.1.1.2")


async def test_the_system_resolver_knows_this_machine() -> None:
    assert set(await SystemResolver().resolve("localhost", 80)) <= {"127.0.0.1", "::1"}


async def test_only_international_names_need_pythons_idna_codec(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those of proxies only: a host of a URL is ASCII by now."""
    asked: list[object] = []

    def note(host: object, *_arguments: object, **_options: object) -> list[object]:
        asked.append(host)
        return []

    monkeypatch.setattr(socket, "getaddrinfo", note)
    for name in ("films.example", "bücher.example"):
        await SystemResolver().resolve(name, 80)
    assert asked == [b"films.example", "bücher.example"]


@pytest.mark.parametrize("name", ["a" * 64 + ".example", "a..example", ".example", "ü" * 64 + ".example"])
async def test_a_name_that_cannot_be_is_not_known(name: str) -> None:
    with pytest.raises(socket.gaierror) as caught:
        await SystemResolver().resolve(name, 80)
    assert caught.value.errno == socket.EAI_NONAME


async def test_a_failing_look_up_raises_what_the_system_says(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_arguments: object, **_options: object) -> list[object]:
        raise socket.gaierror(socket.EAI_AGAIN, "later")

    monkeypatch.setattr(socket, "getaddrinfo", fail)
    with pytest.raises(Setback) as caught:
        await Vetting(UrlPolicy(), SystemResolver()).addresses("films.example", 80, timeout=1)
    assert caught.value.retries is None


async def test_an_abandoned_look_up_holds_nothing_up(monkeypatch: pytest.MonkeyPatch) -> None:
    hanging, asked = threading.Event(), threading.Event()

    def hang(*_arguments: object, **_options: object) -> list[object]:
        asked.set()
        hanging.wait(10)
        return []

    monkeypatch.setattr(socket, "getaddrinfo", hang)
    with pytest.raises(Setback, match="longer"):
        await Vetting(UrlPolicy(), SystemResolver()).addresses("films.example", 80, timeout=0.05)
    assert asked.is_set()
    assert [thread.daemon for thread in threading.enumerate() if thread.name == "resolve"][-1:] == [True]
    hanging.set()


class Network:
    """Connections that succeed, fail or hang, by address."""

    def __init__(self, **outcomes: object) -> None:
        self.outcomes = outcomes
        self.tried: list[str] = []
        self.closed: list[str] = []

    async def connect(self, address: str) -> str:
        self.tried.append(address)
        outcome = self.outcomes[address]
        if isinstance(outcome, asyncio.Event):
            await outcome.wait()
        if isinstance(outcome, BaseException):
            raise outcome
        return address

    async def dispose(self, connection: str) -> None:
        self.closed.append(connection)


async def test_the_first_address_that_connects_wins_at_once() -> None:
    network = Network(a=None, b=None)
    assert await first_connected(["a", "b"], network.connect, network.dispose) == "a"
    assert network.tried == ["a"]


async def test_a_failing_address_hands_over_without_waiting() -> None:
    network = Network(a=ConnectionRefusedError(), b=None)
    assert await first_connected(["a", "b"], network.connect, network.dispose, head_start=60) == "b"


async def test_a_silent_address_is_overtaken() -> None:
    network = Network(a=asyncio.Event(), b=None)
    assert await first_connected(["a", "b"], network.connect, network.dispose, head_start=0.01) == "b"
    assert network.tried == ["a", "b"]


async def test_when_all_fail_the_first_error_is_raised() -> None:
    network = Network(a=ConnectionRefusedError("a"), b=ConnectionResetError("b"))
    with pytest.raises(ConnectionRefusedError):
        await first_connected(["a", "b"], network.connect, network.dispose)


async def test_a_connection_that_comes_too_late_is_closed() -> None:
    gate = asyncio.Event()

    class Stubborn(Network):
        async def connect(self, address: str) -> str:
            try:
                return await super().connect(address)
            except asyncio.CancelledError:
                return address  # it had just been made when the cancellation came

    network = Stubborn(a=gate, b=None)
    assert await first_connected(["a", "b"], network.connect, network.dispose, head_start=0.01) == "b"
    assert network.closed == ["a"]


async def test_a_connection_that_won_is_closed_when_nobody_waits_for_it_any_more() -> None:
    leaving = asyncio.Event()

    class Slow(Network):
        async def connect(self, address: str) -> str:
            try:
                return await super().connect(address)
            except asyncio.CancelledError:
                leaving.set()
                await asyncio.sleep(0.05)  # as the end of a handshake does
                raise

    network = Slow(a=asyncio.Event(), b=None)
    race = asyncio.create_task(first_connected(["a", "b"], network.connect, network.dispose, head_start=0.01))
    await leaving.wait()
    race.cancel()
    with pytest.raises(asyncio.CancelledError):
        await race
    assert network.closed == ["b"]
