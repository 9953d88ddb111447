"""The session: tasks, their states, and what a delegate hears, over real sockets."""

from __future__ import annotations

import asyncio
import functools
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from faults import SEGMENTS, TRUTH, asked, require_whole, serve
from recording import Recorder, serve_held

import hlsdl
from hlsdl.bundle.writing import BundleWriter
from hlsdl.planning.preferences import Preferences
from hlsdl.session import events
from hlsdl.testing import ScriptedOrigin, Status

pytestmark = pytest.mark.anyio


def wanted(url: str, folder: Path, title: str = "A film", **others: Any) -> hlsdl.DownloadConfiguration:
    return hlsdl.DownloadConfiguration(asset=hlsdl.Asset(url), title=title, destination=folder, **others)


async def until(condition: Any) -> None:
    """Wait for something that another task brings about."""
    async with asyncio.timeout(20):
        while not condition():
            await asyncio.sleep(0.01)


async def stored(folder: Path, count: int) -> None:
    await until(lambda: len(list(folder.rglob("0*.ts"))) >= count)


async def test_a_task_starts_suspended_and_awaited_it_gives_its_bundle(tmp_path: Path) -> None:
    with ScriptedOrigin() as origin:
        async with hlsdl.AssetDownloadSession() as session:
            task = session.make_asset_download_task(wanted(serve(origin), tmp_path))
            assert (task.state, await session.tasks()) == ("suspended", [task])
            assert not origin.requests
            task.resume()
            assert task.state == "running"
            bundle = await task
            assert (task.state, task.progress.fraction, await session.tasks()) == ("completed", 1.0, [])
    assert bundle.path == task.location == tmp_path / "A film.movpkg"
    require_whole(bundle.path, TRUTH)


async def test_the_delegate_is_told_everything_in_the_documented_order(tmp_path: Path, film: Path) -> None:
    delegate = Recorder()
    with ScriptedOrigin() as origin:
        origin.add_folder(film, at="/film")
        async with hlsdl.AssetDownloadSession(delegate=delegate) as session:
            task = session.make_asset_download_task(wanted(origin.url("/film/master.m3u8"), tmp_path))
            task.resume()
            await task
            assert delegate.names() == [
                "will_download_to",
                "will_download_variants",
                "did_resolve_media_selection",
                "did_load",
                "did_finish_downloading_to",
                "did_complete",
            ]
    assert delegate.names()[-1] == "did_become_invalid"
    ((path,),) = delegate.of("will_download_to")
    ((variants,),) = delegate.of("will_download_variants")
    ((selection,),) = delegate.of("did_resolve_media_selection")
    assert path == task.location
    assert [one.video_attributes.video_range for one in variants] == ["PQ"]
    assert [one.name for one in selection.options] == ["English", "English (forced)"]
    loads = delegate.of("did_load")
    assert sum(new.duration for new, _, _ in loads) == loads[-1][2].duration == task.loaded_time_ranges[0].duration
    assert loads[-1][1] == task.loaded_time_ranges


async def test_what_a_delegate_raises_is_logged_and_harms_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    class Broken(Recorder):
        def will_download_to(self, task: Any, path: Path) -> None:
            raise RuntimeError("the app has a bug")

        async def did_complete_for(self, task: Any, selection: Any) -> None:
            raise RuntimeError("not called here")

        def did_finish_downloading_to(self, task: Any, path: Path) -> None:
            raise RuntimeError("and another one")

    delegate = Broken()
    with ScriptedOrigin() as origin:
        async with hlsdl.AssetDownloadSession(delegate=delegate) as session:
            task = session.make_asset_download_task(wanted(serve(origin), tmp_path))
            task.resume()
            bundle = await task
    require_whole(bundle.path, TRUTH)
    assert delegate.names()[-2:] == ["did_complete", "did_become_invalid"]
    assert [record.message.split("`")[1] for record in caplog.records if "delegate" in record.message] == [
        "will_download_to",
        "did_finish_downloading_to",
    ]


