"""Redundant copies: what fails at one is taken from another, where both are the same stream with the same bytes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from commands import hlsdl, start
from moving import TRUTH, Signed, playlist, serve, stored

import hlsdl as library
from hlsdl.errors import HttpError, IntegrityError
from hlsdl.session import events
from hlsdl.testing import Answer, Behaviour, Gzip, GzipBomb, Html, Redirect, Request, ScriptedOrigin, Status


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


@pytest.mark.parametrize("fault", [Status(410), Html(), Redirect("/v/index.m3u8"), GzipBomb()], ids=str)
async def test_a_media_playlist_may_come_from_the_copy_too(tmp_path: Path, fault: Behaviour) -> None:
    with ScriptedOrigin() as first, ScriptedOrigin() as second:
        one, two = serve(first), serve(second)
        info = "#EXT-X-STREAM-INF:BANDWIDTH=800000,RESOLUTION=640x360\n"
        first.add("/master.m3u8", f"#EXTM3U\n{info}{one}\n{info}{two}\n".encode())
        first.always("/v/index.m3u8", fault)
        bundle = await library.fetch(first.url("/master.m3u8"), output=tmp_path, retries=1)
    assert stored(bundle.path) == TRUTH
    assert any("comes from a redundant copy" in told for told in bundle.manifest.warnings)


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


async def test_an_init_section_of_the_one_is_not_mixed_with_the_segments_of_the_other(tmp_path: Path) -> None:
    """Nothing but the init section came before the copy took over: it comes from there, too."""
    text = playlist().replace(b"#EXTINF", b'#EXT-X-MAP:URI="init.mp4"\n#EXTINF', 1)
    with ScriptedOrigin() as first, ScriptedOrigin() as second:
        one, two = serve(first, text), serve(second, text)
        first.add("/v/init.mp4", b"\0\0\0\x10ftypone_")
        second.add("/v/init.mp4", b"\0\0\0\x10ftyptwo_")
        for number in range(len(TRUTH)):
            first.always(f"/v/{number}.ts", Status(404))
        info = "#EXT-X-STREAM-INF:BANDWIDTH=800000,RESOLUTION=640x360\n"
        first.add("/master.m3u8", f"#EXTM3U\n{info}{one}\n{info}{two}\n".encode())
        bundle = await library.fetch(first.url("/master.m3u8"), output=tmp_path, connections=1, retries=1)
    assert [file.read_bytes()[-4:] for file in bundle.path.rglob("*.init.mp4")] == [b"two_"]
    assert bundle.is_playable_offline


class Expiring:
    """Tokens in all addresses, also in those of the copy, which change once when five segments have been served."""

    def __init__(self) -> None:
        self.token, self.served = 1, 0

    def apply(self, request: Request, answer: Answer) -> Answer:
        if request.path != "/master.m3u8" and request.target.rpartition("=")[2] != str(self.token):
            return Status(403).apply(request, answer)
        if request.path.endswith(".m3u8"):
            return replace(answer, body=answer.body.replace(b"TOKEN", b"%d" % self.token))
        if request.path == "/a/12.ts":
            return Status(404).apply(request, answer)
        self.served += 1
        self.token += self.served == 5
        return answer


async def test_a_copy_whose_address_had_expired_takes_over_when_it_is_needed(tmp_path: Path) -> None:
    """Not only the segments have new addresses when the playlists are read again."""
    line = '#EXT-X-STREAM-INF:BANDWIDTH=800000,PATHWAY-ID="{0}"\n{0}/index.m3u8?t=TOKEN\n'
    with ScriptedOrigin() as origin:
        for folder in "ab":
            serve(origin, playlist("?t=TOKEN"), at=f"/{folder}")
        origin.add("/master.m3u8", f"#EXTM3U\n{line.format('a')}{line.format('b')}".encode())
        origin.always("*", Expiring())
        bundle = await library.fetch(origin.url("/master.m3u8"), output=tmp_path, connections=1)
    assert stored(bundle.path) == TRUTH


@pytest.mark.parametrize("has_copy", [True, False], ids=["the copy is there", "the copy is gone"])
def test_a_run_that_was_killed_goes_on_where_its_segments_came_from(has_copy: bool, tmp_path: Path) -> None:
    """At first only the copy had segments, of another encode; then the first place has its own again."""
    bundle = tmp_path / "f.movpkg"
    other = [segment[:-1] + b"x" for segment in TRUTH]
    with ScriptedOrigin() as first, ScriptedOrigin() as second:
        one, two = serve(first), serve(second)
        info = "#EXT-X-STREAM-INF:BANDWIDTH=800000,RESOLUTION=640x360\n"
        url = first.add("/master.m3u8", f"#EXTM3U\n{info}{one}\n{info}{two}\n".encode())
        for number, segment in enumerate(other):
            second.add(f"/v/{number}.ts", segment)
            first.always(f"/v/{number}.ts", Status(404))
        second.delay = 0.1
        running = start("fetch", url, "-o", bundle, "-N", "1", "--allow-private")
        second.wait_for("/v/4.ts")
        running.kill()
        running.communicate()
        second.delay = 0.0
        for number in range(len(TRUTH)):
            first.always(f"/v/{number}.ts")
            if not has_copy:
                second.always(f"/v/{number}.ts", Status(404))
        done = hlsdl("fetch", url, "-o", bundle, "--allow-private", "-R", "0")
        if has_copy:
            assert done.code == 0, done.err
            assert stored(bundle) == other
            assert hlsdl("verify", bundle).code == 0
        else:
            assert done.code == 8
            assert "has other bytes now" in done.err
            assert set(stored(bundle)) <= set(other)


@pytest.mark.parametrize("key", ["other", "refused"])
def test_a_copy_whose_key_is_not_known_to_be_the_same_is_not_used(key: str, tmp_path: Path) -> None:
    """No segment has come that could prove it, and with another key none could be played."""
    line = '#EXT-X-KEY:METHOD=AES-128,URI="{}/key?id={}"\n#EXTINF'
    with ScriptedOrigin() as first, ScriptedOrigin() as second:
        for number, origin in enumerate((first, second)):
            text = playlist().replace(b"#EXTINF", line.format(origin.url(""), number).encode(), 1)
            serve(origin, text)
            origin.add("/key", bytes(15) + bytes([number]))
            for name in range(len(TRUTH)):
                origin.add(f"/v/{name}.ts", bytes(1600))
        if key == "refused":
            second.always("/key", Status(403))
        info = "#EXT-X-STREAM-INF:BANDWIDTH=800000,RESOLUTION=640x360\n"
        places = f"{info}{first.url('/v/index.m3u8')}\n{info}{second.url('/v/index.m3u8')}\n"
        url = first.add("/master.m3u8", f"#EXTM3U\n{places}".encode())
        for name in range(len(TRUTH)):
            first.always(f"/v/{name}.ts", Status(404))
        done = hlsdl("fetch", url, "-o", tmp_path / "f.movpkg", "--allow-private", "-R", "0")
        assert done.code == 4
        assert "a redundant copy cannot take over" in done.err
        assert [one for one in second.requests if one.path.endswith(".ts")] == []


@pytest.mark.parametrize("has_copy", [True, False])
@pytest.mark.parametrize("has_new_tokens", [True, False])
async def test_neither_new_tokens_nor_another_try_are_a_proof(
    tmp_path: Path, *, has_copy: bool, has_new_tokens: bool
) -> None:
    """What a copy had brought is compared before anything of the first place, which has other bytes, is mixed in."""
    theirs = [segment[:-1] + b"x" for segment in TRUTH]
    with ScriptedOrigin() as first, ScriptedOrigin() as second:
        one, two = serve(first), serve(second)
        for number, segment in enumerate(theirs):
            second.add(f"/v/{number}.ts", segment)
        info = "#EXT-X-STREAM-INF:BANDWIDTH=800000,RESOLUTION=640x360\n"
        url = first.add("/master.m3u8", f"#EXTM3U\n{info}{one}\n{info}{two}\n".encode())
        rule = Signed()
        rule.is_shut = True
        for path in ("/v/index.m3u8", *(f"/v/{number}.ts" for number in range(len(TRUTH)))):
            first.always(path, rule)
        second.always("/v/9.ts", Status(404))
        with pytest.raises(HttpError):
            await library.fetch(url, output=tmp_path / "b.movpkg", connections=1)
        assert stored(tmp_path / "b.movpkg") == theirs[:9]
        second.always("/v/9.ts")
        rule.is_shut, rule.token = False, 1 + has_new_tokens
        if not has_new_tokens:  # the first place has all again but what is asked for as a proof
            for number in range(9):
                first.always(f"/v/{number}.ts", Status(403))
        if not has_copy:
            second.always("*", Status(404))
        if has_copy:
            await library.fetch(url, output=tmp_path / "b.movpkg", connections=1)
            assert stored(tmp_path / "b.movpkg") == theirs
        else:
            with pytest.raises((HttpError, IntegrityError)):
                await library.fetch(url, output=tmp_path / "b.movpkg", connections=1)
            assert stored(tmp_path / "b.movpkg") == theirs[:9]
