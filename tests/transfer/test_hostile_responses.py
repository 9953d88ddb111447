"""Conformance, part six: responses that are not what HTTP allows, each against every door.

What is accepted is the body and nothing else; what is refused is refused by one error of ours.
"""

from __future__ import annotations

import asyncio

import pytest

from hlsdl.errors import HlsdlError, HttpError, IntegrityError, LimitError, NetworkError
from hlsdl.testing import Raw, ScriptedOrigin
from hlsdl.transfer.policy import RetryPolicy
from hlsdl.transfer.sink import MemorySink
from transfer.conftest import SHORT_STALL, MakeClient, segment
from transfer.doors import OUR_DOORS

BODY = b"G" + b"12345678" * 25
OK = b"HTTP/1.1 200 OK\r\n"
LENGTH = b"Content-Length: %d\r\n" % len(BODY)
CHUNKS = b"Transfer-Encoding: chunked\r\n"
CHUNKED = b"%x\r\n%b\r\n0\r\n\r\n" % (len(BODY), BODY)

ACCEPTED: dict[str, bytes] = {
    "plain": OK + LENGTH + b"\r\n" + BODY,
    "chunked": OK + CHUNKS + b"\r\n" + CHUNKED,
    "trailers": OK + CHUNKS + b"\r\n" + CHUNKED[:-2] + b"ETag: late\r\nContent-Length: 5\r\n\r\n",
    "folded": OK + b"X-Long: a\r\n b\r\n" + LENGTH + b"\r\n" + BODY,
    "latin-1": OK + b"X-Name: \xe9\xff\r\n" + LENGTH + b"\r\n" + BODY,
    "hints": b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" * 3 + OK + LENGTH + b"\r\n" + BODY,
    "two versions": OK + b'ETag: "a"\r\nETag: W/"a"\r\n' + LENGTH + b"\r\n" + BODY,
    "a part that is the whole": OK + b"Content-Range: Bytes  0-200/201\r\n" + LENGTH + b"\r\n" + BODY,
    "no encoding, twice": OK + b"Content-Encoding: identity\r\nContent-Encoding: \r\n" + LENGTH + b"\r\n" + BODY,
    "no reason": b"HTTP/1.1 200 \r\n" + LENGTH + b"\r\n" + BODY,
    "longer": OK + LENGTH + b"\r\n" + BODY + b"surplus",
}

