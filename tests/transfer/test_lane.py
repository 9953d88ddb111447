"""The short way: it ends exactly as the usual one does, whatever the origin answers, and asks no more often."""

from __future__ import annotations

import asyncio
import gc
import socket
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("pycurl", reason="not installed: pycurl")

from hlsdl.access.limits import Limits
from hlsdl.errors import DiskError, HlsdlError, LimitError
from hlsdl.planning.plan import Resource
from hlsdl.testing import (
    Chunked,
    Close,
    CloseDelimited,
    Cut,
    Delay,
    EarlyHints,
    Empty,
    Gzip,
    HangUp,
    Headers,
    Hold,
    Html,
    Json,
    LocalAuthority,
    Longer,
    Redirect,
    Request,
    Reset,
    ScriptedOrigin,
    Serve,
    Silence,
    Stall,
    Status,
)
from hlsdl.transfer import curl
from hlsdl.transfer.client import Client
from hlsdl.transfer.crew import Crew
from hlsdl.transfer.doors import Head
from hlsdl.transfer.lane import Done, plain_head
from hlsdl.transfer.options import TransferOptions
from hlsdl.transfer.policy import RetryPolicy
from hlsdl.transfer.sink import MemorySink, Validator
from transfer.conftest import SHORT_STALL, MakeClient, segment
from transfer.doors import FakeClock
from transfer.http2_origin import http2_origin

BODY = b"G\0" + bytes(range(256)) * 20
SEGMENTS = 12
FAULTY = 5


@pytest.fixture
def door_name() -> str:
    """Only libcurl's door begins with requests that nobody waits for."""
    return "curl"


@dataclass
class Shelf:
    """Keeps bodies by the short way, or by sinks."""

    most_bytes: int = 128 * 1024
    kept: dict[str, bytes] = field(default_factory=dict)
    """What came the short way."""
    sunk: dict[str, bytes] = field(default_factory=dict)
    validators: dict[str, Validator | None] = field(default_factory=dict)
    heard: int = 0

    def keep(self, resource: Resource, body: bytes, validator: Validator, done: Done) -> None:
        self.kept[resource.url] = body
        self.validators[resource.url] = validator
        asyncio.get_running_loop().call_soon(done, None)

    def hear(self, size: int) -> None:
        self.heard += size

    async def finished(self, resource: Resource, sink: Any) -> None:
        self.sunk[resource.url] = sink.data
        self.validators[resource.url] = sink.validator

    @property
    def all(self) -> dict[str, bytes]:
        return {**self.sunk, **self.kept}


async def bring(client: Client, work: list[Resource], shelf: Shelf, *, short: bool, **more: Any) -> HlsdlError | None:
    """Fetch all; returns the error that ended it."""
    try:
        await client.fetch_all(
            work, lambda _: MemorySink(), shelf.finished, on_bytes=shelf.hear, keeper=shelf if short else None, **more
        )
    except HlsdlError as error:
        return error
    return None


async def known(make_client: MakeClient, origin: ScriptedOrigin, **options: Any) -> Client:
    """A client that has looked up the origin already, as it has when the playlists were read."""
    client: Client = make_client(origin.url("/"), **options)
    assert await bring(client, [segment(origin.add("/first.ts", BODY))], Shelf(), short=True) is None
    return client


FAULTS: dict[str, tuple[Any, ...]] = {
    "as it should be": (Serve(),),
    "500 once": (Status(500), Serve()),
    "500 for ever": (Status(500),) * 12,
    "429": (Status(429, headers={"Retry-After": "2"}), Serve()),
    "503": (Status(503), Status(503), Serve()),
    "403": (Status(403),) * 3,
    "404": (Status(404),) * 3,
    "204": (Status(204),) * 3,
    "a redirect": (Redirect("/elsewhere.ts"),),
    "redirects in a circle": (Redirect(f"/{FAULTY}.ts"),) * 40,
    "a redirect to another host": (Redirect("http://192.0.2.1/x.ts"),) * 3,
    "HTML once": (Html(), Serve()),
    "HTML for ever": (Html(),) * 12,
    "JSON": (Json(), Serve()),
    "nothing": (Empty(), Serve()),
    "a cut": (Cut(1000), Serve()),
    "cut at once": (Cut(0), Serve()),
    "a reset": (Reset(1000), Serve()),
    "a hang-up": (HangUp(), Serve()),
    "a close": (Close(),),
    "silence": (Silence(), Serve()),
    "a stall": (Stall(1000), Serve()),
    "chunks": (Chunked(),),
    "an end without a mark": (CloseDelimited(),),
    "more than announced": (Longer(), Serve()),
    "early hints": (EarlyHints(3),),
    "gzip": (Gzip(), Serve()),
    "gzip for ever": (Gzip(),) * 12,
    "a cookie": (Headers([("Set-Cookie", "a=b")]),),
    "an endless head": (Headers([("X-Long", "x" * 300_000)]),) * 3,
    "an ETag": (Headers([("ETag", '"a"')]),),
}


