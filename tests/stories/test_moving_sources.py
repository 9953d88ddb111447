"""Sources that move while they are downloaded: signed URLs, redundant copies, and streams that changed."""

from __future__ import annotations

import os
import signal
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
from commands import hlsdl, start

import hlsdl as library
from hlsdl.errors import HttpError, IntegrityError
from hlsdl.session import events
from hlsdl.testing import Answer, Behaviour, Empty, Gzip, Html, Redirect, Request, ScriptedOrigin, Status

SEGMENTS = 20


def body(number: int) -> bytes:
    return (b"\x47" + f"segment {number} ".encode().ljust(187, b".")) * 20


def playlist(tail: str = "", *, segments: int = SEGMENTS, duration: str = "4") -> bytes:
    lines = [f"#EXTINF:{duration},\n{number}.ts{tail}" for number in range(segments)]
    return "\n".join(["#EXTM3U", "#EXT-X-TARGETDURATION:9", *lines, "#EXT-X-ENDLIST", ""]).encode()


class Signed:
    """Every URL needs the token of now; it changes when so many segments have been served."""

    def __init__(self, *changes_after: int) -> None:
        self.changes_after = list(changes_after)
        self.token = 1
        self.served = 0
        self.is_shut = False

    def apply(self, request: Request, answer: Answer) -> Answer:
        if request.path.endswith(".m3u8"):
            return replace(answer, body=playlist(f"?token={self.token}"))
        if self.is_shut or request.target.rpartition("=")[2] != str(self.token):
            return Status(403).apply(request, answer)
        self.served += 1
        if self.changes_after and self.served >= self.changes_after[0]:
            self.changes_after.pop(0)
            self.token += 1
        return answer


def serve(origin: ScriptedOrigin, text: bytes = b"", at: str = "/v") -> str:
    for number in range(SEGMENTS):
        origin.add(f"{at}/{number}.ts", body(number))
    origin.add(f"{at}/index.m3u8", text or playlist())
    return origin.url(f"{at}/index.m3u8")


def stored(bundle: Path) -> list[bytes]:
    return [path.read_bytes() for path in sorted(bundle.glob("0-*/*.ts"))]


TRUTH = [body(number) for number in range(SEGMENTS)]


async def test_a_signed_url_that_expires_at_forty_per_cent_is_renewed_from_the_playlist(tmp_path: Path) -> None:
    heard: list[events.Event] = []
    with ScriptedOrigin() as origin:
        url = serve(origin)
        origin.always("*", Signed(8))
        bundle = await library.fetch(url, output=tmp_path, connections=4, emit=heard.append)
        whole = Counter(request.path for request in origin.requests if request.status == 200)
        assert origin.count("/v/index.m3u8") == 2
    assert stored(bundle.path) == TRUTH
    assert [path for path, times in whole.items() if times > 1 and path.endswith(".ts")] == []
    assert any("read again" in one.message for one in heard if isinstance(one, events.Warned))


@pytest.mark.parametrize("refusal", [Html(), Empty()], ids=["sign-in", "empty"])
async def test_an_expiry_that_is_no_refusal_is_recognised_too(tmp_path: Path, refusal: Behaviour) -> None:
    """Answered by a page with 200, or by nothing at all."""

    class Polite(Signed):
        def apply(self, request: Request, answer: Answer) -> Answer:
            signed = super().apply(request, answer)
            return refusal.apply(request, answer) if signed.status == 403 else signed

    with ScriptedOrigin() as origin:
        url = serve(origin)
        origin.always("*", Polite(8))
        bundle = await library.fetch(url, output=tmp_path, connections=4, retries=1)
        assert origin.count("/v/index.m3u8") == 2
    assert stored(bundle.path) == TRUTH


async def test_it_may_expire_more_than_once(tmp_path: Path) -> None:
    with ScriptedOrigin() as origin:
        url = serve(origin)
        origin.always("*", Signed(5, 10, 15))
        bundle = await library.fetch(url, output=tmp_path, connections=2)
        assert origin.count("/v/index.m3u8") == 4
    assert stored(bundle.path) == TRUTH


async def test_an_origin_that_refuses_for_ever_is_not_asked_for_ever(tmp_path: Path) -> None:
    with ScriptedOrigin() as origin:
        url = serve(origin)
        rule = Signed(8)
        origin.always("*", rule)
        rule.is_shut = True
        with pytest.raises(HttpError) as caught:
            await library.fetch(url, output=tmp_path, connections=4)
        assert caught.value.http_status == 403
        assert len(origin.requests) < 20


