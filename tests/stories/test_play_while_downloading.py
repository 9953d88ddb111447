"""Watching what is still being fetched: one process downloads, another one serves, a player follows to the end."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event, Timer

import pytest
from commands import hlsdl, start
from playwright.sync_api import Page

from hlsdl.player import serve
from hlsdl.player.contents import Contents
from hlsdl.testing import Hold, ScriptedOrigin

SEGMENTS = 5
ENDED = """new Promise((done, fail) => {
    if (video.ended) done(true);
    video.addEventListener("ended", () => done(true));
    setTimeout(() => fail(new Error("not at the end, but at " + video.currentTime)), 60000);
})"""
REACHED = """(seconds) => new Promise((done, fail) => {
    const look = () => { if (video.currentTime > seconds) done(); };
    video.addEventListener("timeupdate", look);
    video.play().then(look, fail);
    setTimeout(() => fail(new Error("only at " + video.currentTime)), 60000);
})"""


@dataclass
class Growth:
    """A download that stands still before one segment of the picture, until it is let go."""

    origin: ScriptedOrigin
    bundle: Path
    process: subprocess.Popen[str]
    held: dict[int, Event] = field(default_factory=dict)

    def let_go(self, *numbers: int) -> None:
        for number in numbers or tuple(self.held):
            self.held[number].set()

    def finish(self) -> None:
        self.let_go()
        out, err = self.process.communicate(timeout=60)
        assert self.process.returncode == 0, out + err


@contextmanager
def growing(film: Path, folder: Path, *held: int, connections: int = 8, init: bool = False) -> Iterator[Growth]:
    """`hlsdl fetch` in a process of its own, held up before these segments (and the init section)."""
    with ScriptedOrigin() as origin:
        origin.add_folder(film, at="/film")
        gates = {number: Event() for number in (*held, *((-1,) if init else ()))}
        for number, gate in gates.items():
            name = "init.mp4" if number < 0 else f"{number}.m4s"
            origin.always(f"/film/sdr-180/{name}", Hold(gate))
        bundle = folder / "growing.movpkg"
        wishes = ("--no-hdr", "--no-multichannel", "--max-size", "320x180", "--subs", "none")
        address = origin.url("/film/master.m3u8")
        process = start("fetch", address, "-o", bundle, *wishes, "-N", str(connections), "--stall-timeout", "300")
        try:
            first = min(gates)
            origin.wait_for(f"/film/sdr-180/{'init.mp4' if first < 0 else f'{first}.m4s'}", timeout=30)
            yield Growth(origin, bundle, process, gates)
        finally:
            for gate in gates.values():
                gate.set()
            if process.poll() is None:
                process.kill()
            process.communicate()


@contextmanager
def played(bundle: Path) -> Iterator[dict[str, str]]:
    """`hlsdl play --player none --json`, and what its first line says."""
    process = start("play", bundle, "--player", "none", "--json")
    assert process.stdout is not None
    try:
        yield json.loads(process.stdout.readline())
    finally:
        os.killpg(process.pid, signal.SIGINT)
        process.communicate(timeout=20)


@dataclass(frozen=True)
class Reply:
    status: int
    headers: dict[str, str]
    text: str


def get(url: str, **headers: str) -> Reply:
    request = urllib.request.Request(url, headers={name.replace("_", "-"): value for name, value in headers.items()})
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(request, timeout=60) as reply:
            fields = {name.lower(): value for name, value in reply.headers.items()}
            return Reply(reply.status, fields, reply.read().decode("latin-1"))
    except urllib.error.HTTPError as error:
        with error:
            return Reply(error.code, {k.lower(): v for k, v in error.headers.items()}, error.read().decode())


def until(holds: Callable[[], bool]) -> None:
    """Wait for a condition; half a minute is for a machine that does other things."""
    limit = time.monotonic() + 30
    while not holds():
        assert time.monotonic() < limit, "it did not come true"
        time.sleep(0.02)


def media_of(address: str) -> dict[str, str]:
    """The addresses of the media playlists: `video`, and audio by its language."""
    index = get(address).text
    base = address.rpartition("/")[0]
    (video,) = [line for line in index.splitlines() if line and not line.startswith("#")]
    audio = dict(re.findall(r'TYPE=AUDIO.*?LANGUAGE="(\w+)".*?URI="([^"]+)"', index))
    return {"video": f"{base}/{video}", **{language: f"{base}/{uri}" for language, uri in audio.items()}}


def segments_in(text: str) -> list[str]:
    return [line for line in text.splitlines() if line and not line.startswith("#")]


def test_the_playlist_lists_what_is_stored_grows_and_ends_when_it_is_sealed(film: Path, tmp_path: Path) -> None:
    with growing(film, tmp_path, 2, 4) as growth, played(growth.bundle) as address:
        media = media_of(address["playlist"])
        assert set(media) == {"video", "en"}
        until(lambda: len(segments_in(get(media["video"]).text)) == 2)
        first = get(media["video"])
        assert "#EXT-X-PLAYLIST-TYPE:EVENT" in first.text
        assert "#EXT-X-ENDLIST" not in first.text
        assert first.headers["cache-control"] == "no-store"
        assert first.headers["content-type"] == "application/vnd.apple.mpegurl"
        assert get(media["video"], If_None_Match=first.headers["etag"]).status == 304

        growth.let_go(2)
        until(lambda: len(segments_in(get(media["video"]).text)) == 4)
        second = get(media["video"])
        assert second.text.startswith(first.text)
        assert second.headers["etag"] != first.headers["etag"]
        assert get(media["video"], If_None_Match=first.headers["etag"]).status == 200

        growth.finish()
        sealed = get(media["video"])
        assert "#EXT-X-PLAYLIST-TYPE:VOD" in sealed.text
        assert sealed.text.endswith("#EXT-X-ENDLIST\n")
        assert segments_in(sealed.text)[:4] == segments_in(second.text)
        assert len(segments_in(sealed.text)) == SEGMENTS
        stored = growth.bundle / media["video"].split("/")[-2] / "index.m3u8"
        assert sealed.text == stored.read_text()


def test_every_segment_that_is_listed_is_whole_and_no_other_is_given(film: Path, tmp_path: Path) -> None:
    with growing(film, tmp_path, 2) as growth, played(growth.bundle) as address:
        media = media_of(address["playlist"])
        until(lambda: len(segments_in(get(media["video"]).text)) == 2)
        base = media["video"].rpartition("/")[0]
        for number, name in enumerate(segments_in(get(media["video"]).text)):
            assert len(get(f"{base}/{name}").text) == (film / "sdr-180" / f"{number}.m4s").stat().st_size
        coming = get(f"{base}/000000002.m4s")
        assert (coming.status, coming.headers["retry-after"]) == (503, "1")
        assert get(f"{base}/000000099.m4s").status == 404
        assert get(f"{base}/source.m3u8").status == 404
        root = address["playlist"].rpartition("/")[0]
        for name in ("manifest.json", "journal.jsonl", "lock", "Data/master.m3u8"):
            assert get(f"{root}/{name}").status == 404
        assert not (growth.bundle / "index.m3u8").exists()
        assert not list(growth.bundle.glob("0-*/index.m3u8"))
        growth.finish()


def test_a_stream_without_a_segment_is_waited_for(film: Path, tmp_path: Path) -> None:
    with growing(film, tmp_path, init=True) as growth, played(growth.bundle) as address:
        media = media_of(address["playlist"])
        timer = Timer(0.5, growth.let_go)
        timer.start()
        reply = get(media["video"])
        timer.join()
        assert reply.status == 200
        assert segments_in(reply.text)
        growth.finish()


def test_a_bundle_that_nobody_writes_any_more_is_played_as_far_as_it_goes(film: Path, tmp_path: Path) -> None:
    with growing(film, tmp_path, 3) as growth:
        until(lambda: len(list(growth.bundle.glob("1-*/*.m4s"))) == SEGMENTS)
        growth.process.kill()
        growth.process.wait()
        with played(growth.bundle) as address:
            media = media_of(address["playlist"])
            assert len(segments_in(get(media["video"]).text)) == 3
            assert len(segments_in(get(media["en"]).text)) == SEGMENTS
            assert "ENDLIST" not in get(media["en"]).text


def test_what_is_added_to_a_finished_bundle_grows_beside_what_is_there(film: Path, tmp_path: Path) -> None:
    with growing(film, tmp_path, 0) as growth:
        growth.finish()
        gate = Event()
        growth.origin.always("/film/aac-fr/2.m4s", Hold(gate))
        adding = start("add", growth.bundle, "--audio", "fr", "--stall-timeout", "300")
        growth.origin.wait_for("/film/aac-fr/2.m4s", timeout=30)
        with played(growth.bundle) as address:
            media = media_of(address["playlist"])
            until(lambda: len(segments_in(get(media["fr"]).text)) == 2)
            assert len(segments_in(get(media["video"]).text)) == SEGMENTS
            gate.set()
            assert adding.wait(timeout=60) == 0
            assert get(media["fr"]).text.endswith("#EXT-X-ENDLIST\n")


def test_a_source_that_is_one_stream_grows_too(film: Path, tmp_path: Path) -> None:
    with ScriptedOrigin() as origin:
        origin.add_folder(film, at="/film")
        gate = Event()
        origin.always("/film/sdr-180/3.m4s", Hold(gate))
        process = start("fetch", origin.url("/film/sdr-180/index.m3u8"), "-o", tmp_path / "one.movpkg")
        origin.wait_for("/film/sdr-180/3.m4s", timeout=30)
        with played(tmp_path / "one.movpkg") as address:
            media = media_of(address["playlist"])
            until(lambda: len(segments_in(get(media["video"]).text)) == 3)
        gate.set()
        assert process.wait(timeout=60) == 0
        process.communicate()


def test_a_folder_without_anything_is_still_refused(tmp_path: Path) -> None:
    (tmp_path / "empty.movpkg").mkdir()
    assert hlsdl("play", tmp_path / "empty.movpkg", "--player", "none").code == 2


def test_a_browser_plays_a_growing_bundle_to_its_end(page: Page, film: Path, tmp_path: Path) -> None:
    with growing(film, tmp_path, 2, 3, 4) as growth, played(growth.bundle) as address:
        page.goto(address["page"])
        page.wait_for_selector("body[data-ready]")
        page.evaluate(REACHED, 1.5)
        assert page.evaluate("video.seekable.start(0)") == pytest.approx(0, abs=0.1)
        growth.let_go(2)
        page.evaluate(REACHED, 4.5)
        growth.finish()
        assert page.evaluate(ENDED)
        ended_at, duration = page.evaluate("[video.currentTime, video.duration]")
    assert duration == pytest.approx(10, abs=0.3)
    assert ended_at == pytest.approx(duration, abs=0.2)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names that players ask a server of this process for."""
    names: list[str] = []
    find = Contents.find

    def noted(self: Contents, name: str) -> object:
        names.append(name)
        return find(self, name)

    monkeypatch.setattr(Contents, "find", noted)
    return names