def told(behaviours: tuple[Any, ...]) -> Callable[[ScriptedOrigin], None]:
    return lambda origin: origin.script(f"/{FAULTY}.ts", *behaviours)


@pytest.mark.parametrize("fault", sorted(FAULTS))
async def test_whatever_comes_ends_as_on_the_usual_way(make_client: MakeClient, fault: str) -> None:
    """The same bytes, or the same error, of the same requests."""
    outcomes = []
    for short in (False, True):
        with ScriptedOrigin() as origin:
            work = [segment(origin.add(f"/{n}.ts", BODY + bytes([n]))) for n in range(SEGMENTS)]
            origin.add("/elsewhere.ts", BODY + bytes([FAULTY]))
            told(FAULTS[fault])(origin)
            # One at a time, so that what else is asked for before the end does not hang on chance.
            client = make_client(origin.url("/"), connections=1, stall_timeout=SHORT_STALL)
            shelf = Shelf()
            error = await bring(client, work, shelf, short=short)
            outcomes.append(
                {
                    "bodies": {url.rpartition("/")[2]: body for url, body in shelf.all.items()},
                    "validators": {url.rpartition("/")[2]: one for url, one in shelf.validators.items()},
                    "error": None if error is None else (type(error), error.message.replace(origin.url("/"), "/")),
                    "requests": [(one.path, one.headers.get("cookie")) for one in origin.requests],
                    "heard": shelf.heard,
                }
            )
            if short:
                assert len(shelf.kept) >= FAULTY - 1  # the first one needs a look-up
    usual, by_lane = outcomes
    if "error" in usual and usual["error"] is not None:
        # What was asked for when the error came may be there or not; what came before it is.
        for one in outcomes:
            one["bodies"] = {name: body for name, body in one["bodies"].items() if int(name[:-3]) < FAULTY}
            one["validators"] = {name: kept for name, kept in one["validators"].items() if int(name[:-3]) < FAULTY}
            one["requests"] = [request for request in one["requests"] if request[0] == f"/{FAULTY}.ts"]
            one["heard"] = None
    assert by_lane == usual


@pytest.mark.parametrize(("size", "is_kept"), [(128 * 1024, True), (128 * 1024 + 1, False), (3 << 20, False)])
async def test_only_what_is_small_is_kept(
    origin: ScriptedOrigin, make_client: MakeClient, size: int, is_kept: bool
) -> None:
    work = [segment(origin.add(f"/{n}.ts", b"G\0" + bytes([n]) * (size - 2))) for n in range(4)]
    shelf, client = Shelf(), await known(make_client, origin)
    assert await bring(client, work, shelf, short=True) is None
    assert sorted(map(len, shelf.all.values())) == [size] * 4
    assert len(shelf.kept) == (4 if is_kept else 0)
    assert shelf.heard == 4 * size
    assert [origin.count(f"/{n}.ts") for n in range(4)] == [1, 1, 1, 1]


async def test_what_is_larger_than_the_resource_may_be_is_refused(
    origin: ScriptedOrigin, make_client: MakeClient
) -> None:
    work = [segment(origin.add(f"/{n}.ts", BODY), limit=len(BODY) - (n == 3)) for n in range(5)]
    error = await bring(await known(make_client, origin), work, Shelf(), short=True)
    assert error is not None
    assert error.code == 12


async def test_no_more_requests_at_once_than_are_allowed(origin: ScriptedOrigin, make_client: MakeClient) -> None:
    work = [segment(origin.add(f"/{n}.ts", BODY)) for n in range(40)]
    for n in range(40):
        origin.always(f"/{n}.ts", Delay(0.01))
    shelf = Shelf()
    assert await bring(make_client(origin.url("/"), connections=3), work, shelf, short=True) is None
    assert origin.most_at_once == 3
    assert len(shelf.all) == 40


async def test_bodies_are_asked_for_in_their_order(origin: ScriptedOrigin, make_client: MakeClient) -> None:
    work = [segment(origin.add(f"/{n}.ts", BODY)) for n in range(60)]
    assert await bring(make_client(origin.url("/"), connections=1), work, Shelf(), short=True) is None
    assert [one.path for one in origin.requests] == [f"/{n}.ts" for n in range(60)]