async def test_calls_are_delivered_one_at_a_time(tmp_path: Path) -> None:
    class Slow(Recorder):
        inside = 0

        async def will_download_to(self, task: Any, path: Path) -> None:
            self.inside += 1
            await asyncio.sleep(0.02)
            assert self.inside == 1
            self.inside -= 1
            await super_note(self, "will_download_to", task)

        async def did_complete(self, task: Any, error: Any) -> None:
            self.inside += 1
            await asyncio.sleep(0.02)
            assert self.inside == 1
            self.inside -= 1
            await super_note(self, "did_complete", task)

    async def super_note(delegate: Slow, name: str, task: Any) -> None:
        delegate._note(name, task)

    delegate = Slow()
    with ScriptedOrigin() as origin:
        url = serve(origin)
        async with hlsdl.AssetDownloadSession(delegate=delegate) as session:
            tasks = [session.make_asset_download_task(wanted(url, tmp_path / str(one))) for one in range(3)]
            for task in tasks:
                task.resume()
            await asyncio.gather(*tasks)
    assert delegate.names().count("did_complete") == 3


async def test_suspended_a_task_keeps_what_it_has_and_resumed_asks_only_for_the_rest(tmp_path: Path) -> None:
    with ScriptedOrigin() as origin:
        url, gate = serve_held(origin, first=2)
        async with hlsdl.AssetDownloadSession() as session:
            task = session.make_asset_download_task(wanted(url, tmp_path))
            task.resume()
            await stored(tmp_path, 2)
            task.suspend()
            assert task.state == "suspended"
            await until(lambda: not session._runners._running)
            assert hlsdl.open(tmp_path / "A film.movpkg").state == "partial"
            assert [(one.start, one.duration) for one in task.loaded_time_ranges] == [(0, 8)]
            origin.clear_requests()
            gate.set()
            task.resume()
            await task
            assert asked(origin) == set(range(2, SEGMENTS))
    require_whole(tmp_path / "A film.movpkg", TRUTH)


async def test_suspend_and_resume_at_once_goes_on_after_the_old_work_has_ended(tmp_path: Path) -> None:
    with ScriptedOrigin() as origin:
        url, gate = serve_held(origin)
        async with hlsdl.AssetDownloadSession() as session:
            task = session.make_asset_download_task(wanted(url, tmp_path))
            task.resume()
            await stored(tmp_path, 2)
            for _ in range(5):
                task.suspend()
                task.resume()
            assert task.state == "running"
            gate.set()
            bundle = await task
            assert task.state == "completed"
    require_whole(bundle.path, TRUTH)


async def test_a_task_that_is_suspended_while_its_bundle_is_being_opened_leaves_no_lock_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, gate = threading.Event(), threading.Event()
    open_writer = BundleWriter.open

    def open_slowly(*arguments: Any, **others: Any) -> BundleWriter:
        begun.set()
        gate.wait(20)
        return open_writer(*arguments, **others)

    monkeypatch.setattr(BundleWriter, "open", open_slowly)
    with ScriptedOrigin() as origin:
        async with hlsdl.AssetDownloadSession() as session:
            task = session.make_asset_download_task(wanted(serve(origin), tmp_path))
            task.resume()
            await until(begun.is_set)
            for _ in range(3):
                task.suspend()
                await asyncio.sleep(0.01)
                task.resume()
                await asyncio.sleep(0.01)
            gate.set()
            bundle = await task
    require_whole(bundle.path, TRUTH)


async def test_a_cancelled_task_ends_with_an_error_of_its_own_and_leaves_what_it_has(tmp_path: Path) -> None:
    delegate = Recorder()
    with ScriptedOrigin() as origin:
        url, gate = serve_held(origin)
        async with hlsdl.AssetDownloadSession(delegate=delegate) as session:
            task = session.make_asset_download_task(wanted(url, tmp_path))
            task.resume()
            await stored(tmp_path, 2)
            task.cancel()
            assert task.state == "canceling"
            with pytest.raises(hlsdl.TaskCancelled) as caught:
                await task
            assert (task.state, task.error, caught.value.code) == ("completed", caught.value, 130)
            assert delegate.names()[-1] == "did_complete"
            task.resume()
            assert task.state == "completed"
            gate.set()
            again = session.make_asset_download_task(wanted(url, tmp_path))
            origin.clear_requests()
            again.resume()
            await again
            assert asked(origin) == set(range(2, SEGMENTS))