async def test_a_program_can_give_a_new_url_for_the_source(tmp_path: Path) -> None:
    """The first address is gone altogether; the program is asked for another one."""
    asked: list[str] = []
    with ScriptedOrigin() as origin:
        old = serve(origin, at="/old")
        new = serve(origin, at="/new")
        rule = Signed()

        async def renew(url: str) -> str:
            asked.append(url)
            return new

        class ExpiresWhole:
            def apply(self, request: Request, answer: Answer) -> Answer:
                if request.path.startswith("/old"):
                    rule.served += 1
                    if rule.served > 9:
                        return Status(403).apply(request, answer)
                return answer

        origin.always("*", ExpiresWhole())
        bundle = await library.fetch(old, output=tmp_path, connections=2, renew=renew)
    assert asked == [old]
    assert stored(bundle.path) == TRUTH


async def test_a_redundant_copy_takes_over_where_its_playlist_agrees(tmp_path: Path) -> None:
    heard: list[events.Event] = []
    with ScriptedOrigin() as first, ScriptedOrigin() as second:
        one, two = serve(first), serve(second)
        info = "#EXT-X-STREAM-INF:BANDWIDTH=800000,RESOLUTION=640x360\n"
        first.add("/master.m3u8", f"#EXTM3U\n{info}{one}\n{info}{two}\n".encode())
        first.always("/v/7.ts", Status(404))
        bundle = await library.fetch(
            first.url("/master.m3u8"), output=tmp_path, connections=2, retries=1, emit=heard.append
        )
        assert second.count("/v/7.ts") == 1
    assert stored(bundle.path) == TRUTH
    assert any("redundant copy" in one.message for one in heard if isinstance(one, events.Warned))


@pytest.mark.parametrize("fault", [Html(), Gzip(), Redirect("/v/7.ts")], ids=str)
async def test_a_copy_takes_over_whatever_is_wrong_with_a_segment(tmp_path: Path, fault: Behaviour) -> None:
    with ScriptedOrigin() as first, ScriptedOrigin() as second:
        one, two = serve(first), serve(second)
        info = "#EXT-X-STREAM-INF:BANDWIDTH=800000,RESOLUTION=640x360\n"
        first.add("/master.m3u8", f"#EXTM3U\n{info}{one}\n{info}{two}\n".encode())
        first.always("/v/7.ts", fault)
        bundle = await library.fetch(first.url("/master.m3u8"), output=tmp_path, connections=2, retries=1)
        assert second.count("/v/7.ts") == 1
    assert stored(bundle.path) == TRUTH


@pytest.mark.parametrize("body", [b"", b"<!DOCTYPE html><html>"], ids=["empty", "html"])
async def test_a_copy_whose_playlist_is_none_is_passed_over(tmp_path: Path, body: bytes) -> None:
    with ScriptedOrigin() as first, ScriptedOrigin() as second, ScriptedOrigin() as third:
        one, two, three = serve(first), serve(second), serve(third)
        info = "#EXT-X-STREAM-INF:BANDWIDTH=800000,RESOLUTION=640x360\n"
        first.add("/master.m3u8", f"#EXTM3U\n{info}{one}\n{info}{two}\n{info}{three}\n".encode())
        first.always("/v/7.ts", Status(404))
        second.add("/v/index.m3u8", body)
        bundle = await library.fetch(first.url("/master.m3u8"), output=tmp_path, connections=2, retries=1)
    assert stored(bundle.path) == TRUTH


async def test_a_copy_with_other_bytes_is_not_mixed_in(tmp_path: Path) -> None:
    """The playlists agree, but a finished segment is another one there."""
    heard: list[events.Event] = []
    with ScriptedOrigin() as first, ScriptedOrigin() as second:
        one, two = serve(first), serve(second)
        for number, segment in enumerate(TRUTH):
            second.add(f"/v/{number}.ts", segment[:-1] + b"x")
        info = "#EXT-X-STREAM-INF:BANDWIDTH=800000,RESOLUTION=640x360\n"
        first.add("/master.m3u8", f"#EXTM3U\n{info}{one}\n{info}{two}\n".encode())
        first.always("/v/7.ts", Status(404))
        with pytest.raises(HttpError):
            await library.fetch(first.url("/master.m3u8"), output=tmp_path, connections=2, retries=1, emit=heard.append)
        assert second.count("/v/7.ts") == 0
    assert any("other bytes" in one.message for one in heard if isinstance(one, events.Warned))


