"""Sources that move while they are downloaded: URLs that expire, and new ones in their place."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from commands import hlsdl
from moving import TRUTH, Once, Signed, interrupted, playlist, serve, stored

import hlsdl as library
from hlsdl.errors import HttpError
from hlsdl.session import events
from hlsdl.testing import Answer, Behaviour, Empty, Html, Redirect, Request, ScriptedOrigin, Status


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


@pytest.mark.parametrize("status", [401, 403, 404, 410])
async def test_what_is_refused_once_under_a_url_that_stays_is_asked_for_once_more(tmp_path: Path, status: int) -> None:
    with ScriptedOrigin() as origin:
        url = serve(origin)
        origin.script("/v/5.ts", Status(status))
        bundle = await library.fetch(url, output=tmp_path / "once.movpkg", connections=1)
        assert stored(bundle.path) == TRUTH
        assert (origin.count("/v/5.ts"), origin.count("/v/index.m3u8")) == (2, 2)
        origin.clear_requests()
        origin.always("/v/5.ts", Status(status))
        with pytest.raises(HttpError):
            await library.fetch(url, output=tmp_path / "always.movpkg", connections=1)
        assert (origin.count("/v/5.ts"), origin.count("/v/index.m3u8")) == (2, 2)


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


@pytest.mark.parametrize("is_elsewhere", [False, True], ids=["new tokens", "another edge"])
async def test_a_playlist_behind_a_redirect_is_gone_on_with_as_any_other(tmp_path: Path, *, is_elsewhere: bool) -> None:
    """Where it leads to may change from run to run: it stays the same stream, known by the URL that was asked for."""
    bundle = tmp_path / "b.movpkg"
    with ScriptedOrigin() as origin:
        serve(origin)
        rule = Signed()
        for path in ("/v/index.m3u8", *(f"/v/{number}.ts" for number in range(len(TRUTH)))):
            origin.always(path, rule)
        origin.always("/go.m3u8", Redirect("/v/index.m3u8"))
        origin.always("/v/9.ts", Status(404))
        with pytest.raises(HttpError):
            await library.fetch(origin.url("/go.m3u8"), output=bundle, connections=1)
        rule.token += 1
        origin.always("/v/9.ts", rule)
        if is_elsewhere:
            serve(origin, at="/w")
            origin.always("/v/index.m3u8", Status(404))
            origin.always("/go.m3u8", Redirect("/w/index.m3u8"))
        origin.clear_requests()
        await library.fetch(origin.url("/go.m3u8"), output=bundle)
        finished = {f"/{place}/{number}.ts" for place in "vw" for number in range(9)}
        again = [request for request in origin.requests if request.path in finished]
        assert len(again) <= 1, "one of them proves that the new place has the same bytes"
    assert stored(bundle) == TRUTH


async def test_a_run_that_ended_before_its_first_segment_is_gone_on_with_too(tmp_path: Path) -> None:
    """Its title is remembered, and a source that has expired since is asked for where it is now."""
    renewed: list[str] = []

    async def renew(url: str) -> str:
        renewed.append(url)
        return url.replace("/v/", "/now/")

    with ScriptedOrigin() as origin:
        url = serve(origin)
        origin.script("/v/0.ts", Status(404), Status(404))
        with pytest.raises(HttpError):
            await library.fetch(url, output=tmp_path / "a.movpkg", connections=1, title="The Film")
        serve(origin, at="/now")
        origin.always("/v/index.m3u8", Status(403))
        bundle = await library.fetch(url, output=tmp_path / "a.movpkg", renew=renew)
    assert (bundle.title, renewed, stored(bundle.path)) == ("The Film", [url], TRUTH)


@pytest.mark.parametrize("answer", [TimeoutError(), ValueError("a bug"), 7, b"https://films.example/"], ids=repr)
async def test_a_program_that_fails_to_give_a_new_url_leaves_the_refusal(tmp_path: Path, answer: Any) -> None:
    async def renew(url: str) -> str:
        if isinstance(answer, Exception):
            raise answer
        return answer  # type: ignore[no-any-return]

    with ScriptedOrigin() as origin:
        url = serve(origin)
        origin.always("*", rule := Signed(8))
        rule.is_shut = True
        origin.always("/v/index.m3u8", Once(Status(403)))
        with pytest.raises(HttpError) as caught:
            await library.fetch(url, output=tmp_path, connections=2, renew=renew)
    assert caught.value.http_status == 403


class Fleeting:
    """Each reading of the playlist gives other tokens, and only those of the last one are good."""

    def __init__(self, playlist: str) -> None:
        self.playlist, self.token, self.is_shut = playlist, 0, False

    def apply(self, request: Request, answer: Answer) -> Answer:
        if request.path.endswith("index.m3u8"):
            self.token += 1
            return replace(answer, body=self.playlist.replace("TOKEN", str(self.token)).encode())
        is_good = request.target.rpartition("=")[2] == str(self.token) and not self.is_shut
        return answer if is_good else Status(403).apply(request, answer)


KEYED = '#EXTM3U\n#EXT-X-TARGETDURATION:4\n#EXT-X-KEY:METHOD=AES-128,URI="a.key?t=TOKEN"\n#EXTINF:4,\n0.ts?t=TOKEN\n'


async def test_a_key_whose_url_has_expired_is_asked_for_under_the_one_of_now(tmp_path: Path) -> None:
    """Between two runs: the first one came no further than the playlist."""
    signed = Fleeting(KEYED + "#EXT-X-ENDLIST\n")
    with ScriptedOrigin() as origin:
        url = serve(origin)
        origin.add("/v/0.ts", bytes(1600))
        origin.add("/v/a.key", bytes(16))
        origin.always("*", signed)
        signed.is_shut = True
        with pytest.raises(HttpError):
            await library.fetch(url, output=tmp_path / "a.movpkg")
        signed.is_shut = False
        signed.token += 1  # those that the stored playlist has are of yesterday
        bundle = await library.fetch(url, output=tmp_path / "a.movpkg")
    assert (bundle.is_playable_offline, len(bundle.manifest.keys)) == (True, 1)


async def test_session_data_whose_url_has_expired_comes_under_the_one_of_now(tmp_path: Path) -> None:
    data = '#EXT-X-SESSION-DATA:DATA-ID="com.example.a",URI="a.json?t=TOKEN"\n'
    signed = Fleeting(f"#EXTM3U\n{data}#EXT-X-STREAM-INF:BANDWIDTH=9\nv.m3u8\n")
    with ScriptedOrigin() as origin:
        url = serve(origin)
        origin.add("/v/v.m3u8", playlist())
        origin.add("/v/a.json", b"{}")
        for path in ("/v/index.m3u8", "/v/a.json"):
            origin.always(path, signed)
        origin.always("/v/5.ts", Status(404))
        signed.is_shut = True
        with pytest.raises(HttpError):
            await library.fetch(url, output=tmp_path / "a.movpkg")
        signed.is_shut = False
        signed.token += 1
        origin.always("/v/5.ts")
        bundle = await library.fetch(url, output=tmp_path / "a.movpkg")
    assert [one.category for one in bundle.manifest.documents if one.path.endswith(".json")] == ["session-data"]
