"""The short way: it ends exactly as the usual one does, whatever the origin answers, and asks no more often."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("pycurl", reason="not installed: pycurl")

from hlsdl.access.limits import Limits
from hlsdl.errors import IntegrityError
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
from hlsdl.transfer.doors import Head
from hlsdl.transfer.lane import plain_head
from hlsdl.transfer.options import TransferOptions
from hlsdl.transfer.policy import RetryPolicy
from transfer.conftest import SHORT_STALL, MakeClient, segment
from transfer.doors import FakeClock
from transfer.http2_origin import http2_origin
from transfer.shelf import BODY, Shelf, bring, known, under_way

SEGMENTS = 12
FAULTY = 5


@pytest.fixture
def door_name() -> str:
    """Only libcurl's door begins with requests that nobody waits for."""
    return "curl"


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
                    # The place is for going on with a part; what comes the short way is whole.
                    "validators": {
                        url.rpartition("/")[2]: one and replace(one, place=None)
                        for url, one in shelf.validators.items()
                    },
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


async def test_what_is_encrypted_comes_the_short_way_in_whole_blocks_only(
    origin: ScriptedOrigin, make_client: MakeClient
) -> None:
    """A cut that its announced length hides shows in the last block."""
    work = [segment(origin.add(f"/{n}.ts", bytes(1600 - (n == 3))), block=16) for n in range(5)]
    shelf = Shelf()
    error = await bring(await known(make_client, origin, connections=1, retries=1), work, shelf, short=True)
    assert isinstance(error, IntegrityError)
    assert sorted(url.rpartition("/")[2] for url in shelf.kept) == ["0.ts", "1.ts", "2.ts"]


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