async def test_a_body_that_cannot_be_kept_ends_the_job(origin: ScriptedOrigin, make_client: MakeClient) -> None:
    class Full(Shelf):
        def keep(self, resource: Resource, body: bytes, validator: Validator, done: Done) -> None:
            if len(self.kept) == 3:
                done(DiskError("the disk is full"))
            else:
                super().keep(resource, body, validator, done)

    shelf = Full()
    work = [segment(origin.add(f"/{n}.ts", BODY)) for n in range(40)]
    error = await bring(await known(make_client, origin, connections=2), work, shelf, short=True)
    assert isinstance(error, DiskError)
    assert len(shelf.all) < 40


async def test_a_defect_of_the_keeper_is_raised_and_not_lost(origin: ScriptedOrigin, make_client: MakeClient) -> None:
    class Broken(Shelf):
        def keep(self, resource: Resource, body: bytes, validator: Validator, done: Done) -> None:
            raise ZeroDivisionError

    work = [segment(origin.add(f"/{n}.ts", BODY)) for n in range(10)]
    with pytest.raises(ZeroDivisionError):
        await bring(await known(make_client, origin), work, Broken(), short=True)


async def test_nothing_is_begun_once_it_is_stopped_and_what_is_under_way_is_kept(
    origin: ScriptedOrigin, make_client: MakeClient
) -> None:
    shelf = Shelf()
    work = [segment(origin.add(f"/{n}.ts", BODY)) for n in range(40)]
    client = await known(make_client, origin, connections=4)
    origin.clear_requests()
    error = await bring(client, work, shelf, short=True, stopped=lambda: len(shelf.all) >= 10)
    assert error is None
    assert 10 <= len(shelf.all) == len(origin.requests) < 25


async def test_cancelled_it_lets_go_of_everything(origin: ScriptedOrigin, make_client: MakeClient) -> None:
    """No connection stays, no place stays taken, and nothing is told afterwards."""
    shelf, go_on = Shelf(), threading.Event()
    work = [segment(origin.add(f"/{n}.ts", BODY)) for n in range(12)]
    for n in range(1, 12):
        origin.always(f"/{n}.ts", Hold(go_on))
    client = await known(make_client, origin, connections=4)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        task = asyncio.create_task(bring(client, work, shelf, short=True))
        await asyncio.to_thread(origin.wait_for, "/4.ts")
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        gc.collect()
    go_on.set()
    assert client._exchange.patience.host("127.0.0.1").busy == 0
    assert not client._door._busy
    assert len(shelf.all) == 1


async def test_a_pause_that_the_host_asked_for_is_kept(
    origin: ScriptedOrigin, make_client: MakeClient, clock: FakeClock
) -> None:
    work = [segment(origin.add(f"/{n}.ts", BODY)) for n in range(30)]
    origin.script("/7.ts", Status(429, headers={"Retry-After": "60"}), Serve())
    shelf = Shelf()
    client = make_client(origin.url("/"), connections=2, retry=RetryPolicy())
    assert await bring(client, work, shelf, short=True) is None
    assert len(shelf.all) == 30
    assert sum(clock.slept) >= 59


class Answer:
    """A request whose answer is there, as a lane sees it."""

    def __init__(self, status: int = 200, body: bytes = BODY, **fields: str) -> None:
        names = {name.replace("_", "-"): value for name, value in fields.items()}
        length = {"content-length": str(len(body))} if "content-length" not in names else {}
        self.fields = list({**length, **names}.items())
        self.status, self.ready, self.beginning = status, len(body), body[:100]

    def head(self, limits: Limits) -> Head:
        return Head(status=self.status, fields=self.fields)


@pytest.mark.parametrize(
    ("answer", "is_plain"),
    [
        (Answer(), True),
        (Answer(content_type="video/mp2t", etag='"a"'), True),
        (Answer(body=b""), False),
        (Answer(status=206), False),
        (Answer(status=203), False),
        (Answer(status=404), False),
        (Answer(content_length="7"), False),
        (Answer(content_length="x"), False),
        (Answer(transfer_encoding="chunked"), False),
        (Answer(content_encoding="identity"), False),
        (Answer(set_cookie="a=b"), False),
        (Answer(body=b"<html><body>gone"), False),
        (Answer(body=b'{"error": 1}'), False),
        (Answer(x=Limits().head_bytes * "x"), False),
        (Answer(**{f"x{n}": "1" for n in range(Limits().head_fields + 1)}), False),
    ],
)
def test_plain_is_only_what_leaves_nothing_to_decide(answer: Any, is_plain: bool) -> None:
    assert (plain_head(answer, len(BODY), Limits()) is not None) is is_plain
    assert plain_head(answer, answer.ready - 1, Limits()) is None


