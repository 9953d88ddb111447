"""The page in a real browser: what is stored plays to its end, and what cannot play is explained."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Page, expect

from hlsdl.player import Serving, serve

from .bundles import lay_out

FILM = r'AUDIO="aac".*sdr-|GROUP-ID="aac"|TYPE=SUBTITLES|X-I-FRAME'
"""Of the film: SDR pictures in two sizes, stereo in four renditions, three subtitles."""

PATIENCE = 30_000
"""Milliseconds for anything on the page to happen, on a busy machine."""

ENDED = f"""new Promise((done, fail) => {{
    if (video.ended) done(true);
    video.addEventListener("ended", () => done(true));
    setTimeout(() => fail(new Error(`not at the end after {PATIENCE} ms, but at ${{video.currentTime}} s`)), {PATIENCE});
}})"""
"""A promise that the film comes to its end."""

Open = Callable[..., Page]


@contextmanager
def watching(page: Page, bundle: Path) -> Iterator[Serving]:
    with serve(bundle) as serving:
        page.goto(serving.page_url)
        yield serving


def wait_until_ready(page: Page) -> None:
    page.wait_for_selector("body[data-ready]")


def assert_message(page: Page, text: str) -> None:
    expect(page.get_by_role("alert")).to_contain_text(text, timeout=PATIENCE)


@pytest.mark.parametrize(
    ("fixture", "keep", "seconds"),
    [("muxed-ts", "", 6.0), ("aes128", "", 6.0), ("film", FILM, 10.0)],
    ids=["TS with the sound inside", "TS under AES-128", "fMP4 with separate sound and subtitles"],
)
def test_a_bundle_plays_to_its_end_and_asks_nobody_else(
    page: Page, tmp_path: Path, fixture: str, keep: str, seconds: float
) -> None:
    requests: list[str] = []
    complaints: list[str] = []
    page.on("request", lambda request: requests.append(request.url))
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    with watching(page, lay_out(fixture, tmp_path / "own.movpkg", keep=keep)) as serving:
        wait_until_ready(page)
        assert page.evaluate("document.body.dataset.ready") == "shaka"
        page.evaluate("video.playbackRate = 4")
        assert page.evaluate(ENDED)
        ended_at, duration = page.evaluate("[video.currentTime, video.duration]")
    assert duration == pytest.approx(seconds, abs=0.1)
    assert ended_at == pytest.approx(duration, abs=0.1)
    media = [url for url in requests if url.endswith((".ts", ".m4s"))]
    assert len(media) >= 6 / 2
    assert {urlsplit(url).netloc for url in requests} == {f"127.0.0.1:{serving.port}"}
    assert complaints == []


def test_the_menus_list_what_is_stored(page: Page, tmp_path: Path) -> None:
    """By the names that the source gave, so that a commentary is not just a second English."""
    with watching(page, lay_out("film", tmp_path / "own.movpkg", keep=FILM)):
        wait_until_ready(page)
        listed = {}
        for button in ("Captions", "Language", "Resolution"):
            page.locator("#stage").hover()
            page.get_by_role("button", name=button).click()
            items = page.locator(".shaka-settings-menu:not(.shaka-hidden) button").all()
            listed[button] = [item.inner_text().strip() for item in items[1:]]  # the first one closes the menu
            page.keyboard.press("Escape")
    assert listed == {
        "Captions": ["English", "Français", "English (forced)", "Off"],
        "Language": ["English", "Français", "Deutsch", "English (commentary)"],
        "Resolution": ["360p", "180p", "Auto"],
    }


def press_tab_until(page: Page, label: str) -> None:
    """Move the focus by Tab alone until it is on the control with this name."""
    for _ in range(30):
        page.keyboard.press("Tab")
        named = page.evaluate("document.activeElement.getAttribute('aria-label') || document.activeElement.textContent")
        if named and named.strip().startswith(label):
            return
    pytest.fail(f"Tab never reached `{label}`")


def test_the_keyboard_alone_is_enough(page: Page, tmp_path: Path) -> None:
    with watching(page, lay_out("film", tmp_path / "own.movpkg", keep=FILM)):
        wait_until_ready(page)
        page.evaluate("new Promise(done => video.paused ? video.addEventListener('playing', done) : done())")
        page.keyboard.press("Space")
        assert page.evaluate("video.paused")
        page.keyboard.press("Home")
        assert page.evaluate("video.currentTime") < 1
        page.keyboard.press("ArrowRight")
        assert page.evaluate("video.currentTime") == pytest.approx(5, abs=1)
        page.keyboard.press("m")
        assert page.evaluate("video.muted")

        press_tab_until(page, "Language")
        page.keyboard.press("Enter")
        press_tab_until(page, "Français")
        page.keyboard.press("Enter")
        active = "player.getAudioTracks().filter(track => track.active).map(track => track.label)"
        assert page.evaluate(active) == ["Français"]

        page.keyboard.press("Escape")
        press_tab_until(page, "Captions")
        page.keyboard.press("Enter")
        press_tab_until(page, "Français")
        page.keyboard.press("Enter")
        page.keyboard.press("Escape")
        press_tab_until(page, "Play")
        page.keyboard.press("Enter")
        shown = page.locator(".shaka-text-container")
        expect(shown).to_contain_text("en français", timeout=PATIENCE, ignore_case=True)


def test_a_title_is_text_whatever_it_says(page: Page, tmp_path: Path) -> None:
    title = "<img src=x onerror=alert(1)> \u202e & “film”"
    with watching(page, lay_out("muxed-ts", tmp_path / "own.movpkg", title=title)):
        expect(page.get_by_role("heading", level=1)).to_have_text(title, timeout=PATIENCE)
        expect(page).to_have_title(title)
        assert page.locator("h1 img").count() == 0


def test_the_page_cannot_reach_another_host(page: Page, tmp_path: Path) -> None:
    bundle = lay_out("muxed-ts", tmp_path / "own.movpkg")
    with serve(bundle) as other, watching(page, bundle):
        wait_until_ready(page)
        attempts = f"""async () => {{
            const tried = [];
            try {{ await fetch({other.playlist_url!r}, {{mode: "no-cors"}}); tried.push("fetch"); }} catch {{ }}
            await new Promise((done) => {{
                const image = new Image();
                image.onload = () => {{ tried.push("image"); done(); }};
                image.onerror = done;
                image.src = {other.page_url!r};
            }});
            return tried;
        }}"""
        asked: list[str] = []
        page.on("response", lambda response: asked.append(response.url))
        assert page.evaluate(attempts) == []
        assert not any(f":{other.port}/" in url for url in asked)


def test_a_page_of_another_origin_learns_nothing(page: Page, tmp_path: Path) -> None:
    """Even with the token: another server on this machine, in the same browser."""
    bundle = lay_out("muxed-ts", tmp_path / "own.movpkg")
    with serve(bundle) as other, serve(bundle) as serving:
        page.goto(other.playlist_url.replace("index.m3u8", "page/about.json"))
        page.goto("about:blank")
        learned = page.evaluate(
            f"""async () => {{
                try {{ return await (await fetch({serving.playlist_url!r})).text(); }} catch {{ return "nothing"; }}
            }}"""
        )
    assert learned == "nothing"


def test_without_the_vendored_player_the_page_says_so_and_gives_the_address(page: Page, tmp_path: Path) -> None:
    page.route("**/page/vendor/**", lambda route: route.abort())
    page.add_init_script("HTMLMediaElement.prototype.canPlayType = () => ''")
    with watching(page, lay_out("muxed-ts", tmp_path / "own.movpkg")) as serving:
        assert_message(page, "was left out when hlsdl was built")
        expect(page.get_by_text(f"mpv {serving.playlist_url}")).to_be_visible()


def test_without_the_vendored_player_the_browsers_own_is_tried(page: Page, tmp_path: Path) -> None:
    page.route("**/page/vendor/**", lambda route: route.abort())
    page.add_init_script("HTMLMediaElement.prototype.canPlayType = () => 'maybe'")
    with watching(page, lay_out("muxed-ts", tmp_path / "own.movpkg")) as serving:
        assert page.evaluate("video.src") == serving.playlist_url
        assert page.evaluate("video.controls")
        assert_message(page, "was left out when hlsdl was built")


def replace_in_playlists(bundle: Path, old: str, new: str) -> Path:
    for playlist in bundle.rglob("index.m3u8"):
        playlist.write_text(playlist.read_text().replace(old, new))
    return bundle


def test_a_protected_stream_is_explained(page: Page, tmp_path: Path) -> None:
    bundle = lay_out("aes128", tmp_path / "own.movpkg")
    fairplay = 'METHOD=SAMPLE-AES,KEYFORMAT="com.apple.streamingkeydelivery",KEYFORMATVERSIONS="1",'
    with watching(page, replace_in_playlists(bundle, "METHOD=AES-128,", fairplay)):
        assert_message(page, "This stream is protected")
        expect(page.get_by_text("Other players")).to_be_visible()


def test_a_codec_that_the_browser_lacks_is_named(page: Page, tmp_path: Path) -> None:
    page.add_init_script("MediaSource.isTypeSupported = () => false")
    page.add_init_script("navigator.mediaCapabilities.decodingInfo = async () => ({supported: false})")
    with watching(page, lay_out("film", tmp_path / "own.movpkg", keep=FILM)):
        assert_message(page, "This browser cannot play this stream")
        assert_message(page, "Codecs: avc1.4D4015, mp4a.40.2, avc1.4D401F")


def test_a_key_that_does_not_fit_is_explained(page: Page, tmp_path: Path) -> None:
    bundle = lay_out("aes128", tmp_path / "own.movpkg")
    for key in (bundle / "keys").iterdir():
        key.write_bytes(b"another key 0123")
    with watching(page, bundle):
        assert_message(page, "This stream cannot be decrypted")


def test_a_segment_that_is_missing_from_a_complete_bundle_is_named(page: Page, tmp_path: Path) -> None:
    bundle = lay_out("muxed-ts", tmp_path / "own.movpkg")
    for segment in bundle.rglob("000000000.ts"):
        segment.unlink()
    with watching(page, bundle):
        assert_message(page, "A part of this stream is not stored")
        assert_message(page, "000000000.ts")


def test_playing_goes_on_when_the_download_catches_up(page: Page, tmp_path: Path) -> None:
    bundle = lay_out("muxed-ts", tmp_path / "own.movpkg")
    (bundle / "manifest.json").write_text('{"title": "A film", "state": "partial"}')
    late = list(bundle.rglob("000000002.ts"))
    data = [segment.read_bytes() for segment in late]
    for segment in late:
        segment.unlink()
    with watching(page, bundle):
        expect(page.get_by_text("Still downloading")).to_be_visible(timeout=PATIENCE)
        assert_message(page, "Waiting for the download")
        for segment, content in zip(late, data, strict=True):
            segment.write_bytes(content)
        assert page.evaluate(ENDED)
        expect(page.get_by_role("alert")).to_be_hidden()


def test_a_server_that_has_stopped_is_explained(page: Page, tmp_path: Path) -> None:
    bundle = lay_out("muxed-ts", tmp_path / "own.movpkg")
    with watching(page, bundle):
        wait_until_ready(page)
    page.evaluate("player.load(PLAYLIST).catch(explain)")
    assert_message(page, "The server has stopped")
