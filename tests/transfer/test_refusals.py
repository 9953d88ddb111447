"""Conformance, part four: refusals, throttling, cookies, heads, and what every request says."""

from __future__ import annotations

import threading
import time
from email.utils import formatdate

import pytest

from hlsdl.errors import HttpError, LimitError, NetworkError
from hlsdl.planning.plan import Resource
from hlsdl.testing import Answer, Close, HangUp, Headers, Redirect, Request, ScriptedOrigin, Status
from hlsdl.transfer.policy import RetryPolicy
from hlsdl.transfer.sink import MemorySink
from transfer.conftest import MakeClient, segment
from transfer.doors import OUR_DOORS, FakeClock

BODY = b"".join(b"G" + n.to_bytes(4, "big") + bytes(183) for n in range(1000))


@pytest.mark.parametrize(
    ("answer", "waits"),
    [
        (Status(429, headers={"Retry-After": "7"}), [7.0]),
        (Status(503, headers={"Retry-After": "300"}), [300.0]),
        (Status(429, headers={"Retry-After": "0"}), [1.0]),
        (Status(429, headers={"Retry-After": "garbage"}), [1.0]),
        (Status(503), [1.0]),
    ],
    ids=str,
)
async def test_a_throttled_host_is_left_alone_as_long_as_it_asks(
    origin: ScriptedOrigin, make_client: MakeClient, clock: FakeClock, answer: Status, waits: list[float]
) -> None:
    """Rows 32 and 33."""
    url = origin.add("/a.ts", BODY)
    origin.script("/a.ts", answer)
    sink = MemorySink()
    await make_client(url).fetch(segment(url), sink)
    assert (sink.data, clock.slept) == (BODY, waits)


async def test_a_retry_after_date_counts_from_the_servers_own_date(
    origin: ScriptedOrigin, make_client: MakeClient, clock: FakeClock
) -> None:
    import time

    url = origin.add("/a.ts", BODY)
    for offset in (40, -1000):
        origin.script("/a.ts", Status(503, headers={"Retry-After": formatdate(time.time() + offset, usegmt=True)}))
    await make_client(url).fetch(segment(url), MemorySink())
    asked_for, past = clock.slept
    assert 38 <= asked_for <= 41
    assert past == 1.0  # as long as without any header


@pytest.mark.parametrize("seconds", ["301", "1000000000"])
async def test_a_host_that_asks_for_too_much_ends_the_job_resumably(
    origin: ScriptedOrigin, make_client: MakeClient, clock: FakeClock, seconds: str
) -> None:
    url = origin.add("/a.ts", BODY)
    origin.always("/a.ts", Status(503, headers={"Retry-After": seconds}))
    with pytest.raises(NetworkError) as caught:
        await make_client(url).fetch(segment(url), MemorySink())
    assert (caught.value.resumable, caught.value.http_status, clock.slept) == (True, 503, [])
    assert origin.count("/a.ts") == 1


async def test_a_flapping_server_is_outlasted(origin: ScriptedOrigin, make_client: MakeClient) -> None:
    """Row 34: three answers of ten are errors."""
    pattern = [Status(500), None, None, Status(502), None, None, None, Status(504), None, None]
    resources = []
    for n in range(40):
        url = origin.add(f"/{n}.ts", BODY[: 188 * (n + 1)])
        if (fault := pattern[n % 10]) is not None:
            origin.script(f"/{n}.ts", fault, fault)
        resources.append(segment(url, path=f"{n}.ts"))
    stored: dict[str, bytes] = {}

    async def finished(resource: object, sink: object) -> None:
        assert isinstance(sink, MemorySink)
        stored[resource.path] = sink.data  # type: ignore[attr-defined]

    await make_client(origin.url("/")).fetch_all(resources, lambda _: MemorySink(), finished)
    assert stored == {f"{n}.ts": BODY[: 188 * (n + 1)] for n in range(40)}


@pytest.mark.parametrize("status", [401, 403, 404, 410])
async def test_a_refusal_is_final_and_says_what_may_help(
    origin: ScriptedOrigin, make_client: MakeClient, status: int
) -> None:
    """Rows 35-39: a fresh playlist is the caller's business; the same URL is not asked for again."""
    url = origin.add("/a.ts", BODY)
    origin.always("/a.ts", Status(status))
    client = make_client(url)
    for attempt in (client.fetch(segment(url), MemorySink()), client.read(url, kind="playlist", limit=100)):
        with pytest.raises(HttpError) as caught:
            await attempt
        assert (caught.value.code, caught.value.http_status) == (4, status)
        assert caught.value.hint
    assert origin.count("/a.ts") == 2


async def test_a_connection_that_closed_while_idle_costs_no_patience(
    origin: ScriptedOrigin, make_client: MakeClient, door_name: str
) -> None:
    """Row 50: our own doors ask again at once; with a transport that does not, it is an ordinary retry."""
    url = origin.add("/a.ts", BODY)
    origin.always("/a.ts", Close())
    client = make_client(url, retry=RetryPolicy(retries=0 if door_name in OUR_DOORS else 8))
    for _ in range(5):
        sink = MemorySink()
        await client.fetch(segment(url), sink)
        assert sink.data == BODY