PAGE = b"<!DOCTYPE html><html><body>please sign in</body></html>"
COOKIE = Headers([("Set-Cookie", "a=b")])


def serve_in_pieces(listener: socket.socket, first: int) -> None:
    """Answer every request; /3.ts with PAGE, of which `first` bytes come in a packet of their own."""
    while True:
        try:
            line, _ = listener.accept()
        except OSError:
            return
        line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with line, line.makefile("rb") as requests:
            while request := requests.readline():
                while requests.readline().strip():
                    pass
                body = PAGE if request.split()[1] == b"/3.ts" else BODY
                line.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body[:first])
                time.sleep(0.01 if body is PAGE else 0)
                line.sendall(body[first:])


@pytest.mark.parametrize("first", [1, 3, 9])
async def test_an_error_page_is_known_however_it_was_cut_on_its_way(make_client: MakeClient, first: int) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=serve_in_pieces, args=(listener, first), daemon=True).start()
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/"
        shelf = Shelf()
        work = [segment(f"{url}{n}.ts") for n in range(6)]
        error = await bring(make_client(url, connections=1, retries=1), work, shelf, short=True)
    assert error is not None
    assert "an HTML page" in error.message
    assert PAGE not in shelf.all.values()


def under_way(client: Client) -> tuple[int, int]:
    """Places taken, and transfers that libcurl has."""
    door: Any = client._door
    return client._exchange.patience.host("127.0.0.1").busy, len(door._busy)


@pytest.mark.parametrize("behaviours", [(), (COOKIE,), (Chunked(),)])
async def test_cancelled_in_the_round_in_which_answers_come_it_lets_go_of_them(
    origin: ScriptedOrigin, make_client: MakeClient, behaviours: tuple[Any, ...]
) -> None:
    """And nothing goes wrong where nobody looks."""
    client, go_on = await known(make_client, origin, connections=16), threading.Event()
    lost: list[Any] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: lost.append(context))
    work = [segment(origin.add(f"/{n}.ts", BODY)) for n in range(16)]
    for n in range(16):
        origin.always(f"/{n}.ts", Hold(go_on), *behaviours)
    task = asyncio.create_task(bring(client, work, Shelf(), short=True))
    await asyncio.to_thread(lambda: [origin.wait_for(f"/{n}.ts") for n in range(16)])
    go_on.set()
    time.sleep(0.2)  # on this thread: the answers come while nobody looks
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await asyncio.sleep(0.02)
        gc.collect()
    assert (under_way(client), lost) == ((0, 0), [])


async def test_a_cancelled_job_takes_nothing_from_another_one(origin: ScriptedOrigin, make_client: MakeClient) -> None:
    client, go_on, shelf = await known(make_client, origin, connections=16), threading.Event(), Shelf()
    jobs = {name: [segment(origin.add(f"/{name}{n}.ts", BODY)) for n in range(6)] for name in "ab"}
    for n in range(6):
        origin.always(f"/a{n}.ts", Hold(go_on), COOKIE)
        origin.always(f"/b{n}.ts", Hold(go_on))
    first = asyncio.create_task(bring(client, jobs["a"], Shelf(), short=True))
    second = asyncio.create_task(bring(client, jobs["b"], shelf, short=True))
    await asyncio.to_thread(lambda: [origin.wait_for(f"/{name}{n}.ts") for n in range(6) for name in "ab"])
    go_on.set()
    time.sleep(0.2)
    first.cancel()
    assert await asyncio.wait_for(second, 5) is None
    assert len(shelf.all) == 6
    assert [origin.count(f"/b{n}.ts") for n in range(6)] == [1] * 6


async def test_a_failure_gives_back_the_places_of_the_others(origin: ScriptedOrigin, make_client: MakeClient) -> None:
    client, go_on = await known(make_client, origin, connections=8), threading.Event()
    work = [segment(origin.add(f"/{n}.ts", BODY if n else BODY * 40)) for n in range(8)]
    for n in range(1, 8):
        origin.always(f"/{n}.ts", Hold(go_on), COOKIE)

    class Bad(Shelf):
        async def finished(self, resource: Resource, sink: Any) -> None:
            await asyncio.to_thread(lambda: [origin.wait_for(f"/{n}.ts") for n in range(1, 8)])
            go_on.set()
            time.sleep(0.2)
            raise LimitError("for good")

    assert isinstance(await bring(client, work, Bad(), short=True), LimitError)
    assert under_way(client) == (0, 0)