@pytest.mark.parametrize("player", ["ffmpeg", "mpv"])
def test_players_built_on_ffmpeg_follow_it_to_its_end(
    player: str, any_tool: Callable[..., str], asked: list[str], film: Path, tmp_path: Path
) -> None:
    program = any_tool(player)
    with growing(film, tmp_path, 2, 4) as growth, serve(growth.bundle) as serving:
        if player == "ffmpeg":
            arguments = ["-nostdin", "-v", "info", "-i", serving.playlist_url, "-map", "0:v:0", "-f", "null", "-"]
        else:
            arguments = ["--no-config", "--vo=null", "--ao=null", "--untimed", "--speed=50", serving.playlist_url]
        following = subprocess.Popen(
            [program, *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={**os.environ, "no_proxy": "127.0.0.1"},
        )
        try:
            # It has played what there is, and looks for more.
            video = re.compile(r"0-\w+-\d+/")
            until(
                lambda: len(polled := [one for one in asked if video.match(one)][-2:]) == 2 and polled[0] == polled[1]
            )
            growth.let_go(2)
            until(lambda: any(one.endswith("/000000003.m4s") and video.match(one) for one in asked))
            growth.finish()
            out, _ = following.communicate(timeout=90)
        finally:
            following.kill()
    assert following.returncode == 0, out
    assert any(one.endswith("/000000000.m4s") and video.match(one) for one in asked)
    if player == "ffmpeg":
        assert re.findall(r"frame=\s*(\d+)", out)[-1] == "250", out
    else:
        assert "End of file" in out