async def test_a_host_cannot_fill_our_memory_or_its_neighbours_with_cookies(
    origin: ScriptedOrigin, make_client: MakeClient
) -> None:
    """Row 51."""
    url = origin.add("/a.ts", BODY)
    client = make_client(url)
    for start in range(0, 1000, 200):
        many = [("Set-Cookie", f"c{n}=v; Path=/; Domain=example.com") for n in range(start, start + 200)]
        origin.script("/a.ts", Headers(many))
        await client.fetch(segment(url), MemorySink())
    await client.fetch(segment(url), MemorySink())
    assert origin.requests[-1].headers["cookie"].count("=v") == 50
    with ScriptedOrigin() as neighbour:
        there = neighbour.add("/a.ts", BODY)
        await client.fetch(segment(there), MemorySink())
        assert "cookie" not in neighbour.requests[0].headers


@pytest.mark.parametrize("count", [200, 300])
async def test_a_response_head_may_have_256_fields_and_no_more(
    origin: ScriptedOrigin, make_client: MakeClient, count: int
) -> None:
    """Row 21."""
    url = origin.add("/a.ts", BODY)
    origin.always("/a.ts", Headers([(f"X-{n}", "v") for n in range(count)]))
    fetching = make_client(url).fetch(segment(url), MemorySink())
    if count == 200:
        await fetching
        return
    with pytest.raises(LimitError) as caught:
        await fetching
    assert (caught.value.code, origin.count("/a.ts")) == (12, 1)


async def test_a_head_of_64_kib_is_the_most(origin: ScriptedOrigin, make_client: MakeClient) -> None:
    url = origin.add("/a.ts", BODY)
    client = make_client(url)
    origin.script("/a.ts", Headers([("X-Large", "v" * 60_000)]))
    await client.fetch(segment(url), MemorySink())
    origin.script("/a.ts", Headers([("X-Large", "v" * 65_536)]))
    with pytest.raises(LimitError):
        await client.fetch(segment(url), MemorySink())


async def test_a_url_is_asked_for_exactly_as_it_is_spelled(origin: ScriptedOrigin, make_client: MakeClient) -> None:
    target = '/a%2Fb/%7Ec/d\'e|f,g;h=1/(i)!$*+:@?sig=a%2bb/c==&x[]={"y"}^`z'
    origin.add(target, BODY)
    await make_client(origin.url("/")).fetch(segment(origin.url(target)), MemorySink())
    assert origin.requests[0].target == target


async def test_what_every_request_says(origin: ScriptedOrigin, make_client: MakeClient) -> None:
    url = origin.add("/a.ts", BODY)
    await make_client(url, user_agent="Player/2", headers=(("X-Ü".replace("Ü", "U"), "grüße"),)).fetch(
        segment(url), MemorySink()
    )
    headers = origin.requests[0].headers
    assert headers["host"] == f"127.0.0.1:{origin.port}"
    assert (headers["user-agent"], headers["accept"], headers["accept-encoding"]) == ("Player/2", "*/*", "identity")
    assert headers["x-u"].encode("latin-1").decode("utf-8") == "grüße"
    assert "range" not in headers


async def test_a_dead_host_is_a_network_error_and_a_wrong_port_too(make_client: MakeClient) -> None:
    with ScriptedOrigin() as gone:
        url = gone.url("/a.ts")
    with pytest.raises(NetworkError) as caught:
        await make_client(url, retry=RetryPolicy(retries=2)).fetch(segment(url), MemorySink())
    assert (caught.value.code, caught.value.resumable) == (3, True)


async def test_a_server_that_only_hangs_up_is_not_asked_for_ever(
    origin: ScriptedOrigin, make_client: MakeClient
) -> None:
    url = origin.add("/a.ts", BODY)
    origin.always("/a.ts", HangUp())
    with pytest.raises(NetworkError):
        await make_client(url, retry=RetryPolicy(retries=2)).fetch(segment(url), MemorySink())
    assert origin.count("/a.ts") == 3


class Crowd:
    """Takes so many requests at once, and says 429 to each one more."""

    def __init__(self, most: int) -> None:
        self.most, self.now, self.refused = most, 0, 0
        self.lock = threading.Lock()

    def apply(self, request: Request, answer: Answer) -> Answer:
        with self.lock:
            self.now += 1
            is_too_many = self.now > self.most
            self.refused += is_too_many
        time.sleep(0.02)
        with self.lock:
            self.now -= 1
        return Status(429).apply(request, answer) if is_too_many else answer


async def test_a_crowd_behind_a_redirect_makes_the_job_ask_less_where_it_asks(make_client: MakeClient) -> None:
    """Places are those of the host that redirects; the other one is only ever asked in them."""
    crowd = Crowd(2)
    with ScriptedOrigin() as door, ScriptedOrigin() as cdn:
        cdn.always("*", crowd)
        work = []
        for n in range(60):
            cdn.add(f"/{n}.ts", BODY)
            door.always(f"/{n}.ts", Redirect(cdn.url(f"/{n}.ts", host="localhost")))
            work.append(segment(door.url(f"/{n}.ts"), path=f"0/{n}.ts"))
        sinks: list[MemorySink] = []

        async def finished(_: Resource, sink: object) -> None:
            assert isinstance(sink, MemorySink)
            sinks.append(sink)

        client = make_client(door.url("/"), retry=RetryPolicy(), allow_private=True)
        await client.fetch_all(work, lambda _: MemorySink(), finished)
        assert client._exchange.patience.host("127.0.0.1").allowed <= 4
    assert [sink.data for sink in sinks] == [BODY] * 60
    assert crowd.refused < 60