async def test_a_copy_that_disagrees_is_not_used(tmp_path: Path) -> None:
    with ScriptedOrigin() as first, ScriptedOrigin() as second:
        one, two = serve(first), serve(second, playlist(duration="5"))
        info = "#EXT-X-STREAM-INF:BANDWIDTH=800000,RESOLUTION=640x360\n"
        first.add("/master.m3u8", f"#EXTM3U\n{info}{one}\n{info}{two}\n".encode())
        first.always("/v/7.ts", Status(404))
        with pytest.raises(HttpError):
            await library.fetch(first.url("/master.m3u8"), output=tmp_path, connections=2, retries=1)
        assert [request for request in second.requests if request.path.endswith(".ts")] == []


async def test_a_media_playlist_may_come_from_the_copy_too(tmp_path: Path) -> None:
    with ScriptedOrigin() as first, ScriptedOrigin() as second:
        one, two = serve(first), serve(second)
        info = "#EXT-X-STREAM-INF:BANDWIDTH=800000,RESOLUTION=640x360\n"
        first.add("/master.m3u8", f"#EXTM3U\n{info}{one}\n{info}{two}\n".encode())
        first.always("/v/index.m3u8", Status(410))
        bundle = await library.fetch(first.url("/master.m3u8"), output=tmp_path)
    assert stored(bundle.path) == TRUTH


def interrupted(url: str, origin: ScriptedOrigin, bundle: Path) -> set[str]:
    """Kill a download in its middle; the names of the segments it finished."""
    origin.delay = 0.05
    process = start("fetch", url, "-o", bundle, "-N", "2")
    try:
        deadline = time.monotonic() + 30
        while len(stored(bundle)) < 6:
            assert time.monotonic() < deadline
            time.sleep(0.01)
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
    origin.delay = 0
    return {path.name for path in bundle.glob("0-*/0*.ts")}


def test_a_stream_that_changed_between_two_runs_is_never_mixed(tmp_path: Path) -> None:
    bundle = tmp_path / "b.movpkg"
    with ScriptedOrigin() as origin:
        url = serve(origin)
        before = interrupted(url, origin, bundle)
        origin.add("/v/index.m3u8", playlist(duration="3.9"))
        for number in range(SEGMENTS):
            origin.add(f"/v/{number}.ts", body(number + 100))
        origin.clear_requests()
        done = hlsdl("fetch", url, "-o", bundle, "--json")
        assert done.code == 8, done.err
        assert "changed" in done.document["message"]
        assert "--force" in done.document["hint"]
        assert not [request for request in origin.requests if request.path.endswith(".ts")]
        assert {path.name for path in bundle.glob("0-*/0*.ts")} == before
        assert hlsdl("fetch", url, "-o", bundle, "--force").code == 0
    assert stored(bundle) == [body(number + 100) for number in range(SEGMENTS)]


def test_another_place_must_prove_that_it_has_the_same_bytes(tmp_path: Path) -> None:
    """Count and durations agree, and still it is another encode."""
    bundle = tmp_path / "b.movpkg"
    with ScriptedOrigin() as origin:
        url = serve(origin)
        interrupted(url, origin, bundle)
        for number in range(SEGMENTS):
            origin.add(f"/v/other/{number}.ts", body(number + 100))
        origin.add("/v/index.m3u8", playlist().replace(b",\n", b",\nother/"))
        done = hlsdl("fetch", url, "-o", bundle, "--json")
        assert done.code == 8, done.err
        assert "other bytes" in done.document["message"]


def test_another_place_with_the_same_bytes_is_followed(tmp_path: Path) -> None:
    bundle = tmp_path / "b.movpkg"
    with ScriptedOrigin() as origin:
        url = serve(origin)
        interrupted(url, origin, bundle)
        for number in range(SEGMENTS):
            origin.add(f"/v/moved/{number}.ts", body(number))
            origin.remove(f"/v/{number}.ts")
        origin.add("/v/index.m3u8", playlist().replace(b",\n", b",\nmoved/"))
        assert hlsdl("fetch", url, "-o", bundle).code == 0
    assert stored(bundle) == TRUTH


def test_a_resumed_download_uses_the_tokens_of_now(tmp_path: Path) -> None:
    bundle = tmp_path / "b.movpkg"
    with ScriptedOrigin() as origin:
        url = serve(origin)
        rule = Signed()
        origin.always("*", rule)
        interrupted(url, origin, bundle)
        rule.token += 1
        origin.clear_requests()
        assert hlsdl("fetch", url, "-o", bundle).code == 0
        assert not [request for request in origin.requests if request.status == 403]
    assert stored(bundle) == TRUTH


