"""What a task is made of: choices, keys, artwork, places, and what is refused when it is made."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from faults import serve
from recording import Recorder, wanted

import hlsdl
from hlsdl.planning.preferences import Preferences
from hlsdl.testing import ScriptedOrigin

pytestmark = pytest.mark.anyio


async def test_an_aggregate_task_stores_every_selection_and_the_video_once(tmp_path: Path, film: Path) -> None:
    delegate = Recorder()
    with ScriptedOrigin() as origin:
        origin.add_folder(film, at="/film")
        async with hlsdl.AssetDownloadSession(delegate=delegate) as session:
            asset = await hlsdl.Asset(origin.url("/film/master.m3u8")).load()
            english = asset.preferred_media_selection
            audible = english.group("audible")
            french = english.with_option(audible, audible.options_for_languages(["fr"])[0])
            task = session.aggregate_asset_download_task(asset, [english, french], title="A film", destination=tmp_path)
            assert task.loaded_time_ranges_for(french) == ()
            task.resume()
            bundle = await task
            assert task.media_selections == (english, french)
            assert task.loaded_time_ranges_for(french)[0].duration == task.loaded_time_ranges[0].duration
            with pytest.raises(hlsdl.UsageError, match="no such media selection"):
                task.loaded_time_ranges_for(english.with_option("legible", None))
    assert [one.kind for one in bundle.streams].count("video") == 1
    assert {one.language for one in bundle.streams if one.kind == "audio"} >= {"en", "fr"}
    assert [selection for (selection,) in delegate.of("did_complete_for")] == [english, french]
    assert delegate.names()[-4:-1] == ["did_complete_for", "did_finish_downloading_to", "did_complete"]
    everything = [request.path for request in origin.requests if request.path.endswith(".m4s")]
    assert len(everything) == len(set(everything))


async def test_the_option_keys_choose_as_the_flags_do(tmp_path: Path, film: Path) -> None:
    with ScriptedOrigin() as origin:
        origin.add_folder(film, at="/film")
        async with hlsdl.AssetDownloadSession() as session:
            configuration = hlsdl.DownloadConfiguration.from_options(
                hlsdl.Asset(origin.url("/film/master.m3u8")),
                title="A film",
                destination=tmp_path,
                options=hlsdl.DownloadOptions(
                    minimum_required_media_bitrate=100_000, prefers_hdr=False, prefers_multichannel=False
                ),
            )
            task = session.make_asset_download_task(configuration)
            task.resume()
            bundle = await task
    (video,) = [one for one in bundle.streams if one.kind == "video"]
    assert (video.video_range, video.resolution) == ("SDR", (640, 360))
    assert {one.channels for one in bundle.streams if one.kind == "audio"} == {"2"}


@pytest.mark.parametrize(
    "options",
    [{"minimum_required_media_bitrate": -1}, {"minimum_required_presentation_size": (0, 720)}],
)
def test_option_keys_that_cannot_be_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(hlsdl.UsageError):
        hlsdl.DownloadOptions(**options).preferences()


async def test_a_configuration_is_copied_when_the_task_is_made(tmp_path: Path) -> None:
    with ScriptedOrigin() as origin:
        async with hlsdl.AssetDownloadSession() as session:
            configuration = wanted(serve(origin), tmp_path)
            task = session.make_asset_download_task(configuration)
            configuration.title = "Another film"
            configuration.primary.variant_qualifiers.append(hlsdl.VariantQualifier(hlsdl.width >= 10))
            task.resume()
            bundle = await task
            session.configuration.maximum_concurrent_tasks = 0
            assert session.configuration.maximum_concurrent_tasks == 10
    assert bundle.title == "A film"


async def test_keys_come_from_the_provider_and_their_url_is_not_asked(tmp_path: Path) -> None:
    requests: list[hlsdl.KeyRequest] = []

    class Provider:
        async def provide(self, request: hlsdl.KeyRequest) -> bytes | None:
            requests.append(request)
            return bytes(range(16))

    with ScriptedOrigin() as origin:
        serve(origin)
        key = '#EXT-X-KEY:METHOD=AES-128,URI="/key"\n'
        origin.add("/v/0.ts", bytes(160))
        text = f"#EXTM3U\n#EXT-X-TARGETDURATION:4\n{key}#EXTINF:4,\n0.ts\n#EXT-X-ENDLIST\n"
        origin.add("/v/index.m3u8", text.encode())
        async with hlsdl.AssetDownloadSession() as session:
            asset = hlsdl.Asset(origin.url("/v/index.m3u8"), key_provider=Provider())
            task = session.make_asset_download_task(hlsdl.DownloadConfiguration(asset=asset, destination=tmp_path))
            task.resume()
            bundle = await task
        assert origin.count("/key") == 0
    assert [request.uri.endswith("/key") for request in requests] == [True]
    assert "/key" not in repr(requests)
    assert next((bundle.path / "keys").iterdir()).read_bytes() == bytes(range(16))


async def test_a_key_provider_that_gives_no_key_fails_the_task(tmp_path: Path) -> None:
    class Provider:
        async def provide(self, request: hlsdl.KeyRequest) -> bytes | None:
            return b"short"

    with ScriptedOrigin() as origin:
        text = '#EXTM3U\n#EXT-X-TARGETDURATION:4\n#EXT-X-KEY:METHOD=AES-128,URI="k"\n#EXTINF:4,\n0.ts\n#EXT-X-ENDLIST\n'
        origin.add("/v/index.m3u8", text.encode())
        origin.add("/v/0.ts", bytes(160))
        async with hlsdl.AssetDownloadSession() as session:
            asset = hlsdl.Asset(origin.url("/v/index.m3u8"), key_provider=Provider())
            task = session.make_asset_download_task(hlsdl.DownloadConfiguration(asset=asset, destination=tmp_path))
            task.resume()
            with pytest.raises(hlsdl.ContentKeyError, match="5 bytes"):
                await task


@pytest.mark.parametrize(
    ("failure", "told"),
    [
        (TimeoutError(), "raised `TimeoutError`"),
        (asyncio.CancelledError(), "was cancelled"),
        (ValueError("a secret"), "raised `ValueError`"),
        ("0123456789abcdef", "gave `str`"),
        (hlsdl.ContentKeyError("no licence"), "no licence"),
    ],
    ids=str,
)
async def test_what_a_key_provider_does_wrong_is_said_to_be_its_own(
    tmp_path: Path, failure: BaseException | str, told: str
) -> None:
    class Provider:
        async def provide(self, request: hlsdl.KeyRequest) -> Any:
            if isinstance(failure, BaseException):
                raise failure
            return failure

    with ScriptedOrigin() as origin:
        text = '#EXTM3U\n#EXT-X-TARGETDURATION:4\n#EXT-X-KEY:METHOD=AES-128,URI="k"\n#EXTINF:4,\n0.ts\n#EXT-X-ENDLIST\n'
        origin.add("/v/index.m3u8", text.encode())
        async with hlsdl.AssetDownloadSession() as session:
            asset = hlsdl.Asset(origin.url("/v/index.m3u8"), key_provider=Provider())
            task = session.make_asset_download_task(hlsdl.DownloadConfiguration(asset=asset, destination=tmp_path))
            task.resume()
            with pytest.raises(hlsdl.ContentKeyError, match=told) as caught:
                await asyncio.wait_for(task, 20)
    assert "secret" not in str(caught.value)


PNG = b"\x89PNG\r\n\x1a\n" + bytes(100)


async def test_artwork_is_kept_with_the_task_and_stored_in_the_bundle(tmp_path: Path) -> None:
    picture = tmp_path / "poster.png"
    picture.write_bytes(PNG)
    with ScriptedOrigin() as origin:
        url = serve(origin)
        async with hlsdl.AssetDownloadSession() as session:
            for artwork in (PNG, picture):
                task = session.make_asset_download_task(wanted(url, tmp_path / str(type(artwork)), artwork=artwork))
                picture.unlink() if artwork is picture else None
                task.resume()
                bundle = await task
                assert bundle.read("Data/artwork.png") == PNG
            with pytest.raises(hlsdl.UsageError, match="no JPEG, PNG"):
                session.make_asset_download_task(wanted(url, tmp_path, artwork=b"text"))


def test_interstitials_are_refused_rather_than_left_out_silently(tmp_path: Path) -> None:
    configuration = wanted("https://films.test/master.m3u8", tmp_path, downloads_interstitial_assets=True)
    with pytest.raises(hlsdl.UsageError, match="interstitial"):
        configuration.wishes()


async def test_all_media_selections_have_every_option_at_least_once(film: Path) -> None:
    with ScriptedOrigin() as origin:
        origin.add_folder(film, at="/film")
        asset = await hlsdl.Asset(origin.url("/film/master.m3u8")).load()
    selections = asset.all_media_selections
    assert selections[0] == asset.preferred_media_selection
    chosen = {option for selection in selections for option in selection.options}
    assert chosen == {option for group in asset.media_selection_groups for option in group.options}
    assert len(selections) == len(set(selections)) == 1 + 3 + 2


def test_nothing_of_an_asset_is_known_before_it_is_loaded() -> None:
    with pytest.raises(hlsdl.UsageError, match="not loaded"):
        _ = hlsdl.Asset("https://films.test/master.m3u8").variants


def test_secrets_of_an_asset_are_in_no_repr() -> None:
    asset = hlsdl.Asset(
        "https://films.test/master.m3u8?token=hidden", headers={"X-Key": "hidden"}, cookies={"sid": "hidden"}
    )
    assert "hidden" not in repr(asset) + repr(hlsdl.DownloadConfiguration(asset=asset))
    assert dict(asset.headers) == {"X-Key": "hidden", "Cookie": "sid=hidden"}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("maximum_concurrent_tasks", 0),
        ("timeout_interval_for_request", -1.0),
        ("timeout_interval_for_resource", 0.0),
        ("limit_rate", 0),
        ("http_maximum_connections_per_host", -1),
    ],
)
def test_a_configuration_with_which_nothing_could_run_is_refused(name: str, value: float) -> None:
    configuration = hlsdl.SessionConfiguration.default()
    setattr(configuration, name, value)
    with pytest.raises(hlsdl.UsageError, match=name):
        hlsdl.AssetDownloadSession(configuration)


async def test_places_may_be_given_as_text(tmp_path: Path) -> None:
    picture = tmp_path / "poster.png"
    picture.write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(64))
    configuration = hlsdl.SessionConfiguration.background("films")
    configuration.storage, configuration.library = str(tmp_path / "sessions"), str(tmp_path / "library")
    with ScriptedOrigin() as origin:
        asset = hlsdl.Asset(serve(origin))
        async with hlsdl.AssetDownloadSession(configuration) as session:
            for destination in (str(tmp_path / "A film.movpkg"), None):
                task = session.make_asset_download_task(
                    hlsdl.DownloadConfiguration(
                        asset=asset, title="A film", artwork=str(picture), destination=destination
                    )
                )
                task.resume()
                bundle = await task
                assert bundle.path == Path(destination or tmp_path / "library" / "A film.movpkg")
                assert next((bundle.path / "Data").glob("*.png")).read_bytes() == picture.read_bytes()
            file = session.make_download_task(origin.url("/v/0.ts"), str(tmp_path))
            file.resume()
            assert await file == tmp_path / "0.ts"


def wishes_of(**primary: Any) -> Preferences:
    """The first wish of a configuration."""
    configuration = hlsdl.DownloadConfiguration(hlsdl.Asset("https://films.test/master.m3u8"))
    configuration.primary = hlsdl.DownloadContentConfiguration(**primary)
    return configuration.wishes()[0]


def test_a_predicate_or_an_expression_will_do_for_a_qualifier() -> None:
    same = hlsdl.VariantQualifier("height < 300"), hlsdl.height < 300, "height < 300"
    assert {wishes_of(variant_qualifiers=[one]).where for one in same} == {("height < 300",)}


def test_lists_and_single_words_will_do_in_preferences() -> None:
    loose = hlsdl.Preferences(audio=["fr"], subtitles="de", max_size=[640, 360])  # type: ignore[arg-type]
    assert loose == hlsdl.Preferences(audio=("fr",), subtitles=("de",), max_size=(640, 360))
    assert wishes_of(preferences=loose).audio == ("fr",)


@pytest.mark.parametrize(
    "primary",
    [{"preferences": hlsdl.Preferences(variant=5)}, {"media_selections": ["fr"]}],  # type: ignore[arg-type]
)
async def test_what_could_not_be_read_again_is_refused_when_the_task_is_made(primary: dict[str, Any]) -> None:
    configuration = hlsdl.DownloadConfiguration(hlsdl.Asset("https://films.test/master.m3u8"))
    configuration.primary = hlsdl.DownloadContentConfiguration(**primary)
    async with hlsdl.AssetDownloadSession() as session:
        with pytest.raises(hlsdl.UsageError):
            session.make_asset_download_task(configuration)
        assert await session.tasks() == []


async def test_a_destination_that_cannot_be_is_refused_when_the_task_is_made(tmp_path: Path) -> None:
    async with hlsdl.AssetDownloadSession() as session:
        with pytest.raises(hlsdl.UsageError, match="NUL"):
            session.make_asset_download_task(wanted("https://films.test/master.m3u8", tmp_path / "a\0.movpkg"))
        nowhere = hlsdl.DownloadConfiguration(hlsdl.Asset("https://films.test/master.m3u8"), destination="")
        with pytest.raises(hlsdl.UsageError, match="empty"):
            session.make_asset_download_task(nowhere)


def test_a_bundle_that_is_not_there_is_called_a_bundle(tmp_path: Path) -> None:
    with pytest.raises(hlsdl.UsageError, match="no bundle"):
        hlsdl.Asset(tmp_path / "A film.movpkg")


async def test_a_session_loads_assets_with_its_own_headers(tmp_path: Path) -> None:
    configuration = hlsdl.SessionConfiguration.default()
    configuration.http_additional_headers = {"X-App": "films"}
    with ScriptedOrigin() as origin:
        url = serve(origin)
        async with hlsdl.AssetDownloadSession(configuration) as session:
            asset = await session.load(hlsdl.Asset(url, headers={"X-Asset": "one"}))
        (request,) = origin.requests
    assert asset.variants == ()
    assert (request.headers["x-app"], request.headers["x-asset"]) == ("films", "one")