async def test_to_stop_waiting_for_a_task_does_not_stop_it(tmp_path: Path) -> None:
    with ScriptedOrigin() as origin:
        url, gate = serve_held(origin)
        async with hlsdl.AssetDownloadSession() as session:
            task = session.make_asset_download_task(wanted(url, tmp_path))
            task.resume()

            async def wait() -> None:
                await task

            waiting = asyncio.create_task(wait())
            await stored(tmp_path, 2)
            waiting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiting
            assert task.state == "running"
            gate.set()
            bundle = await task
    require_whole(bundle.path, TRUTH)


async def test_ten_tasks_at_once_of_which_one_fails(tmp_path: Path) -> None:
    delegate = Recorder()
    with ScriptedOrigin() as origin:
        url = serve(origin)
        origin.add("/w/index.m3u8", b"#EXTM3U\n#EXT-X-TARGETDURATION:4\n#EXTINF:4,\ngone.ts\n#EXT-X-ENDLIST\n")
        async with hlsdl.AssetDownloadSession(delegate=delegate) as session:
            tasks = [
                session.make_asset_download_task(
                    wanted(origin.url("/w/index.m3u8") if number == 3 else url, tmp_path / str(number))
                )
                for number in range(10)
            ]
            for task in tasks:
                task.resume()
            results = await asyncio.gather(*tasks, return_exceptions=True)
    failed = results.pop(3)
    assert isinstance(failed, hlsdl.HttpError)
    assert tasks[3].error is failed
    for bundle in results:
        assert isinstance(bundle, hlsdl.Bundle)
        require_whole(bundle.path, TRUTH)
    for task in tasks:
        assert delegate.names(task)[-1] == "did_complete"
        assert ("did_finish_downloading_to" in delegate.names(task)) == (task is not tasks[3])


async def test_no_more_tasks_run_at_once_than_the_configuration_says_and_the_most_urgent_first(tmp_path: Path) -> None:
    delegate = Recorder()
    configuration = hlsdl.SessionConfiguration.default()
    configuration.maximum_concurrent_tasks = 1
    with ScriptedOrigin() as origin:
        url = serve(origin)
        async with hlsdl.AssetDownloadSession(configuration, delegate) as session:
            tasks = [session.make_asset_download_task(wanted(url, tmp_path / str(one))) for one in range(3)]
            tasks[2].priority = 0.9
            for task in tasks:
                task.resume()
            await asyncio.gather(*tasks)
    ended = [number for name, number, _ in delegate.calls if name == "did_complete"]
    assert ended == [tasks[2].task_identifier, tasks[0].task_identifier, tasks[1].task_identifier]


async def test_tasks_of_one_priority_run_in_the_order_in_which_they_were_resumed(tmp_path: Path) -> None:
    delegate = Recorder()
    configuration = hlsdl.SessionConfiguration.default()
    configuration.maximum_concurrent_tasks = 1
    with ScriptedOrigin() as origin:
        url = serve(origin)
        async with hlsdl.AssetDownloadSession(configuration, delegate) as session:
            tasks = [session.make_asset_download_task(wanted(url, tmp_path / str(one))) for one in range(3)]
            for task in reversed(tasks):
                task.resume()
            await asyncio.gather(*tasks)
    ended = [number for name, number, _ in delegate.calls if name == "did_complete"]
    assert ended == [task.task_identifier for task in reversed(tasks)]


async def test_a_tasks_own_delegate_is_called_instead_of_the_sessions(tmp_path: Path) -> None:
    class Own:
        def __init__(self) -> None:
            self.errors: list[hlsdl.HlsdlError | None] = []

        async def did_complete(self, task: Any, error: hlsdl.HlsdlError | None) -> None:
            self.errors.append(error)

    delegate, own = Recorder(), Own()
    with ScriptedOrigin() as origin:
        url = serve(origin)
        async with hlsdl.AssetDownloadSession(delegate=delegate) as session:
            mine = session.make_asset_download_task(wanted(url, tmp_path / "mine"))
            mine.delegate = own
            other = session.make_asset_download_task(wanted(url, tmp_path / "other"))
            for task in (mine, other):
                task.resume()
                await task
            assert own.errors == [None]
            assert "did_complete" not in delegate.names(mine)
            assert "did_finish_downloading_to" in delegate.names(mine)
            assert delegate.names(other)[-1] == "did_complete"


