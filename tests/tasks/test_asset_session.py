"""The session: tasks, their states, and what a delegate hears, over real sockets."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path
from typing import Any

import pytest
from faults import SEGMENTS, TRUTH, asked, require_whole, serve
from recording import Recorder, serve_held, stored, until, wanted

import hlsdl
from hlsdl.bundle.writing import BundleWriter
from hlsdl.testing import ScriptedOrigin

pytestmark = pytest.mark.anyio


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


async def test_a_task_gives_the_bundle_as_it_was_sealed_and_does_not_read_it_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a long film that takes a second, in which nothing else would run."""

    def refuse(path: Path) -> hlsdl.Bundle:
        raise AssertionError(f"{path.name} is read")

    with ScriptedOrigin() as origin:
        url = serve(origin)
        async with hlsdl.AssetDownloadSession(hlsdl.SessionConfiguration.ephemeral()) as session:
            task = session.make_asset_download_task(wanted(url, tmp_path))
            with monkeypatch.context() as patched:
                patched.setattr(hlsdl.Bundle, "open", refuse)
                task.resume()
                bundle = await task
    assert isinstance(bundle, hlsdl.Bundle)
    assert bundle.document() == hlsdl.open(bundle.path).document()


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


def test_tasks_are_made_where_there_is_an_event_loop() -> None:
    session = hlsdl.AssetDownloadSession()
    with pytest.raises(hlsdl.UsageError, match="no event loop") as caught:
        session.make_download_task("https://films.test/a", "a")
    assert "hlsdl.sync" in str(caught.value.hint)


async def test_the_end_of_a_session_is_the_end_of_its_tasks_unless_they_are_found_again(tmp_path: Path) -> None:
    delegate = Recorder()
    async with hlsdl.AssetDownloadSession(delegate=delegate) as session:
        task = session.make_asset_download_task(wanted("https://films.test/master.m3u8", tmp_path))
    assert delegate.names() == ["did_complete", "did_become_invalid"]
    ((error,),) = delegate.of("did_complete")
    assert isinstance(error, hlsdl.SessionInvalidated)
    with pytest.raises(hlsdl.SessionInvalidated):
        await task