async def test_a_change_in_the_middle_of_a_download_stops_it(tmp_path: Path) -> None:
    with ScriptedOrigin() as origin:
        url = serve(origin)

        class Replaced:
            served = 0

            def apply(self, request: Request, answer: Answer) -> Answer:
                if request.path.endswith(".ts"):
                    self.served += 1
                    if self.served == 6:
                        origin.add("/v/index.m3u8", playlist(segments=SEGMENTS - 1))
                    if self.served >= 6:
                        return Status(404).apply(request, answer)
                return answer

        origin.always("*", Replaced())
        with pytest.raises(IntegrityError, match="changed"):
            await library.fetch(url, output=tmp_path, connections=1, retries=1)


async def test_a_run_that_ended_before_its_first_segment_is_gone_on_with_too(tmp_path: Path) -> None:
    """Its title is remembered, and a source that has expired since is asked for where it is now."""
    renewed: list[str] = []

    async def renew(url: str) -> str:
        renewed.append(url)
        return url.replace("/v/", "/now/")

    with ScriptedOrigin() as origin:
        url = serve(origin)
        origin.script("/v/0.ts", Status(404))
        with pytest.raises(HttpError):
            await library.fetch(url, output=tmp_path / "a.movpkg", connections=1, title="The Film")
        serve(origin, at="/now")
        origin.always("/v/index.m3u8", Status(403))
        bundle = await library.fetch(url, output=tmp_path / "a.movpkg", renew=renew)
    assert (bundle.title, renewed, stored(bundle.path)) == ("The Film", [url], TRUTH)


@pytest.mark.parametrize("failure", [TimeoutError(), ValueError("a bug")], ids=str)
async def test_a_program_that_fails_to_give_a_new_url_leaves_the_refusal(tmp_path: Path, failure: Exception) -> None:
    async def renew(url: str) -> str:
        raise failure

    with ScriptedOrigin() as origin:
        url = serve(origin)
        origin.always("*", rule := Signed(8))
        rule.is_shut = True
        origin.always("/v/index.m3u8", Once(Status(403)))
        with pytest.raises(HttpError) as caught:
            await library.fetch(url, output=tmp_path, connections=2, renew=renew)
    assert caught.value.http_status == 403


class Once:
    """Nothing the first time, then what is given."""

    def __init__(self, behaviour: Behaviour) -> None:
        self.behaviour, self.asked = behaviour, 0

    def apply(self, request: Request, answer: Answer) -> Answer:
        self.asked += 1
        return answer if self.asked == 1 else self.behaviour.apply(request, answer)


@pytest.mark.parametrize(("key", "is_same"), [(bytes(range(16)), True), (bytes(16), False)], ids=["same", "other"])
def test_a_key_at_another_place_must_be_the_same_key(tmp_path: Path, key: bytes, is_same: bool) -> None:
    """Segments encrypted anew keep their URLs; only where their key is tells that something has changed."""

    def encrypted(name: str) -> bytes:
        return playlist().replace(b"#EXTINF", f'#EXT-X-KEY:METHOD=AES-128,URI="{name}"\n#EXTINF'.encode(), 1)

    bundle = tmp_path / "b.movpkg"
    with ScriptedOrigin() as origin:
        url = serve(origin, encrypted("a.key"))
        for number in range(SEGMENTS):
            origin.add(f"/v/{number}.ts", body(number)[:1600])
        origin.add("/v/a.key", bytes(range(16)))
        origin.always(f"/v/{SEGMENTS - 1}.ts", Status(404))
        assert hlsdl("fetch", url, "-o", bundle, "-N", "1").code == 4
        origin.clear_requests()
        origin.always(f"/v/{SEGMENTS - 1}.ts")
        origin.add("/v/index.m3u8", encrypted("b.key"))
        origin.add("/v/b.key", key)
        if not is_same:  # encrypted with it, and served under the same names
            for number in range(SEGMENTS):
                origin.add(f"/v/{number}.ts", bytes(1600))
        done = hlsdl("fetch", url, "-o", bundle)
        assert done.code == (0 if is_same else 8)
        # One segment under the key speaks for it.
        assert origin.count("/v/b.key") == 0
        assert sum(origin.count(f"/v/{number}.ts") for number in range(SEGMENTS - 1)) == 1
    assert is_same or "has changed since its download began" in done.err


