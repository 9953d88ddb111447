"""The session for threads: the same tasks, from any thread, and every call blocks."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from faults import TRUTH, require_whole, serve
from recording import Recorder, serve_held

import hlsdl
import hlsdl.sync
from hlsdl.session import events
from hlsdl.testing import ScriptedOrigin


def wanted(url: str, folder: Path) -> hlsdl.DownloadConfiguration:
    return hlsdl.DownloadConfiguration(asset=hlsdl.Asset(url), title="A film", destination=folder)


def test_a_script_fetches_without_a_loop_of_its_own(tmp_path: Path) -> None:
    delegate = Recorder()
    with ScriptedOrigin() as origin, hlsdl.sync.AssetDownloadSession(delegate=delegate) as session:
        task = session.make_asset_download_task(wanted(serve(origin), tmp_path))
        assert (task.state, session.tasks()[0].task_identifier) == ("suspended", task.task_identifier)
        task.task_description = "film-42"
        task.priority = 0.75
        task.resume()
        bundle = task.result()
        assert (task.state, task.progress.fraction, session.tasks()) == ("completed", 1.0, [])
        assert (task.task_description, task.priority, task.error) == ("film-42", 0.75, None)
        assert [one.duration for one in task.loaded_time_ranges] == [24]
    require_whole(bundle.path, TRUTH)
    assert delegate.names()[-2:] == ["did_complete", "did_become_invalid"]


INSIDE = frozenset(
    {
        *(
            "acknowledge",
            "asset",
            "credential",
            "finish",
            "rest",
            "keep_error",
            "let_go",
            "row",
            "stored_error",
            "stored_result",
        ),
        *("tell", "trigger", "turn", "wanted", "work"),  # what a task's session asks of it
        *("changed", "delivery", "forget", "must_be_open", "save"),  # what tasks ask of their session
    }
)


@pytest.mark.parametrize("name", ["AssetDownloadSession", "AssetDownloadTask", "DownloadTask"])
def test_everything_that_is_there_for_loops_is_there_for_threads(name: str) -> None:
    import hlsdl.sync.session

    public = {one for one in dir(getattr(hlsdl, name)) if not one.startswith("_")}
    assert public - INSIDE - set(dir(getattr(hlsdl.sync.session, name))) == set()


def test_what_is_set_on_a_task_is_set_from_any_thread(tmp_path: Path) -> None:
    delegate = Recorder()
    with ScriptedOrigin() as origin, hlsdl.sync.AssetDownloadSession() as session:
        session.session_description = "films"
        assert (session.session_description, session.identifier) == ("films", None)
        task = session.make_asset_download_task(wanted(serve(origin), tmp_path))
        task.earliest_begin_date = datetime(2020, 1, 1, tzinfo=UTC)
        task.count_of_bytes_client_expects_to_receive = 5
        task.delegate = delegate
        assert task.earliest_begin_date == datetime(2020, 1, 1, tzinfo=UTC)
        assert (task.count_of_bytes_client_expects_to_receive, task.delegate) == (5, delegate)
        assert (task.phase, task.media_selections, task.count_of_bytes_expected_to_receive) == ("suspended", (), None)
        task.resume()
        assert task.result().bytes == task.count_of_bytes_received
        with pytest.raises(hlsdl.UsageError, match="no such media selection"):
            task.loaded_time_ranges_for(hlsdl.MediaSelection())
        assert session.make_download_task(f"{origin.url('/a')}?token=hidden", tmp_path).url.endswith("/a?token=…")
    assert delegate.names()[-1] == "did_complete"


def test_events_come_one_after_another(tmp_path: Path) -> None:
    with ScriptedOrigin() as origin, hlsdl.sync.AssetDownloadSession() as session:
        url, gate = serve_held(origin, first=0)
        task = session.make_asset_download_task(wanted(url, tmp_path))
        task.resume()
        heard = []
        for event in task.events():
            heard.append(type(event))
            gate.set()
    assert heard[-1] is events.DidFinishDownloading


def test_events_that_nobody_takes_are_not_kept(tmp_path: Path) -> None:
    with ScriptedOrigin() as origin, hlsdl.sync.AssetDownloadSession() as session:
        url, gate = serve_held(origin, first=0)
        task = session.make_asset_download_task(wanted(url, tmp_path))
        heard = task.events()
        task.resume()
        next(heard)
        del heard
        gate.set()
        task.result()
        assert task.inner._listeners._queues == []


def test_many_threads_may_use_one_session(tmp_path: Path) -> None:
    with ScriptedOrigin() as origin, hlsdl.sync.AssetDownloadSession() as session:
        url = serve(origin)

        def fetch(number: int) -> hlsdl.Bundle:
            task = session.make_asset_download_task(wanted(url, tmp_path / str(number)))
            task.resume()
            return task.result()

        with ThreadPoolExecutor(8) as threads:
            bundles = list(threads.map(fetch, range(8)))
    assert [bundle.state for bundle in bundles] == ["complete"] * 8


def test_waiting_can_have_an_end_and_the_task_goes_on(tmp_path: Path) -> None:
    with ScriptedOrigin() as origin, hlsdl.sync.AssetDownloadSession() as session:
        url, gate = serve_held(origin)
        task = session.make_asset_download_task(wanted(url, tmp_path))
        task.resume()
        with pytest.raises(TimeoutError):
            task.result(timeout=0.05)
        task.suspend()
        assert task.state == "suspended"
        gate.set()
        task.resume()
        require_whole(task.result().path, TRUTH)


def test_a_delegate_that_would_block_its_own_session_is_told_so(tmp_path: Path) -> None:
    errors: list[hlsdl.UsageError] = []
    done = threading.Event()

    class Blocks(Recorder):
        def will_download_to(self, task: Any, path: Path) -> None:
            try:
                session.tasks()
            except hlsdl.UsageError as error:
                errors.append(error)
            done.set()

    with ScriptedOrigin() as origin, hlsdl.sync.AssetDownloadSession(delegate=Blocks()) as session:
        task = session.make_asset_download_task(wanted(serve(origin), tmp_path))
        task.resume()
        task.result()
    assert done.is_set()
    assert len(errors) == 1


def test_a_file_with_resume_data_of_no_use_and_the_end_of_a_session(tmp_path: Path) -> None:
    with ScriptedOrigin() as origin:
        origin.add("/song.m4a", b"sound")
        session = hlsdl.sync.AssetDownloadSession()
        task = session.make_download_task(origin.url("/song.m4a"), tmp_path)
        assert task.cancel_by_producing_resume_data() is None
        with pytest.raises(hlsdl.TaskCancelled):
            task.result()
        other = session.make_download_task(origin.url("/song.m4a"), tmp_path)
        other.resume()
        session.finish_tasks_and_invalidate()
        session.close()
    assert (tmp_path / "song.m4a").read_bytes() == b"sound"


def test_a_background_session_comes_back_for_scripts_too(tmp_path: Path) -> None:
    configuration = hlsdl.SessionConfiguration.background("scripts")
    configuration.storage = tmp_path / "sessions"
    with ScriptedOrigin() as origin:
        url = serve(origin)
        with hlsdl.sync.AssetDownloadSession(configuration) as session:
            session.make_asset_download_task(wanted(url, tmp_path)).task_description = "film-42"
            session.make_download_task(url, tmp_path / "plain.m3u8")
            with pytest.raises(hlsdl.LockedError):
                hlsdl.sync.AssetDownloadSession(configuration)
        with hlsdl.sync.AssetDownloadSession(configuration) as session:
            film, file = session.restore()
            for task in (film, file):
                task.resume()
            assert film.task_description == "film-42"
            assert isinstance(film.result(), hlsdl.Bundle)
            assert isinstance(file.result(), Path)


def test_after_its_end_a_session_says_so_and_what_has_ended_can_still_be_had(tmp_path: Path) -> None:
    with ScriptedOrigin() as origin:
        url = serve(origin)
        with hlsdl.sync.AssetDownloadSession() as session:
            done, left = (
                session.make_asset_download_task(wanted(url, tmp_path / name)) for name in ("a.movpkg", "b.movpkg")
            )
            done.resume()
            bundle = done.result()
        assert done.result().path == bundle.path
        assert [one.duration for one in done.loaded_time_ranges] == [24]
        assert list(left.events()) == []
        for call in (left.resume, left.result, session.tasks, session.flush, lambda: session.make_download_task(url)):
            with pytest.raises(hlsdl.SessionInvalidated):
                call()
        session.close()


def test_whoever_waits_in_another_thread_hears_of_the_end(tmp_path: Path) -> None:
    """Nobody is left waiting for a loop that has stopped, whatever they waited for."""
    heard: list[hlsdl.HlsdlError] = []
    with ScriptedOrigin() as origin:
        session = hlsdl.sync.AssetDownloadSession()
        task = session.make_asset_download_task(wanted(serve(origin), tmp_path / "a.movpkg"))

        def wait(call: Callable[[], Any]) -> None:
            try:
                call()
            except hlsdl.HlsdlError as error:
                heard.append(error)

        calls = (task.result, session.finish_tasks_and_invalidate, lambda: list(task.events()))
        threads = [threading.Thread(target=wait, args=(call,), daemon=True) for call in calls]
        for thread in threads:
            thread.start()
        session.close()
        for thread in threads:
            thread.join(timeout=20)
        assert not any(thread.is_alive() for thread in threads)
    assert all(isinstance(error, hlsdl.SessionInvalidated) for error in heard)


def test_a_delegate_cannot_wait_for_the_events_of_its_own_session(tmp_path: Path) -> None:
    refused: list[Exception] = []

    class Listens(Recorder):
        def will_download_to(self, task: Any, path: Path) -> None:
            try:
                list(mirrored.events())
            except hlsdl.UsageError as error:
                refused.append(error)

    with ScriptedOrigin() as origin, hlsdl.sync.AssetDownloadSession(delegate=Listens()) as session:
        mirrored = session.make_asset_download_task(wanted(serve(origin), tmp_path))
        mirrored.resume()
        mirrored.result(timeout=20)
    assert len(refused) == 1


def test_a_call_may_interrupt_a_call_of_the_same_thread() -> None:
    """A signal's handler runs between two steps of whatever its thread does."""
    with hlsdl.sync.AssetDownloadSession() as session, session._loop._gate:
        assert session.tasks() == []


def test_a_call_that_is_interrupted_by_the_end_of_its_session_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = hlsdl.sync.AssetDownloadSession()
    task = session.make_download_task("https://films.test/a.bin", tmp_path)
    hand_over = asyncio.run_coroutine_threadsafe

    def interrupted(work: Any, loop: asyncio.AbstractEventLoop) -> Any:
        monkeypatch.undo()
        session.close()  # as a signal's handler does that ends the program
        return hand_over(work, loop)

    monkeypatch.setattr(asyncio, "run_coroutine_threadsafe", interrupted)
    with pytest.raises(hlsdl.SessionInvalidated):
        task.resume()


def test_in_a_forked_child_there_is_no_session() -> None:
    with hlsdl.sync.AssetDownloadSession() as session:
        task = session.make_download_task("https://films.test/a.bin")
        child = os.fork()
        if child == 0:  # nothing of pytest may run on in here
            code = 1
            try:
                with session:
                    task.resume()
            except hlsdl.SessionInvalidated:
                code = 7
            finally:
                os._exit(code)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
        assert task.state == "suspended"