REFUSED: dict[str, bytes] = {
    "nothing of it": OK + LENGTH + b"\r\n",
    "half of it": OK + LENGTH + b"\r\n" + BODY[:100],
    "chunk cut": OK + CHUNKS + b"\r\n" + CHUNKED[:100],
    "no last chunk": OK + CHUNKS + b"\r\n" + CHUNKED[:-5],
    "chunk size": OK + CHUNKS + b"\r\n-5\r\n12345\r\n0\r\n\r\n",
    "chunk size overflow": OK + CHUNKS + b"\r\n" + b"f" * 30 + b"\r\n" + BODY,
    "head cut in a line": OK + b"Content-Le",
    "head cut after a line": OK + LENGTH,
    "head cut in the status": b"HTTP/1.1 2",
    "two lengths": OK + LENGTH + b"Content-Length: 5\r\n\r\n" + BODY,
    "negative length": OK + b"Content-Length: -5\r\n\r\n" + BODY,
    "length with a sign": OK + b"Content-Length: +201\r\n\r\n" + BODY,
    "length with letters": OK + b"Content-Length: 201abc\r\n\r\n" + BODY,
    "length overflow": OK + b"Content-Length: " + b"9" * 40 + b"\r\n\r\n" + BODY,
    "nul in a header": OK + b"X: a\0b\r\n" + LENGTH + b"\r\n" + BODY,
    "no colon": OK + b"nonsense\r\n" + LENGTH + b"\r\n" + BODY,
    "HTTP/0.9": BODY,
    "no status": b"HTTP/1.1 \r\n\r\n" + BODY,
    "status 99": b"HTTP/1.1 99 Low\r\n" + LENGTH + b"\r\n" + BODY,
    "status 999": b"HTTP/1.1 999 High\r\n" + LENGTH + b"\r\n" + BODY,
    "only interim": b"HTTP/1.1 103 Early Hints\r\n\r\n",
    "switching": b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n" + BODY,
    "gzip framing": OK + b"Transfer-Encoding: gzip, chunked\r\n\r\n" + CHUNKED,
    "identity, cut where a packet ends": OK + b"Transfer-Encoding: identity\r\n" + LENGTH + b"\r\n" + BODY[:188],
    "encoding, identity and gzip": OK
    + b"Content-Encoding: identity\r\nContent-Encoding: gzip\r\n"
    + LENGTH
    + b"\r\n"
    + BODY,
    "encoding, space before the colon": OK + b"Content-Encoding : gzip\r\n" + LENGTH + b"\r\n" + BODY,
    "chunks, space before the colon": OK + b"Transfer-Encoding : chunked\r\n\r\n" + CHUNKED,
    "a part called whole": OK + b"Content-Range: bytes 0-200/999\r\n" + LENGTH + b"\r\n" + BODY,
    "a part called whole, in numbers beyond counting": OK
    + b"Content-Range: bytes 0-%b/%b\r\n" % (b"1" * 5000, b"2" * 5000)
    + LENGTH
    + b"\r\n"
    + BODY,
    "line of 90 KB": OK + b"X: " + b"v" * 90_000 + b"\r\n" + LENGTH + b"\r\n" + BODY,
    "line of 120 KB": OK + b"X: " + b"v" * 120_000 + b"\r\n" + LENGTH + b"\r\n" + BODY,
    "head of 400 KB": OK + (b"X: " + b"v" * 4000 + b"\r\n") * 100 + LENGTH + b"\r\n" + BODY,
    "6000 fields": OK + b"X: v\r\n" * 6000 + LENGTH + b"\r\n" + BODY,
}

EITHER: dict[str, bytes] = {
    "length and chunks": OK + LENGTH + CHUNKS + b"\r\n" + CHUNKED,
    "bare line feeds": (OK + LENGTH + b"\r\n").replace(b"\r", b"") + BODY,
    "identity": OK + b"Transfer-Encoding: identity\r\n" + LENGTH + b"\r\n" + BODY,
    "length twice": OK + LENGTH + LENGTH + b"\r\n" + BODY,
    "a name with a blank": OK + b"X Cache: HIT\r\n" + LENGTH + b"\r\n" + BODY,
    "space before a colon": OK + b"X : y\r\n" + LENGTH + b"\r\n" + BODY,
    "the same version twice": OK + b'ETag: "a"\r\nETag: "a"\r\n' + LENGTH + b"\r\n" + BODY,
}
"""Where implementations differ, and either way is safe as long as no byte is wrong."""


async def outcome(make_client: MakeClient, origin: ScriptedOrigin, raw: bytes) -> bytes | HlsdlError:
    url = origin.add("/a.ts", b"never served")
    origin.always("/a.ts", Raw(raw))
    sink = MemorySink()
    client = make_client(url, retry=RetryPolicy(retries=1), stall_timeout=SHORT_STALL)
    try:
        await client.fetch(segment(url, limit=10_000), sink)
    except (NetworkError, HttpError, IntegrityError, LimitError) as error:
        return error
    return sink.data


@pytest.mark.parametrize("name", ACCEPTED)
async def test_unusual_answers_bring_the_body(origin: ScriptedOrigin, make_client: MakeClient, name: str) -> None:
    assert await outcome(make_client, origin, ACCEPTED[name]) == BODY


