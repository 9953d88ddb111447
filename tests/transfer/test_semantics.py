"""Conformance, part two: ranges, validators, refusals, redirects and cookies, through every door."""

from __future__ import annotations

from email.utils import formatdate
from itertools import pairwise
from pathlib import Path

import pytest

from hlsdl.errors import HlsdlError, HttpError, IntegrityError, LimitError, NetworkError, PolicyError
from hlsdl.testing import (
    Behaviour,
    Close,
    ContentRange,
    Cut,
    HangUp,
    Headers,
    IgnoreRange,
    LocalAuthority,
    Multipart,
    Redirect,
    Reset,
    ScriptedOrigin,
    ShortRange,
    Status,
    Without,
    WrongRange,
)
from hlsdl.transfer.policy import Limits, RetryPolicy
from hlsdl.transfer.sink import MemorySink, Validator
from transfer.conftest import MakeClient, segment
from transfer.doors import OUR_DOORS, FakeClock

BODY = b"".join(b"G" + n.to_bytes(4, "big") + bytes(183) for n in range(1000))
SMALL_PARTS = Limits(resume_from=1000, block=1000)
"""Resuming from the first kilobyte on, so that a test need not move eight megabytes."""


def etag_of(origin: ScriptedOrigin, path: str = "/a.ts") -> str:
    etag = origin._objects[path].etag
    assert etag is not None
    return etag


def held(origin: ScriptedOrigin, size: int = 50_000) -> MemorySink:
    """What an earlier run left."""
    return MemorySink(BODY[:size], Validator(etag=etag_of(origin), strong=True))


def ranges(origin: ScriptedOrigin, path: str = "/a.ts") -> list[str | None]:
    return [request.headers.get("range") for request in origin.requests if request.path == path]


async def test_a_large_part_with_a_strong_validator_is_resumed(origin: ScriptedOrigin, make_client: MakeClient) -> None:
    url = origin.add("/a.ts", BODY)
    sink = held(origin)
    await make_client(url, limits=SMALL_PARTS).fetch(segment(url), sink)
    assert (sink.data, sink.restarts) == (BODY, 0)
    assert origin.requests[0].headers["range"] == "bytes=50000-"
    assert origin.requests[0].headers["if-range"] == etag_of(origin)
    assert origin.requests[0].body_bytes_sent == len(BODY) - 50_000


async def test_a_transfer_that_breaks_goes_on_where_it_was(origin: ScriptedOrigin, make_client: MakeClient) -> None:
    url = origin.add("/a.ts", BODY)
    origin.script("/a.ts", Cut(after=60_000), Reset(after=60_000), Cut(after=30_000))
    sink = MemorySink()
    await make_client(url, limits=SMALL_PARTS).fetch(segment(url), sink)
    assert (sink.data, sink.restarts) == (BODY, 0)
    starts = [int((asked or "bytes=0-").removeprefix("bytes=").rstrip("-")) for asked in ranges(origin)]
    assert len(starts) == 4
    assert all(later > earlier for earlier, later in pairwise(starts))


@pytest.mark.parametrize("size", [7 * 1024 * 1024, 8 * 1024 * 1024])
async def test_below_eight_mebibytes_restart_beats_splice(
    origin: ScriptedOrigin, make_client: MakeClient, size: int
) -> None:
    body = BODY * 50
    url = origin.add("/a.ts", body)
    sink = MemorySink(body[:size], Validator(etag=etag_of(origin), strong=True))
    await make_client(url).fetch(segment(url), sink)
    assert sink.data == body
    assert sink.restarts == (1 if size < 8 * 1024 * 1024 else 0)


@pytest.mark.parametrize(
    ("fault", "requests"),
    [
        (IgnoreRange(), 1),
        (WrongRange(), 2),
        (ContentRange("bytes 49999-187998/188000"), 2),
        (ContentRange("bytes 50000-187999/188001"), 2),
        (ContentRange("bytes 50000-187998/188000"), 2),
        (ContentRange("bytes 50000-187999/187999"), 2),
        (Without("Content-Range"), 2),
        (Multipart(), 2),
        (Status(416, headers={"Content-Range": "bytes */40000"}), 2),
        (Status(416), 2),
        (Without("ETag"), 2),
        (Headers([("Content-Encoding", "gzip")]), 2),
    ],
    ids=str,
)
async def test_a_wrong_answer_to_a_range_never_gets_into_the_body(
    origin: ScriptedOrigin, make_client: MakeClient, fault: Behaviour, requests: int
) -> None:
    """Rows 22-26, 28."""
    url = origin.add("/a.ts", BODY)
    origin.script("/a.ts", fault)
    sink = held(origin)
    await make_client(url, limits=SMALL_PARTS).fetch(segment(url), sink)
    assert sink.data == BODY
    assert origin.count("/a.ts") == requests


