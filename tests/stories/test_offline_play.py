"""Fetch, unplug, watch: a real browser and a real player play what the origin no longer serves."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from commands import hlsdl, start
from conftest import FIXTURES
from playwright.sync_api import Page

from hlsdl.testing import ScriptedOrigin

ENDED = """new Promise((done, fail) => {
    if (video.ended) done(true);
    video.addEventListener("ended", () => done(true));
    setTimeout(() => fail(new Error("not at the end, but at " + video.currentTime)), 30000);
})"""


def fetched(name: str, folder: Path, *wishes: str) -> Path:
    """A bundle of a fixture stream, fetched by the command; its origin is gone afterwards."""
    with ScriptedOrigin() as origin:
        origin.add_folder(FIXTURES / "media" / name, at=f"/{name}")
        done = hlsdl("fetch", origin.url(f"/{name}/master.m3u8"), "-P", folder, *wishes)
    assert done.code == 0, done.err
    return Path(done.out.strip())


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


@pytest.mark.parametrize(
    ("name", "wishes", "seconds"),
    [
        ("film", ("--no-hdr", "--no-multichannel", "--audio", "en,fr,de", "--subs", "all"), 10.0),
        ("muxed-ts", ("--variants", "all"), 6.0),
        ("byteranges", (), 6.0),
        ("aes128", (), 6.0),
    ],
)
def test_a_browser_plays_the_fetched_bundle_to_its_end(
    page: Page, tmp_path: Path, name: str, wishes: tuple[str, ...], seconds: float
) -> None:
    bundle = fetched(name, tmp_path, *wishes)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    with played(bundle) as address:
        assert address["schema"] == "hlsdl.play/1"
        page.goto(address["page"])
        page.wait_for_selector("body[data-ready]")
        page.evaluate("video.playbackRate = 4")
        assert page.evaluate(ENDED)
        ended_at, duration = page.evaluate("[video.currentTime, video.duration]")
        audio = page.evaluate("player.getAudioTracks().map(track => track.language)")
        subtitles = page.evaluate("player.getTextTracks().map(track => track.language)")
    assert duration == pytest.approx(seconds, abs=0.2)
    assert ended_at == pytest.approx(duration, abs=0.1)
    assert {urlsplit(url).hostname for url in asked if not url.startswith(("blob:", "data:"))} == {"127.0.0.1"}
    if name == "film":
        assert sorted(audio) == ["de", "en", "fr"]
        assert sorted(subtitles) == ["en", "en", "fr"]


def test_mpv_plays_the_same_address(any_tool: Callable[..., str], tmp_path: Path) -> None:
    mpv = any_tool("mpv")
    bundle = fetched("film", tmp_path, "--no-hdr", "--subs", "none")
    with played(bundle) as address:
        done = subprocess.run(
            [mpv, "--no-config", "--vo=null", "--ao=null", "--untimed", "--speed=50", address["playlist"]],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            env={**os.environ, "no_proxy": "127.0.0.1"},
        )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "End of file" in done.stdout
