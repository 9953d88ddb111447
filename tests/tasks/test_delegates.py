"""What a delegate hears of a task, in which order, what it may answer, and what it may do wrong."""

from __future__ import annotations

import asyncio
import gc
import weakref
from pathlib import Path
from typing import Any

import pytest
from faults import TRUTH, require_whole, serve
from recording import Recorder, serve_held, until, wanted

import hlsdl
from hlsdl.session import events
from hlsdl.testing import ScriptedOrigin, Status

pytestmark = pytest.mark.anyio


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


async def test_an_answer_takes_the_place_of_the_header_that_was_refused_however_the_host_is_spelt(
    tmp_path: Path,
) -> None:
    class Doorkeeper(Recorder):
        async def did_receive_challenge(self, task: Any, challenge: Any) -> Any:
            self._note("did_receive_challenge", task, challenge)
            return hlsdl.Credential(token="new")

    class Guarded:
        def apply(self, request: Any, answer: Any) -> Any:
            heard.append(request.headers.get("authorization"))
            return answer if heard[-1] == "Bearer new" else Status(401).apply(request, answer)

    heard: list[str | None] = []
    delegate = Doorkeeper()
    with ScriptedOrigin() as origin:
        serve(origin)
        origin.always("/v/index.m3u8", Guarded())
        url = origin.url("/v/index.m3u8", host="127.1")
        configuration = hlsdl.SessionConfiguration(http_additional_headers={"authorization": "Bearer oldest"})
        async with hlsdl.AssetDownloadSession(delegate=delegate, configuration=configuration) as session:
            asset = hlsdl.Asset(url, headers={"Authorization": "Bearer old"})
            task = session.make_asset_download_task(hlsdl.DownloadConfiguration(asset=asset, destination=tmp_path))
            task.resume()
            await task
    assert heard[0] == "Bearer old"
    assert set(heard[1:]) == {"Bearer new"}
    assert [challenge.host for (challenge,) in delegate.of("did_receive_challenge")] == ["127.0.0.1"]


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


async def test_whoever_drops_the_events_is_forgotten(tmp_path: Path) -> None:
    """Also who never listened, or stopped in the middle: nothing is kept for them until the task ends."""
    with ScriptedOrigin() as origin:
        async with asyncio.timeout(20), hlsdl.AssetDownloadSession() as session:
            task = session.make_asset_download_task(wanted(serve(origin), tmp_path))
            heard = task.events()
            queue = weakref.ref(heard._queue)  # type: ignore[attr-defined]
            for _ in range(3):
                task.events()
            assert len(task._listeners._queues) == 1
            task.resume()
            async for _ in heard:
                break
            assert queue() is not None
            del heard
            gc.collect()
            assert (queue(), task._listeners._queues) == (None, [])
            await task


async def test_events_are_heard_from_the_moment_that_they_are_asked_for(tmp_path: Path) -> None:
    """And not from the moment that somebody begins to listen."""
    with ScriptedOrigin() as origin:
        async with asyncio.timeout(20), hlsdl.AssetDownloadSession() as session:
            task = session.make_asset_download_task(wanted(serve(origin), tmp_path))
            heard = task.events()
            task.resume()
            await task
            assert [event.name async for event in heard][-1] == "did-finish-downloading-to"