async def test_a_task_does_not_begin_before_its_date(tmp_path: Path) -> None:
    with ScriptedOrigin() as origin:
        url = serve(origin)
        async with hlsdl.AssetDownloadSession() as session:
            task = session.make_asset_download_task(wanted(url, tmp_path))
            task.earliest_begin_date = datetime.now(UTC) + timedelta(hours=1)
            task.resume()
            other = session.make_asset_download_task(wanted(url, tmp_path / "other"))
            other.resume()
            await other
            assert (task.state, task.phase.value) == ("running", "waiting")
            task.earliest_begin_date = None
            await task


async def test_a_session_that_was_invalidated_makes_no_tasks(tmp_path: Path) -> None:
    delegate = Recorder()
    with ScriptedOrigin() as origin:
        url = serve(origin)
        session = hlsdl.AssetDownloadSession(delegate=delegate)
        task = session.make_asset_download_task(wanted(url, tmp_path))
        task.resume()
        await session.finish_tasks_and_invalidate()
        assert task.state == "completed"
        with pytest.raises(hlsdl.SessionInvalidated):
            session.make_asset_download_task(wanted(url, tmp_path / "more"))
        with pytest.raises(hlsdl.SessionInvalidated):
            session.make_download_task(url, tmp_path)
    assert delegate.names()[-1] == "did_become_invalid"
    require_whole((await task).path, TRUTH)


async def test_invalidate_and_cancel_cancels_what_there_is(tmp_path: Path) -> None:
    with ScriptedOrigin() as origin:
        url, gate = serve_held(origin)
        session = hlsdl.AssetDownloadSession()
        running = session.make_asset_download_task(wanted(url, tmp_path / "1"))
        suspended = session.make_asset_download_task(wanted(url, tmp_path / "2"))
        running.resume()
        await stored(tmp_path, 2)
        await session.invalidate_and_cancel()
        gate.set()
    for task in (running, suspended):
        assert isinstance(task.error, hlsdl.TaskCancelled)


async def test_the_end_of_the_block_stops_what_is_under_way_and_whoever_waits_hears_of_it(tmp_path: Path) -> None:
    with ScriptedOrigin() as origin:
        url, gate = serve_held(origin)
        async with hlsdl.AssetDownloadSession() as session:
            task = session.make_asset_download_task(wanted(url, tmp_path))
            task.resume()
            waiting = asyncio.ensure_future(task)
            await stored(tmp_path, 2)
        with pytest.raises(hlsdl.SessionInvalidated):
            await waiting
        gate.set()
    assert hlsdl.open(tmp_path / "A film.movpkg").state == "partial"
    assert not list(tmp_path.rglob("*.part"))


async def test_flush_brings_everything_to_the_device_and_the_task_goes_on(tmp_path: Path) -> None:
    with ScriptedOrigin() as origin:
        url, gate = serve_held(origin)
        async with hlsdl.AssetDownloadSession() as session:
            task = session.make_asset_download_task(wanted(url, tmp_path))
            task.resume()
            await stored(tmp_path, 2)
            await session.flush()
            journal = next(tmp_path.rglob("journal.jsonl")).read_text()
            assert '"t":"close"' in journal
            gate.set()
            bundle = await task
    require_whole(bundle.path, TRUTH)


async def test_a_task_tells_its_events_until_it_ends(tmp_path: Path) -> None:
    with ScriptedOrigin() as origin:
        async with hlsdl.AssetDownloadSession() as session:
            task = session.make_asset_download_task(wanted(serve(origin), tmp_path))
            task.resume()
            heard = [event async for event in task.events()]
            assert [event async for event in task.events()] == []
    kinds = [type(event) for event in heard]
    assert kinds[0] is events.WillDownloadTo
    assert kinds[-1] is events.DidFinishDownloading
    assert events.Progressed in kinds