async def test_a_416_with_exactly_our_length_means_nothing_is_missing(
    origin: ScriptedOrigin, make_client: MakeClient
) -> None:
    """Row 27."""
    url = origin.add("/a.ts", BODY)
    sink = held(origin, len(BODY))
    await make_client(url, limits=SMALL_PARTS).fetch(segment(url), sink)
    assert (sink.data, sink.restarts, origin.requests[0].status) == (BODY, 0, 416)


async def test_a_changed_object_starts_over(origin: ScriptedOrigin, make_client: MakeClient) -> None:
    """Row 29."""
    url = origin.add("/a.ts", BODY)
    sink = held(origin)
    origin.add("/a.ts", BODY[::-1])
    await make_client(url, limits=SMALL_PARTS).fetch(segment(url), sink)
    assert (sink.data, origin.count("/a.ts")) == (BODY[::-1], 1)
    assert sink.validator == Validator(etag=etag_of(origin), last_modified="Sat, 01 Jan 2022 00:00:00 GMT", strong=True)


async def test_a_server_that_ignores_if_range_after_a_change_is_found_out(
    origin: ScriptedOrigin, make_client: MakeClient
) -> None:
    url = origin.add("/a.ts", BODY)
    sink = held(origin)
    origin.add("/a.ts", BODY[::-1])

    class IgnoreIfRange:
        def apply(self, request: object, answer: object) -> object:
            from hlsdl.testing import Answer

            tail = BODY[::-1][50_000:]
            told = (("Content-Range", f"bytes 50000-{len(BODY) - 1}/{len(BODY)}"), ("ETag", '"new"'))
            return Answer(status=206, headers=told, body=tail)

    origin.script("/a.ts", IgnoreIfRange())  # type: ignore[arg-type]
    await make_client(url, limits=SMALL_PARTS).fetch(segment(url), sink)
    assert sink.data == BODY[::-1]


@pytest.mark.parametrize(
    ("etag", "age", "resumed"),
    [('W/"weak"', 3600, False), (None, 59, False), (None, 3600, True), ('"strong"', 0, True)],
)
async def test_only_a_strong_validator_lets_a_part_be_continued(
    origin: ScriptedOrigin, make_client: MakeClient, etag: str | None, age: int, resumed: bool
) -> None:
    """Rows 30 and 31."""
    import time

    modified = formatdate(time.time() - age, usegmt=True)
    url = origin.add("/a.ts", BODY, etag=etag, last_modified=modified)
    origin.script("/a.ts", Cut(after=100_000))
    sink = MemorySink()
    await make_client(url, limits=SMALL_PARTS).fetch(segment(url), sink)
    assert sink.data == BODY
    assert (ranges(origin)[1] is not None) is resumed


async def test_a_byte_range_of_the_playlist_is_asked_for_and_stored_alone(
    origin: ScriptedOrigin, make_client: MakeClient
) -> None:
    url = origin.add("/a.ts", BODY)
    sink = MemorySink()
    await make_client(url).fetch(segment(url, part=(1880, 3760)), sink)
    assert sink.data == BODY[1880:5640]
    assert ranges(origin) == ["bytes=1880-5639"]


@pytest.mark.parametrize(
    "fault",
    [
        IgnoreRange(),
        WrongRange(),
        Without("Content-Range"),
        Multipart(),
        Cut(after=100),
        Reset(after=0),
        ShortRange(1000),
    ],
    ids=str,
)
async def test_a_byte_range_survives_every_wrong_answer(
    origin: ScriptedOrigin, make_client: MakeClient, fault: Behaviour
) -> None:
    url = origin.add("/a.ts", BODY)
    origin.script("/a.ts", fault)
    sink = MemorySink()
    await make_client(url).fetch(segment(url, part=(1880, 3760)), sink)
    assert sink.data == BODY[1880:5640]