@pytest.mark.parametrize(
    ("now", "code", "told"),
    [
        (bytes(range(16)), 0, ""),
        (bytes(16), 8, "has changed since its download began"),
        (None, 0, "cannot be compared"),
    ],
    ids=["same", "other", "refused"],
)
def test_a_key_for_what_is_still_to_come_is_compared_itself(
    tmp_path: Path, now: bytes | None, code: int, told: str
) -> None:
    """No finished segment speaks for it; where it is given no more, what is stored counts."""

    def encrypted(name: str) -> bytes:
        text = playlist().replace(b"#EXTINF", b'#EXT-X-KEY:METHOD=AES-128,URI="k.key"\n#EXTINF', 1)
        line = f'#EXT-X-KEY:METHOD=AES-128,URI="{name}"\n#EXTINF:4,\n{SEGMENTS - 1}.ts'
        return text.replace(f"#EXTINF:4,\n{SEGMENTS - 1}.ts".encode(), line.encode())

    bundle = tmp_path / "b.movpkg"
    with ScriptedOrigin() as origin:
        url = serve(origin, encrypted("a.key"))
        for number in range(SEGMENTS):
            origin.add(f"/v/{number}.ts", body(number)[:1600])
        for name in "ka":
            origin.add(f"/v/{name}.key", bytes(range(16)))
        origin.always(f"/v/{SEGMENTS - 1}.ts", Status(404))
        assert hlsdl("fetch", url, "-o", bundle, "-N", "1").code == 4
        origin.clear_requests()
        origin.always(f"/v/{SEGMENTS - 1}.ts")
        origin.add("/v/index.m3u8", encrypted("b.key"))
        if now is not None:
            origin.add("/v/b.key", now)
        done = hlsdl("fetch", url, "-o", bundle)
        assert (done.code, origin.count("/v/b.key")) == (code, 1)
    assert told in done.err


def test_another_key_in_the_playlist_itself_is_another_stream(tmp_path: Path) -> None:
    def encrypted(key: str) -> bytes:
        line = f'#EXT-X-KEY:METHOD=AES-128,URI="data:;base64,{key}"\n#EXTINF'
        return playlist().replace(b"#EXTINF", line.encode(), 1)

    bundle = tmp_path / "b.movpkg"
    with ScriptedOrigin() as origin:
        url = serve(origin, encrypted("AAECAwQFBgcICQoLDA0ODw=="))
        for number in range(SEGMENTS):
            origin.add(f"/v/{number}.ts", body(number)[:1600])
        origin.always(f"/v/{SEGMENTS - 1}.ts", Status(404))
        assert hlsdl("fetch", url, "-o", bundle, "-N", "1").code == 4
        origin.add("/v/index.m3u8", encrypted("AAAAAAAAAAAAAAAAAAAAAA=="))
        assert hlsdl("fetch", url, "-o", bundle).code == 8


async def test_bare_subtitles_may_have_a_copy(tmp_path: Path) -> None:
    """One WebVTT file is no playlist, and still what was asked for."""
    with ScriptedOrigin() as origin, ScriptedOrigin() as other:
        serve(origin)
        for one in (origin, other):
            one.add("/en.vtt", b"WEBVTT\n\n00:00.000 --> 00:02.000\nhello\n")
        media = '#EXT-X-MEDIA:TYPE=SUBTITLES,GROUP-ID="{}",NAME="a",LANGUAGE="en",DEFAULT=YES,URI="{}"'
        lines = [
            "#EXTM3U",
            media.format("s", origin.url("/en.vtt")),
            media.format("t", other.url("/en.vtt")),
            '#EXT-X-STREAM-INF:BANDWIDTH=9,SUBTITLES="s"',
            origin.url("/v/index.m3u8"),
        ]
        origin.add("/m.m3u8", "\n".join([*lines, ""]).encode())
        bundle = await library.fetch(origin.url("/m.m3u8"), output=tmp_path, allow_private=True)
    assert [one.kind for one in bundle.streams] == ["video", "subtitles"]


async def test_a_copy_takes_over_where_the_first_playlist_is_a_page(tmp_path: Path) -> None:
    with ScriptedOrigin() as origin, ScriptedOrigin() as other:
        serve(origin)
        copy = serve(other)
        lines = ["#EXTM3U", *2 * ["#EXT-X-STREAM-INF:BANDWIDTH=9"]]
        lines[2:2], lines[4:4] = [origin.url("/v/index.m3u8")], [copy]
        origin.add("/m.m3u8", "\n".join([*lines, ""]).encode())
        origin.always("/v/index.m3u8", Html())
        bundle = await library.fetch(origin.url("/m.m3u8"), output=tmp_path, allow_private=True)
        assert stored(bundle.path) == TRUTH
        other.always("/v/index.m3u8", Html())
        with pytest.raises(library.PlaylistError):
            await library.fetch(origin.url("/m.m3u8"), output=tmp_path / "b.movpkg", allow_private=True)