async def test_an_origin_that_asks_who_is_there_gets_the_delegates_answer(tmp_path: Path) -> None:
    class Doorkeeper(Recorder):
        async def did_receive_challenge(self, task: Any, challenge: hlsdl.AuthenticationChallenge) -> hlsdl.Credential:
            self._note("did_receive_challenge", task, challenge)
            password = "right" if challenge.previous_failure_count else "wrong"
            return hlsdl.Credential(user="anna", password=password)

    class Guarded:
        def apply(self, request: Any, answer: Any) -> Any:
            if request.headers.get("authorization") == "Basic YW5uYTpyaWdodA==":
                return answer
            return Status(401, headers={"WWW-Authenticate": 'Basic realm="films"'}).apply(request, answer)

    delegate = Doorkeeper()
    with ScriptedOrigin() as origin:
        url = serve(origin)
        origin.always("/v/index.m3u8", Guarded())
        async with hlsdl.AssetDownloadSession(delegate=delegate) as session:
            task = session.make_asset_download_task(wanted(url, tmp_path))
            task.resume()
            await task
    challenges = [challenge for (challenge,) in delegate.of("did_receive_challenge")]
    assert [(one.scheme, one.realm, one.previous_failure_count) for one in challenges] == [
        ("basic", "films", 0),
        ("basic", "films", 1),
    ]
    assert "right" not in repr(task) + repr(task.credential)


async def test_without_an_answer_a_challenge_fails_the_task(tmp_path: Path) -> None:
    with ScriptedOrigin() as origin:
        url = serve(origin)
        origin.always("/v/index.m3u8", Status(401, headers={"WWW-Authenticate": "Bearer"}))
        async with hlsdl.AssetDownloadSession(delegate=Recorder()) as session:
            task = session.make_asset_download_task(wanted(url, tmp_path))
            task.resume()
            with pytest.raises(hlsdl.HttpError) as caught:
                await task
    assert caught.value.http_status == 401


async def test_a_task_waits_for_the_network_and_says_so_once(tmp_path: Path) -> None:
    delegate = Recorder()
    with ScriptedOrigin() as origin:
        url = serve(origin)
        port = int(url.split(":")[2].split("/")[0])
    configuration = hlsdl.SessionConfiguration.default()
    configuration.waits_for_connectivity = True
    configuration.transfer = hlsdl.TransferOptions(retries=0)
    async with hlsdl.AssetDownloadSession(configuration, delegate) as session:
        task = session.make_asset_download_task(wanted(url, tmp_path))
        task.resume()
        await until(lambda: "is_waiting_for_connectivity" in delegate.names())
        assert task.state == "running"
        server = await asyncio.start_server(functools.partial(_film), "127.0.0.1", port)
        async with server:
            bundle = await task
    require_whole(bundle.path, TRUTH)
    assert delegate.names().count("is_waiting_for_connectivity") == 1