async def test_a_sink_that_cannot_be_made_gives_its_place_back(origin: ScriptedOrigin, make_client: MakeClient) -> None:
    client = await known(make_client, origin, connections=4)
    work = [segment(origin.add(f"/{n}.ts", BODY)) for n in range(4)]
    for n in range(4):
        origin.always(f"/{n}.ts", COOKIE)

    def refuse(_: Resource) -> MemorySink:
        raise LimitError("no")

    with pytest.raises(LimitError):
        await client.fetch_all(work, refuse, Shelf().finished, keeper=Shelf())
    assert under_way(client) == (0, 0)


@pytest.mark.parametrize("connections", [1, 2])
async def test_work_that_breaks_off_is_an_error_and_no_end(
    origin: ScriptedOrigin, make_client: MakeClient, connections: int
) -> None:
    def work() -> Iterator[Resource]:
        for n in range(6):
            yield segment(origin.add(f"/{n}.ts", BODY))
        raise ZeroDivisionError

    client = await known(make_client, origin, connections=connections)
    with pytest.raises(ZeroDivisionError):
        await asyncio.wait_for(bring(client, work(), Shelf(), short=True), 5)  # type: ignore[arg-type]
    assert under_way(client) == (0, 0)


async def test_a_callback_that_is_cancelled_is_no_silent_end(origin: ScriptedOrigin, make_client: MakeClient) -> None:
    class Deaf(Shelf):
        def hear(self, size: int) -> None:
            raise asyncio.CancelledError

    client = await known(make_client, origin)
    work = [segment(origin.add(f"/{n}.ts", BODY)) for n in range(4)]
    with pytest.raises(RuntimeError, match="cancelled"):
        await asyncio.wait_for(bring(client, work, Deaf(), short=True), 5)


async def test_a_coroutine_that_ends_cancelled_alone_ends_the_crew() -> None:
    begun: list[int] = []

    async def work(item: int) -> None:
        begun.append(item)
        future = asyncio.get_running_loop().create_future()
        future.cancel()
        await future

    async with asyncio.timeout(5), asyncio.TaskGroup() as group:
        crew = Crew(group, iter(range(3)), work, wanted=lambda: 2, stopped=lambda: False)
        attending = group.create_task(crew.attend())
        crew.fill()
    assert (begun, attending.done(), attending.cancelled()) == ([0, 1], True, False)


async def test_what_waits_behind_the_last_line_of_libcurl_is_begun_when_another_one_ends(
    origin: ScriptedOrigin, make_client: MakeClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Libcurl says when by its clock, which is asked and does not call."""

    class Crowd:
        """How many requests come at once. (The origin itself counts a silent one until it hears that it was given up.)"""

        now = most = 0

        def apply(self, _request: Request, answer: Any) -> Any:
            with lock:
                self.now += 1
                self.most = max(self.most, self.now)
            time.sleep(0.02)
            with lock:
                self.now -= 1
            return answer

    lock, crowd = threading.Lock(), Crowd()
    origin.always("*", crowd)
    monkeypatch.setattr(curl, "PER_HOST", 1)
    origin.script("/0.ts", Silence(), Serve())
    work = [segment(origin.add(f"/{n}.ts", BODY)) for n in range(6)]
    client, shelf = await known(make_client, origin, stall_timeout=SHORT_STALL), Shelf()
    assert await asyncio.wait_for(bring(client, work, shelf, short=True), 10) is None
    assert (len(shelf.all), crowd.most, under_way(client)) == (6, 1, (0, 0))


@pytest.mark.parametrize("fault", ["", "reset", "short", "goaway"])
async def test_bodies_come_the_short_way_over_http2_too(tmp_path: Path, fault: str) -> None:
    authority = LocalAuthority(tmp_path)
    bodies = {f"/{n}.ts": BODY + bytes([n]) for n in range(80)}
    async with http2_origin(bodies, authority.server_context()) as origin:
        options = TransferOptions(http2=True, cacert=authority.ca_file, proxy="", stall_timeout=5.0)
        async with Client(options, origin.url, clock=FakeClock()) as client:
            base = "/".join(origin.url.split("/")[:3])
            origin.faults.extend([fault] * 3 if fault else [])
            shelf = Shelf()
            error = await bring(client, [segment(f"{base}{path}") for path in bodies], shelf, short=True)
    assert error is None
    assert {url.removeprefix(base): body for url, body in shelf.all.items()} == bodies
    assert len(shelf.kept) > 50
