"""Bodies that end with their connection: their length is asked for, and a cut does not pass for an end."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from hlsdl.errors import NetworkError
from hlsdl.testing import (
    Answer,
    Behaviour,
    CloseDelimited,
    ContentRange,
    Cut,
    Empty,
    Gzip,
    HangUp,
    Headers,
    Html,
    IgnoreRange,
    Redirect,
    Request,
    ScriptedOrigin,
    Status,
)
from hlsdl.transfer.policy import RetryPolicy
from hlsdl.transfer.sink import MemorySink
from transfer.conftest import MakeClient, segment

PACKETS = b"".join(b"G" + n.to_bytes(4, "big") + bytes(183) for n in range(500))
FEW = RetryPolicy(retries=2)
ENCRYPTED = bytes(range(256)) * 100
"""Nothing in it tells where it must end."""


@dataclass(frozen=True)
class CutWhole:
    """Cuts every whole body after so many bytes, without a sign; ranges are served well."""

    after: int

    def apply(self, request: Request, answer: Answer) -> Answer:
        return answer if answer.status == 206 else Cut(after=self.after, framing="close").apply(request, answer)


async def test_a_body_without_a_marked_end_is_confirmed_by_asking_for_its_length(
    origin: ScriptedOrigin, make_client: MakeClient
) -> None:
    """Row 4: one byte more is asked for, and the body is as good as one with a length."""
    url = origin.add("/a.bin", ENCRYPTED)
    origin.script("/a.bin", CloseDelimited())
    sink = MemorySink()
    await make_client(url).fetch(segment(url), sink)
    assert (sink.data, sink.length_verified) == (ENCRYPTED, True)
    assert [request.headers.get("range") for request in origin.requests] == [None, "bytes=0-0"]


async def test_a_cut_that_nothing_else_would_show_is_found_and_healed(
    origin: ScriptedOrigin, make_client: MakeClient
) -> None:
    url = origin.add("/a.bin", ENCRYPTED)
    origin.script("/a.bin", Cut(after=16_000, framing="close"))
    sink = MemorySink()
    await make_client(url).fetch(segment(url), sink)
    assert (sink.data, sink.length_verified) == (ENCRYPTED, True)
    assert [request.headers.get("range") for request in origin.requests] == [None, "bytes=0-0", None]
    origin.always("/a.bin", CutWhole(16_000))
    with pytest.raises(NetworkError) as caught:
        await make_client(url, retry=FEW).fetch(segment(url), MemorySink())
    assert "16000 of 25600" in caught.value.message


@pytest.mark.parametrize(
    "answers",
    [
        (IgnoreRange(), CloseDelimited()),
        (CloseDelimited(), ContentRange("bytes 0-0/*")),
    ],
    ids=["ignores ranges", "knows no length"],
)
async def test_a_host_that_does_not_tell_lengths_is_asked_once_and_its_bodies_are_said_to_be_unverified(
    origin: ScriptedOrigin, make_client: MakeClient, answers: tuple[Behaviour, ...]
) -> None:
    client, sinks = make_client(origin.url("/"), retry=FEW), []
    for number in range(3):
        url = origin.add(f"/{number}.ts", PACKETS)
        origin.always(f"/{number}.ts", *answers)
        sinks.append(MemorySink())
        await client.fetch(segment(url), sinks[-1])
        assert (sinks[-1].data, sinks[-1].length_verified) == (PACKETS, False)
    assert len([request for request in origin.requests if "range" in request.headers]) == 1


async def test_a_server_without_ranges_tells_the_length_by_announcing_it(
    origin: ScriptedOrigin, make_client: MakeClient
) -> None:
    """The whole is what RFC 9110 §14.2 lets it answer with, and this time it says how long it is."""
    url = origin.add("/a.bin", ENCRYPTED)
    origin.script("/a.bin", CloseDelimited(), IgnoreRange(), Cut(after=16_000, framing="close"), IgnoreRange())
    client = make_client(url)
    for cuts in range(2):
        sink = MemorySink()
        await client.fetch(segment(url), sink)
        assert (sink.data, sink.length_verified) == (ENCRYPTED, True), cuts
    assert [request.headers.get("range") for request in origin.requests] == [None, "bytes=0-0"] * 2 + [None]


@pytest.mark.parametrize("other", [Html(b"x" * 40_000), Gzip(), Empty()], ids=["a page", "compressed", "nothing"])
async def test_what_is_something_else_tells_no_length(
    origin: ScriptedOrigin, make_client: MakeClient, other: Behaviour
) -> None:
    url = origin.add("/a.bin", ENCRYPTED)
    origin.script("/a.bin", CloseDelimited(), other)
    sink = MemorySink()
    await make_client(url).fetch(segment(url), sink)
    assert (sink.data, sink.length_verified) == (ENCRYPTED, False)


REFUSALS: list[Behaviour] = [
    Status(403), Status(503), Status(416), HangUp(), Status(503, headers={"Retry-After": "3600"}), Redirect("/a.ts"),
    Redirect("ftp://h/a.ts"), Headers([("X-Long", "x" * 300_000)]),
]  # fmt: skip


@pytest.mark.parametrize("refusal", REFUSALS, ids=lambda refusal: str(refusal)[:60])
async def test_a_refusal_to_tell_the_length_is_no_failure(
    origin: ScriptedOrigin, make_client: MakeClient, refusal: Behaviour
) -> None:
    url = origin.add("/a.ts", PACKETS)
    origin.script("/a.ts", CloseDelimited(), *[refusal] * 12)
    sink = MemorySink()
    await make_client(url).fetch(segment(url), sink)
    assert (sink.data, sink.length_verified) == (PACKETS, False)


async def test_the_length_of_another_version_says_nothing(origin: ScriptedOrigin, make_client: MakeClient) -> None:
    url = origin.add("/a.ts", PACKETS)

    class Changes:
        def apply(self, request: Request, answer: Answer) -> Answer:
            origin.add("/a.ts", PACKETS * 2)
            return CloseDelimited().apply(request, answer)

    origin.script("/a.ts", Changes())
    sink = MemorySink()
    await make_client(url).fetch(segment(url), sink)
    assert (sink.data, sink.length_verified) == (PACKETS, False)


async def test_a_range_without_a_length_field_is_verified_by_its_content_range(
    origin: ScriptedOrigin, make_client: MakeClient
) -> None:
    url = origin.add("/a.ts", PACKETS)
    origin.always("/a.ts", CloseDelimited())
    sink = MemorySink()
    await make_client(url).fetch(segment(url, part=(188, 1880)), sink)
    assert (sink.data, sink.length_verified, origin.count("/a.ts")) == (PACKETS[188:2068], True, 1)
