"""Who is told what, and where no packet may go: every pair of origins, every spelling, through every door."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AsyncExitStack, ExitStack
from itertools import permutations
from pathlib import Path
from typing import Any

import pytest

from hlsdl.access.gate import UrlPolicy
from hlsdl.errors import HlsdlError, PolicyError
from hlsdl.testing import Headers, LocalAuthority, Redirect, ScriptedOrigin
from hlsdl.transfer.client import Client
from hlsdl.transfer.options import TransferOptions
from hlsdl.transfer.policy import RetryPolicy
from hlsdl.transfer.resolving import Vetting
from hlsdl.transfer.sink import MemorySink
from transfer.conftest import MakeClient, segment
from transfer.doors import DOORS, OUR_DOORS, DoorSetting, FakeClock

BODY = b"G" + bytes(187)
KEY = bytes(range(16))
ORIGINS = ("first", "second", "secure", "elsewhere")
KINDS = ("redirect", "segment", "init", "subtitle-file", "key", "playlist")


class Names:
    """Every name leads to this machine."""

    def __init__(self, answers: Sequence[str] = ("127.0.0.1",)) -> None:
        self.answers = answers

    async def resolve(self, host: str, port: int) -> Sequence[str]:
        return self.answers


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, tuple[ScriptedOrigin, str]]]:
    """Four origins: two ports, one with TLS, and the first one under another name."""
    authority = LocalAuthority(tmp_path_factory.mktemp("authority"))
    with ExitStack() as stack:
        first, second = (stack.enter_context(ScriptedOrigin()) for _ in range(2))
        secure = stack.enter_context(ScriptedOrigin(tls=authority.server_context("127.0.0.1", "films.example")))
        yield {
            "first": (first, first.url("")),
            "second": (second, second.url("")),
            "secure": (secure, secure.url("")),
            "elsewhere": (first, first.url("", host="elsewhere.example")),
        }


@pytest.mark.parametrize("door_name", OUR_DOORS)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("home", "away"), list(permutations(ORIGINS, 2)))
async def test_nothing_given_for_one_origin_reaches_another(
    *,
    places: dict[str, tuple[ScriptedOrigin, str]],
    tmp_path: Path,
    clock: FakeClock,
    door_name: str,
    home: str,
    away: str,
    kind: str,
) -> None:
    """Goal S1."""
    (home_origin, home_url), (away_origin, away_url) = places[home], places[away]
    cookies = tmp_path / "cookies.txt"
    host = home_url.split("//")[1].rpartition(":")[0]
    cookies.write_text(f"{host}\tFALSE\t/\tFALSE\t0\tfile\tsecret-file\n")
    options = TransferOptions(
        headers=(("Authorization", "Bearer secret-header"), ("Cookie", "given=secret-given")),
        cookies_file=cookies,
        referer="http://page.example/?id=secret-referer",
        insecure=True,
        allow_private=True,
        proxy="",
    )
    policy = UrlPolicy.for_typed([home_url], allow_private=True, insecure=True)
    door = DOORS[door_name](DoorSetting(policy=policy, options=options, resolver=Names()))
    home_origin.add("/set", BODY)
    home_origin.always("/set", Headers([("Set-Cookie", "set=secret-set; Path=/; Domain=example")]))
    home_origin.always("/go", Redirect(away_url + "/away"))
    away_origin.add("/away", KEY if kind == "key" else b"#EXTM3U\n" if kind == "playlist" else BODY)
    away_origin.clear_requests()
    home_origin.clear_requests()
    async with Client(options, home_url + "/master.m3u8", door=door, clock=clock) as client:
        await client.fetch(segment(home_url + "/set"), MemorySink())
        target = home_url + "/go" if kind == "redirect" else away_url + "/away"
        if kind in {"key", "playlist"}:
            await client.read(target, kind=kind, limit=1000)  # type: ignore[arg-type]
        else:
            asked: Any = "segment" if kind == "redirect" else kind
            await client.fetch(segment(target, kind=asked), MemorySink())
    told_home = next(str(request.headers) for request in home_origin.requests if request.path == "/set")
    told_away = [str(request.headers) for request in away_origin.requests if request.path == "/away"]
    assert all(f"secret-{what}" in told_home for what in ("header", "file", "given", "referer"))
    assert len(told_away) == 1
    assert "secret" not in told_away[0]


HOSTS = (
    "127.0.0.1", "127.1", "127.0.1", "2130706433", "0x7f000001", "0x7f.1", "0177.0.0.1", "017700000001", "127.0.0.2",
    "127.255.255.254", "localhost", "LOCALHOST", "localhost.", "a.localhost", "[::1]", "[0:0:0:0:0:0:0:1]",
    "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[::127.0.0.1]", "[64:ff9b::7f00:1]", "[2002:7f00:1::]", "0.0.0.0", "0",
    "[::]", "１２７.０.０.１", "①②⑦.⓪.⓪.①", "127。0。0。1",
)  # fmt: skip
SCHEMES = ("http", "HTTP", "https")
ANSWERS: tuple[tuple[str, ...], ...] = (
    ("127.0.0.1",), ("127.0.0.2",), ("::1",), ("::ffff:127.0.0.1",), ("::127.0.0.1",), ("64:ff9b::7f00:1",),
    ("0.0.0.0",), ("::",), ("10.0.0.1", "127.0.0.1"), ("169.254.169.254", "127.0.0.1"), ("fe80::1%lo", "::1"),
)  # fmt: skip


@pytest.fixture
async def canary() -> AsyncIterator[socket.socket]:
    """Listens on every address of this machine, and nobody may ever come."""
    with socket.create_server(("::", 0), family=socket.AF_INET6, dualstack_ipv6=True) as listener:
        listener.setblocking(False)
        yield listener
        with pytest.raises(BlockingIOError):
            listener.accept()


@pytest.mark.parametrize("door_name", OUR_DOORS)
async def test_no_spelling_of_this_machine_gets_a_packet(
    origin: ScriptedOrigin, canary: socket.socket, clock: FakeClock, door_name: str
) -> None:
    """Goal S2: directly, by redirect, and by a name that resolves there now or later."""
    port = canary.getsockname()[1]
    home = origin.url("", host="films.example")
    async with AsyncExitStack() as stack:
        client = await stack.enter_async_context(client_for(home, Names(), door_name, clock))
        tried = 0
        origin.add("/home.ts", BODY)
        for scheme in SCHEMES:
            for host in HOSTS:
                url = f"{scheme}://{host}:{port}/a.ts"
                origin.always("/r", Redirect(url.encode().decode("latin-1")))
                for asked in (url, home + "/r"):
                    with pytest.raises(HlsdlError) as caught:
                        await client.fetch(segment(asked), MemorySink())
                    assert isinstance(caught.value, PolicyError), url
                    tried += 1
        for answers in ANSWERS:
            for name in ("cdn.example", "films.example.cdn.example"):
                names = Names()
                other = await stack.enter_async_context(client_for(home, names, door_name, clock))
                await other.fetch(segment(home + "/home.ts"), MemorySink())
                names.answers = answers
                url = f"http://{name}:{port}/a.ts"
                origin.always("/r", Redirect(url))
                for asked in (url, home + "/r"):
                    with pytest.raises(PolicyError):
                        await other.fetch(segment(asked), MemorySink())
                    tried += 1
    assert tried >= 200


def client_for(home: str, names: Names, door_name: str, clock: FakeClock) -> Client:
    options = TransferOptions(proxy="", timeout=2.0)
    setting = DoorSetting(policy=UrlPolicy.for_typed([home]), options=options, resolver=names)
    return Client(options, home, door=DOORS[door_name](setting), clock=clock, retry=RetryPolicy(retries=0))


@pytest.mark.parametrize("door_name", OUR_DOORS)
async def test_a_name_that_was_public_cannot_become_private(
    canary: socket.socket, clock: FakeClock, door_name: str
) -> None:
    """Rebinding of the very name that was typed: a later answer is this machine."""
    port = canary.getsockname()[1]
    home = f"http://films.example:{port}"
    names = Names()
    policy = UrlPolicy.for_typed([home])
    setting = DoorSetting(policy=policy, options=TransferOptions(proxy="", timeout=1.0), resolver=names)
    door: Any = DOORS[door_name](setting)
    inner: Any = door if door_name == "curl" else door._transport
    inner = getattr(inner, "_door", inner)
    vetting: Vetting = getattr(inner, "_pins", inner)._vetting
    vetting._public.add("films.example")  # as after an answer with a public address, which no test may connect to
    async with Client(setting.options, home, door=door, clock=clock, retry=RetryPolicy(retries=0)) as client:
        with pytest.raises(PolicyError):
            await client.fetch(segment(home + "/a.ts"), MemorySink())


@pytest.mark.parametrize("way", ["segment", "redirect"])
@pytest.mark.parametrize("door_name", OUR_DOORS)
async def test_a_certificate_of_the_users_own_is_shown_to_the_source_and_to_whom_they_trust(
    make_client: MakeClient, way: str, tmp_path: Path
) -> None:
    """It says who somebody is: nobody else learns that, by whatever way the request comes there."""
    authority = LocalAuthority(tmp_path)
    asking = authority.server_context("127.0.0.1", ask_client_certificate=True)
    mine = {"cacert": authority.ca_file, "client_cert": authority.certificate("me", client=True)}
    with ScriptedOrigin(tls=asking) as home, ScriptedOrigin(tls=asking) as other:
        at_home, there = home.add("/a.ts", BODY), other.add("/a.ts", BODY)
        home.add("/b.ts", BODY)
        home.always("/b.ts", Redirect(there))
        away = segment(there if way == "segment" else home.url("/b.ts"))
        client = make_client(at_home, **mine, retry=RetryPolicy(retries=0))
        sink = MemorySink()
        await client.fetch(segment(at_home), sink)
        assert sink.data == BODY
        with pytest.raises(HlsdlError):
            await client.fetch(away, MemorySink())
        assert other.requests == []
        sink = MemorySink()
        await client.fetch(segment(at_home), sink)
        assert sink.data == BODY, "shown there as before"
        trusting = make_client(at_home, **mine, trusted_origins=(f"127.0.0.1:{other.port}",))
        await trusting.fetch(away, sink := MemorySink())
        assert sink.data == BODY