@pytest.mark.parametrize(
    "where",
    [b"Location: /B.ts\r\nLocation: /b.ts", b"Location : /B.ts\r\nLocation: /b.ts", b"Location : /b.ts"],
    ids=["two", "two, one misspelt", "a misspelt one"],
)
async def test_a_redirect_that_can_be_read_in_two_ways_is_not_followed(
    origin: ScriptedOrigin, make_client: MakeClient, where: bytes
) -> None:
    for path in ("/b.ts", "/B.ts"):
        origin.add(path, BODY)
    raw = b"HTTP/1.1 302 Found\r\n" + where + b"\r\nContent-Length: 0\r\n\r\n"
    assert isinstance(await outcome(make_client, origin, raw), HlsdlError)
    assert {request.path for request in origin.requests} == {"/a.ts"}


@pytest.mark.parametrize("name", REFUSED)
async def test_broken_answers_are_one_error(origin: ScriptedOrigin, make_client: MakeClient, name: str) -> None:
    assert isinstance(await outcome(make_client, origin, REFUSED[name]), HlsdlError)


@pytest.mark.parametrize("door_name", OUR_DOORS)
@pytest.mark.parametrize("name", ["head of 400 KB", "6000 fields"])
async def test_an_endless_head_is_known_on_a_connection_that_was_used_before(
    origin: ScriptedOrigin, make_client: MakeClient, name: str
) -> None:
    """It is a head, and not what is left of the answer before: its first line says so."""
    client = make_client(origin.url("/"), retry=RetryPolicy(retries=0))
    await client.fetch(segment(origin.add("/first.ts", BODY), limit=10_000), MemorySink())
    url = origin.add("/a.ts", b"never served")
    origin.always("/a.ts", Raw(REFUSED[name]))
    with pytest.raises(LimitError):
        await client.fetch(segment(url, limit=10_000), MemorySink())
    assert len({request.connection for request in origin.requests}) == 1


async def test_what_is_wrong_with_a_head_hides_no_refusal(origin: ScriptedOrigin, make_client: MakeClient) -> None:
    """Nobody wants its body."""
    odd = b"Content-Encoding: gzip\r\nContent-Encoding: br\r\nContent-Length: 0\r\n\r\n"
    refusal = await outcome(make_client, origin, b"HTTP/1.1 404 Not Found\r\n" + odd)
    assert isinstance(refusal, HttpError)
    assert refusal.http_status == 404


@pytest.mark.parametrize("door_name", OUR_DOORS)
@pytest.mark.parametrize(("fields", "is_fine"), [(256, True), (257, False)])
async def test_a_head_has_so_many_fields_and_no_more(
    origin: ScriptedOrigin, make_client: MakeClient, fields: int, *, is_fine: bool
) -> None:
    found = await outcome(make_client, origin, OK + LENGTH + b"X: v\r\n" * (fields - 1) + b"\r\n" + BODY)
    assert found == BODY if is_fine else isinstance(found, LimitError)


@pytest.mark.parametrize("name", EITHER)
async def test_ambiguous_answers_bring_the_body_or_an_error(
    origin: ScriptedOrigin, make_client: MakeClient, name: str
) -> None:
    result = await outcome(make_client, origin, EITHER[name])
    assert result == BODY or isinstance(result, HlsdlError)


@pytest.mark.parametrize("door_name", OUR_DOORS)
@pytest.mark.parametrize("after", [0.0, 0.05, 0.3])
async def test_what_an_idle_connection_says_is_no_answer(make_client: MakeClient, after: float) -> None:
    """A whole response comes unasked, some time after the one that was asked for."""
    wrong = OK + LENGTH + b"\r\n" + BODY[::-1]
    spoken = asyncio.Event()

    async def converse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                writer.write(OK + LENGTH + b"\r\n" + BODY)
                await writer.drain()
                if b"/first" in head:
                    await asyncio.sleep(after)
                    writer.write(wrong)
                    await writer.drain()
                    spoken.set()
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            return
        finally:
            writer.close()

    server = await asyncio.start_server(converse, "127.0.0.1", 0)
    async with server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        client = make_client(url)
        for target in ("/first.ts", "/second.ts", "/third.ts"):
            sink = MemorySink()
            await client.fetch(segment(url + target), sink)
            assert sink.data == BODY
            await spoken.wait()
            await asyncio.sleep(0.02)  # on loopback what was written has arrived
        server.close()