async def test_a_server_without_ranges_gives_each_slice_of_a_small_entity(
    origin: ScriptedOrigin, make_client: MakeClient
) -> None:
    """R3: the slice is cut from the whole up to the limit, and past it there is a clear error."""
    url = origin.add("/a.ts", BODY)
    origin.always("/a.ts", IgnoreRange())
    client = make_client(url, limits=Limits(slice=len(BODY)))
    for start in (0, 1880, len(BODY) - 188):
        sink = MemorySink()
        await client.fetch(segment(url, part=(start, 188)), sink)
        assert sink.data == BODY[start : start + 188]
    with pytest.raises(LimitError) as caught:
        await make_client(url, limits=Limits(slice=len(BODY) - 1)).fetch(segment(url, part=(0, 188)), MemorySink())
    assert "ranges" in caught.value.message


async def test_a_byte_range_past_the_end_is_refused(origin: ScriptedOrigin, make_client: MakeClient) -> None:
    url = origin.add("/a.ts", BODY)
    with pytest.raises(HttpError) as caught:
        await make_client(url).fetch(segment(url, part=(len(BODY), 188)), MemorySink())
    assert (caught.value.http_status, origin.count("/a.ts")) == (416, 2)
    few = make_client(url, retry=RetryPolicy(retries=1))
    with pytest.raises(HlsdlError):
        await few.fetch(segment(url, part=(len(BODY) - 10, 188)), MemorySink())


async def test_a_short_206_is_continued_when_a_strong_validator_ties_the_parts(
    origin: ScriptedOrigin, make_client: MakeClient
) -> None:
    """Row 24."""
    url = origin.add("/a.ts", BODY)
    origin.always("/a.ts", ShortRange(1000))
    sink = MemorySink()
    await make_client(url).fetch(segment(url, part=(0, 3760)), sink)
    assert sink.data == BODY[:3760]
    assert ranges(origin) == ["bytes=0-3759", "bytes=1000-3759", "bytes=2000-3759", "bytes=3000-3759"]
    origin.add("/b.ts", BODY, etag='W/"weak"')
    origin.always("/b.ts", ShortRange(1000))
    sink = MemorySink()
    await make_client(url).fetch(segment(origin.url("/b.ts"), part=(0, 3760)), sink)
    assert sink.data == BODY[:3760]
    assert ranges(origin, "/b.ts") == ["bytes=0-3759", None]