async def _film(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """A small server of the film, for a port that was closed before."""
    from faults import playlist

    while request := (await reader.readline()).decode("ascii"):
        while (await reader.readline()).strip():
            pass
        name = request.split()[1].rpartition("/")[2]
        body = playlist() if name.endswith(".m3u8") else TRUTH[int(name.removesuffix(".ts"))]
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
        await writer.drain()
    writer.close()


@pytest.mark.parametrize("waits", [False, True])
async def test_a_task_that_takes_too_long_ends_with_a_network_error(tmp_path: Path, waits: bool) -> None:
    configuration = hlsdl.SessionConfiguration.default()
    configuration.timeout_interval_for_resource = 0.3
    configuration.waits_for_connectivity = waits
    with ScriptedOrigin() as origin:
        url, gate = serve_held(origin)
        async with hlsdl.AssetDownloadSession(configuration) as session:
            task = session.make_asset_download_task(wanted(url, tmp_path))
            task.resume()
            with pytest.raises(hlsdl.NetworkError, match=r"within 0\.3 seconds"):
                await task
        gate.set()


async def test_waiting_for_the_network_is_part_of_the_time_that_a_task_has(tmp_path: Path) -> None:
    configuration = hlsdl.SessionConfiguration.default()
    configuration.waits_for_connectivity = True
    configuration.timeout_interval_for_resource = 0.3
    configuration.transfer = hlsdl.TransferOptions(retries=0)
    with ScriptedOrigin() as origin:
        url = serve(origin)
    async with hlsdl.AssetDownloadSession(configuration) as session:
        task = session.make_asset_download_task(wanted(url, tmp_path))
        task.resume()
        with pytest.raises(hlsdl.NetworkError, match=r"within 0\.3 seconds"):
            await task


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


async def test_a_task_on_a_bundle_adds_to_it_and_fetches_only_what_is_missing(tmp_path: Path, film: Path) -> None:
    with ScriptedOrigin() as origin:
        origin.add_folder(film, at="/film")
        async with hlsdl.AssetDownloadSession() as session:
            task = session.make_asset_download_task(wanted(origin.url("/film/master.m3u8"), tmp_path))
            task.resume()
            bundle = await task
            before = {one.id for one in bundle.streams}
            asset = await hlsdl.Asset(bundle).load()
            french = asset.preferred_media_selection.with_option("audible", "fr/Français")
            configuration = hlsdl.DownloadConfiguration(asset=asset)
            configuration.primary.media_selections = [french]
            origin.clear_requests()
            more = session.make_asset_download_task(configuration)
            more.resume()
            bundle = await more
    added = [one for one in bundle.streams if one.id not in before]
    assert [one.language for one in added] == ["fr"]
    media = {request.path.split("/")[2] for request in origin.requests if request.path.endswith((".m4s", ".mp4"))}
    assert media == {"aac-fr"}
    assert bundle.is_playable_offline


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


async def test_a_delegate_may_ask_a_task_to_stop_but_not_wait_for_it(tmp_path: Path) -> None:
    errors: list[BaseException] = []

    class Impatient(Recorder):
        async def will_download_to(self, task: Any, path: Path) -> None:
            try:
                await task
            except hlsdl.UsageError as error:
                errors.append(error)
            task.cancel()

    with ScriptedOrigin() as origin:
        url, gate = serve_held(origin, first=0)
        async with hlsdl.AssetDownloadSession(delegate=Impatient()) as session:
            task = session.make_asset_download_task(wanted(url, tmp_path))
            task.resume()
            with pytest.raises(hlsdl.TaskCancelled):
                await task
        gate.set()
    assert len(errors) == 1


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


async def test_the_library_learns_of_what_was_fetched_but_not_of_what_is_ephemeral(tmp_path: Path) -> None:
    with ScriptedOrigin() as origin:
        url = serve(origin)
        for configuration in (hlsdl.SessionConfiguration.default(), hlsdl.SessionConfiguration.ephemeral()):
            async with hlsdl.AssetDownloadSession(configuration) as session:
                task = session.make_asset_download_task(wanted(url, tmp_path / configuration.kind.value))
                task.resume()
                await task
    known = {bundle.path.parent.name for bundle in hlsdl.StorageManager().bundles() if tmp_path in bundle.path.parents}
    assert known == {"default"}


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
    [{"preferences": hlsdl.Preferences(min_bitrate="2M")}, {"media_selections": ["fr"]}],  # type: ignore[arg-type]
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


def test_tasks_are_made_where_there_is_an_event_loop() -> None:
    session = hlsdl.AssetDownloadSession()
    with pytest.raises(hlsdl.UsageError, match="no event loop") as caught:
        session.make_download_task("https://films.test/a", "a")
    assert "hlsdl.sync" in str(caught.value.hint)


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


async def test_what_came_before_a_stall_is_told_though_nothing_comes_after_it(tmp_path: Path) -> None:
    delegate = Recorder()
    with ScriptedOrigin() as origin:
        url, gate = serve_held(origin, first=2)
        async with hlsdl.AssetDownloadSession(delegate=delegate) as session:
            task = session.make_asset_download_task(wanted(url, tmp_path))
            task.resume()
            await until(lambda: sum(new.duration for new, _, _ in delegate.of("did_load")) == 8)
            await until(lambda: task.progress.fraction > 0)
            assert (gate.is_set(), task.state) == (False, "running")
            gate.set()
            await task


async def test_the_end_of_a_session_is_the_end_of_its_tasks_unless_they_are_found_again(tmp_path: Path) -> None:
    delegate = Recorder()
    async with hlsdl.AssetDownloadSession(delegate=delegate) as session:
        task = session.make_asset_download_task(wanted("https://films.test/master.m3u8", tmp_path))
    assert delegate.names() == ["did_complete", "did_become_invalid"]
    ((error,),) = delegate.of("did_complete")
    assert isinstance(error, hlsdl.SessionInvalidated)
    with pytest.raises(hlsdl.SessionInvalidated):
        await task