@pytest.mark.parametrize(
    ("answer", "waits"),
    [
        (Status(429, headers={"Retry-After": "7"}), [7.0]),
        (Status(503, headers={"Retry-After": "300"}), [300.0]),
        (Status(429, headers={"Retry-After": "0"}), []),
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
    assert len(clock.slept) == 1
    assert 38 <= clock.slept[0] <= 41


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


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_redirects_are_followed_and_the_final_url_is_told(
    origin: ScriptedOrigin, make_client: MakeClient, status: int
) -> None:
    url = origin.add("/deep/a.m3u8", b"#EXTM3U\n")
    origin.always("/a", Redirect("b?x=1", status))
    origin.always("/b", Redirect("/deep/a.m3u8", status))
    client = make_client(url)
    body = await client.read(origin.url("/a"), kind="playlist", limit=100)
    assert (body.data, body.url, body.requested_url) == (b"#EXTM3U\n", url, origin.url("/a"))


async def test_a_range_survives_a_redirect(origin: ScriptedOrigin, make_client: MakeClient) -> None:
    origin.add("/a.ts", BODY)
    origin.always("/r", Redirect("/a.ts"))
    sink = held(origin)
    await make_client(origin.url("/"), limits=SMALL_PARTS).fetch(segment(origin.url("/r")), sink)
    assert (sink.data, sink.restarts) == (BODY, 0)
    assert origin.requests[1].headers["if-range"] == etag_of(origin)


async def test_ten_redirects_are_followed_and_eleven_are_not(origin: ScriptedOrigin, make_client: MakeClient) -> None:
    """Row 40."""
    origin.add("/0", BODY)
    for n in range(1, 12):
        origin.always(f"/{n}", Redirect(f"/{n - 1}"))
    client = make_client(origin.url("/"))
    sink = MemorySink()
    await client.fetch(segment(origin.url("/10")), sink)
    assert sink.data == BODY
    with pytest.raises(PolicyError) as caught:
        await client.fetch(segment(origin.url("/11")), MemorySink())
    assert caught.value.code == 10
    origin.always("/loop", Redirect("/loop"))
    origin.clear_requests()
    with pytest.raises(PolicyError):
        await client.fetch(segment(origin.url("/loop")), MemorySink())
    assert origin.count("/loop") == 11


async def test_nothing_given_for_the_source_follows_a_redirect_to_another_origin(
    origin: ScriptedOrigin, make_client: MakeClient, tmp_path: Path
) -> None:
    """Row 41."""
    cookies = tmp_path / "cookies.txt"
    cookies.write_text("127.0.0.1\tFALSE\t/\tFALSE\t0\tfile\tsecret\n")
    with ScriptedOrigin() as other:
        other.add("/a.ts", BODY)
        origin.always("/a.ts", Headers([("Set-Cookie", "set=secret; Path=/")]), Redirect(other.url("/a.ts")))
        origin.always("/back", Redirect("/home"))
        origin.add("/home", BODY)
        origin.always("/set", Headers([("Set-Cookie", "set=secret; Path=/; Domain=127.0.0.1")]))
        origin.add("/set", BODY)
        client = make_client(
            origin.url("/master.m3u8"),
            headers=(("Authorization", "Bearer secret"), ("X-Api-Key", "secret"), ("Cookie", "given=secret")),
            cookies_file=cookies,
            referer="http://page.example/?id=secret",
        )
        for path in ("/set", "/a.ts", "/back"):
            await client.fetch(segment(origin.url(path)), MemorySink())
        await client.fetch(segment(other.url("/a.ts")), MemorySink())
        asked_home = [str(request.headers) for request in origin.requests]
        asked_other = [str(request.headers) for request in other.requests]
    assert all(text.count("secret") >= 4 for text in asked_home)
    assert "set=secret" in asked_home[-1]
    assert len(asked_other) == 2
    assert not any("secret" in text for text in asked_other)


@pytest.mark.parametrize(
    "target",
    [
        "file:///etc/passwd", "ftp://127.0.0.1/x", "data:text/plain,x", "gopher://127.0.0.1/1", "javascript:alert(1)",
        "http://[bad", "http://user:secret@127.0.0.1/", "http://169.254.169.254/latest/", "http://[::ffff:169.254.169.254]/",
        "http://0.0.0.0:1/", "http://2852039166/", "http://10.0.0.1/", "http://localhost:1/", "http://[::1]:1/", "//[fe80::1]/",
    ],
)  # fmt: skip
async def test_a_redirect_to_where_we_must_not_go_is_refused(
    origin: ScriptedOrigin, make_client: MakeClient, target: str
) -> None:
    """Rows 42 and 44."""
    origin.always("/a.ts", Redirect(target))
    with pytest.raises(PolicyError) as caught:
        await make_client(origin.url("/")).fetch(segment(origin.url("/a.ts")), MemorySink())
    assert caught.value.code == 10
    assert "secret" not in f"{caught.value} {caught.value.url}"
    assert origin.count("/a.ts") == 1


async def test_no_packet_goes_to_a_refused_address(origin: ScriptedOrigin, make_client: MakeClient) -> None:
    """Row 44, with a canary that would answer."""
    with ScriptedOrigin() as canary:
        canary.add("/a.ts", BODY)
        spellings = ("localhost", "[::ffff:127.0.0.1]", "127.0.0.2", "[::1]", "a.localhost")
        client = make_client(origin.url("/"))
        for host in spellings:
            url = canary.url("/a.ts", host=host)
            origin.always("/r", Redirect(url))
            for asked in (url, origin.url("/r")):
                with pytest.raises(PolicyError):
                    await client.fetch(segment(asked), MemorySink())
        assert canary.connections == 0


async def test_a_tls_origin_is_served_and_never_downgraded(
    origin: ScriptedOrigin, make_client: MakeClient, tmp_path: Path
) -> None:
    """Row 43."""
    authority = LocalAuthority(tmp_path)
    with ScriptedOrigin(tls=authority.server_context()) as secure:
        url = secure.add("/a.ts", BODY)
        origin.add("/plain.ts", BODY)
        secure.always("/down", Redirect(origin.url("/plain.ts")))
        client = make_client(url, cacert=authority.ca_file)
        sink = MemorySink()
        await client.fetch(segment(url), sink)
        assert sink.data == BODY
        with pytest.raises(PolicyError):
            await client.fetch(segment(secure.url("/down")), MemorySink())
        assert origin.requests == []
        sink = MemorySink()
        await make_client(url, insecure=True).fetch(segment(secure.url("/down")), sink)
        assert sink.data == BODY
        with pytest.raises(PolicyError):
            await make_client(url, insecure=True, require_https=True).fetch(segment(secure.url("/down")), MemorySink())


@pytest.mark.parametrize("fault", ["expired", "wrong host", "unknown authority"])
async def test_a_certificate_that_cannot_be_trusted_is_final(
    make_client: MakeClient, tmp_path: Path, fault: str
) -> None:
    """Row 47."""
    authority = LocalAuthority(tmp_path)
    hosts = ("elsewhere.example",) if fault == "wrong host" else ("127.0.0.1",)
    with ScriptedOrigin(tls=authority.server_context(*hosts, expired=fault == "expired")) as secure:
        url = secure.add("/a.ts", BODY)
        client = make_client(url, cacert=None if fault == "unknown authority" else authority.ca_file)
        with pytest.raises(HttpError) as caught:
            await client.fetch(segment(url), MemorySink())
        assert (caught.value.code, caught.value.retryable, secure.connections) == (4, False, 1)
        assert "--cacert" in (caught.value.hint or "")
        sink = MemorySink()
        await make_client(url, insecure=True).fetch(segment(url), sink)
        assert sink.data == BODY


@pytest.mark.parametrize("fault", [Cut(after=1000), Reset(after=1000), Cut(after=1000, framing="chunked")], ids=str)
async def test_a_tls_body_that_ends_without_goodbye_is_a_cut_body(
    make_client: MakeClient, tmp_path: Path, fault: Behaviour
) -> None:
    """Row 48."""
    authority = LocalAuthority(tmp_path)
    with ScriptedOrigin(tls=authority.server_context()) as secure:
        url = secure.add("/a.ts", BODY)
        secure.script("/a.ts", fault)
        sink = MemorySink()
        await make_client(url, cacert=authority.ca_file).fetch(segment(url), sink)
        assert (sink.data, secure.count("/a.ts")) == (BODY, 2)


async def test_plain_http_on_a_tls_port_and_tls_on_a_plain_port_are_clear_errors(
    origin: ScriptedOrigin, make_client: MakeClient
) -> None:
    origin.add("/a.ts", BODY)
    url = origin.url("/a.ts").replace("http:", "https:")
    with pytest.raises(HlsdlError) as caught:
        await make_client(url, timeout=0.3, retry=RetryPolicy(retries=1)).fetch(segment(url), MemorySink())
    assert caught.value.code in {3, 4}


async def test_a_client_certificate_is_shown_when_asked_for(make_client: MakeClient, tmp_path: Path) -> None:
    authority = LocalAuthority(tmp_path)
    with ScriptedOrigin(tls=authority.server_context("127.0.0.1", ask_client_certificate=True)) as secure:
        url = secure.add("/a.ts", BODY)
        mine = authority.certificate("me", client=True)
        sink = MemorySink()
        await make_client(url, cacert=authority.ca_file, client_cert=mine).fetch(segment(url), sink)
        assert sink.data == BODY
        without = make_client(url, cacert=authority.ca_file, retry=RetryPolicy(retries=1))
        with pytest.raises(HlsdlError):
            await without.fetch(segment(url), MemorySink())


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


async def test_integrity_errors_keep_their_code(origin: ScriptedOrigin, make_client: MakeClient) -> None:
    url = origin.add("/a.ts", BODY)
    origin.always("/a.ts", Without("Content-Range"))
    client = make_client(url, retry=RetryPolicy(retries=1), limits=Limits(slice=100))
    with pytest.raises(IntegrityError):
        await client.fetch(segment(url, part=(188, 188)), MemorySink())


async def test_a_server_that_only_hangs_up_is_not_asked_for_ever(
    origin: ScriptedOrigin, make_client: MakeClient
) -> None:
    url = origin.add("/a.ts", BODY)
    origin.always("/a.ts", HangUp())
    with pytest.raises(NetworkError):
        await make_client(url, retry=RetryPolicy(retries=2)).fetch(segment(url), MemorySink())
    assert origin.count("/a.ts") == 3
