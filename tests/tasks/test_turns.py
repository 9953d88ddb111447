"""A task that stops and goes on is still one task: what was told is not told again, and an answer is not lost."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from faults import serve
from recording import Recorder, in_the_background, serve_held, stored, until, wanted

import hlsdl
from hlsdl.testing import ScriptedOrigin, Status

pytestmark = pytest.mark.anyio

RIGHT = "Basic YW5uYTpyaWdodA=="


class Guarded:
    """Lets in whoever knows the password."""

    def apply(self, request: Any, answer: Any) -> Any:
        if request.headers.get("authorization") == RIGHT:
            return answer
        return Status(401, headers={"WWW-Authenticate": 'Basic realm="films"'}).apply(request, answer)


class Doorkeeper(Recorder):
    """Asks a person, which takes a while, and answers with the password that was set."""

    def __init__(self, *passwords: str | None) -> None:
        super().__init__()
        self._passwords = list(passwords)
        self.asks, self.may_answer = asyncio.Event(), asyncio.Event()

    async def did_receive_challenge(self, task: Any, challenge: Any) -> hlsdl.Credential | None:
        self._note("did_receive_challenge", task, challenge.previous_failure_count)
        self.asks.set()
        await self.may_answer.wait()
        password = self._passwords.pop(0)
        return hlsdl.Credential(user="anna", password=password) if password is not None else None


@asynccontextmanager
async def asked(
    folder: Path, delegate: Doorkeeper
) -> AsyncIterator[tuple[hlsdl.AssetDownloadSession, hlsdl.AssetDownloadTask]]:
    """A task whose delegate is being asked for the password."""
    with ScriptedOrigin() as origin:
        url = serve(origin)
        origin.always("/v/index.m3u8", Guarded())
        async with asyncio.timeout(20), hlsdl.AssetDownloadSession(delegate=delegate) as session:
            task = session.make_asset_download_task(wanted(url, folder))
            task.resume()
            await delegate.asks.wait()
            yield session, task


@pytest.mark.parametrize("meanwhile", ["suspend and resume", "flush"])
@pytest.mark.parametrize("passwords", [["right"], ["wrong", "right"]])
async def test_the_answer_to_a_challenge_is_used_though_the_task_was_stopped_meanwhile(
    tmp_path: Path, passwords: list[str], meanwhile: str
) -> None:
    delegate = Doorkeeper(*passwords)
    async with asked(tmp_path, delegate) as (session, task):
        if meanwhile == "flush":
            await session.flush()
        else:
            task.suspend()
            await asyncio.sleep(0.05)
            task.resume()
        await asyncio.sleep(0.05)
        delegate.may_answer.set()
        assert (await task).is_playable_offline
    assert delegate.of("did_receive_challenge") == [(number,) for number in range(len(passwords))]


async def test_a_reset_forgets_an_answer_that_nobody_has_used_yet(tmp_path: Path) -> None:
    delegate = Doorkeeper("right", "right")
    async with asked(tmp_path, delegate) as (session, task):
        task.suspend()
        delegate.may_answer.set()
        await asyncio.sleep(0.1)
        await session.reset()
        task.resume()
        assert (await task).is_playable_offline
    assert delegate.of("did_receive_challenge") == [(0,), (0,)]


async def test_no_answer_fails_the_task_also_in_a_later_turn(tmp_path: Path) -> None:
    delegate = Doorkeeper(None)
    async with asked(tmp_path, delegate) as (_session, task):
        task.suspend()
        task.resume()
        delegate.may_answer.set()
        with pytest.raises(hlsdl.HttpError) as caught:
            await task
    assert (caught.value.http_status, len(delegate.of("did_receive_challenge"))) == (401, 1)


async def test_what_was_told_as_loaded_is_not_told_again(tmp_path: Path, film: Path) -> None:
    delegate = Recorder()
    with ScriptedOrigin() as origin:
        origin.add_folder(film, at="/film")
        asset = await hlsdl.Asset(origin.url("/film/master.m3u8")).load()
        chosen = [asset.preferred_media_selection.with_option("audible", one) for one in ("en/English", "fr/Français")]
        async with asyncio.timeout(30), hlsdl.AssetDownloadSession(delegate=delegate) as session:
            task = session.aggregate_asset_download_task(asset, chosen, destination=tmp_path)
            for _ in range(3):
                origin.clear_requests()
                task.resume()
                await until(lambda: task.progress.fraction > 0)
                task.suspend()
                await asyncio.sleep(0.05)
            task.resume()
            await task
    assert len(delegate.of("did_complete_for")) == 2
    new = [one for one, _, _ in delegate.of("did_load")]
    assert sum(one.duration for one in new) == delegate.of("did_load")[-1][1][-1].end


async def test_a_task_that_rests_has_no_rate(tmp_path: Path) -> None:
    with ScriptedOrigin() as origin:
        url, gate = serve_held(origin)
        origin.add("/a.bin", bytes(100_000))
        async with asyncio.timeout(20), hlsdl.AssetDownloadSession() as session:
            task = session.make_asset_download_task(wanted(url, tmp_path))
            task.resume()
            await stored(tmp_path, 2)
            await until(lambda: task.progress.rate > 0)
            task.suspend()
            await until(lambda: task.progress.rate == 0)
            assert task.progress.eta is None
            file = session.make_download_task(origin.url("/a.bin"), tmp_path / "a.bin")
            file.resume()
            await file
            assert (file.progress.rate, file.progress.eta, file.progress.fraction) == (0, None, 1)
            gate.set()


async def test_a_new_task_brings_back_what_was_dropped_when_it_names_it(tmp_path: Path, film: Path) -> None:
    """Also where the same was asked for before the drop; and one that names nothing does not."""
    with ScriptedOrigin() as origin:
        origin.add_folder(film, at="/film")
        french = hlsdl.DownloadConfiguration(
            hlsdl.Asset(origin.url("/film/master.m3u8")), destination=tmp_path / "a.movpkg"
        )
        french.primary.preferences = hlsdl.Preferences(audio=("fr",))
        plain = hlsdl.DownloadConfiguration(
            hlsdl.Asset(origin.url("/film/master.m3u8")), destination=tmp_path / "a.movpkg"
        )
        async with asyncio.timeout(30), hlsdl.AssetDownloadSession() as session:

            async def languages(configuration: hlsdl.DownloadConfiguration) -> set[str | None]:
                task = session.make_asset_download_task(configuration)
                task.resume()
                return {one.language for one in (await task).streams if one.kind == "audio"}

            await languages(plain)
            assert "fr" in await languages(french)
            bundle = hlsdl.open(tmp_path / "a.movpkg")
            await hlsdl.drop(bundle, *(one.id for one in bundle.streams if one.language == "fr"))
            assert "fr" not in await languages(plain)
            assert "fr" in await languages(french)


def test_a_session_that_was_dropped_keeps_no_other_from_its_identifier(tmp_path: Path) -> None:
    async def dropped() -> None:
        session = hlsdl.AssetDownloadSession(in_the_background(tmp_path))
        with pytest.raises(hlsdl.LockedError):
            hlsdl.AssetDownloadSession(in_the_background(tmp_path))
        del session

    async def another() -> str | None:
        async with hlsdl.AssetDownloadSession(in_the_background(tmp_path)) as session:
            return session.identifier

    asyncio.run(dropped())
    gc.collect()
    assert asyncio.run(another()) == "films"


async def test_a_task_that_names_nothing_dropped_leaves_a_bundle_as_it_is(tmp_path: Path, film: Path) -> None:
    """It is neither written anew, nor taken for an addition that may overlook damage."""
    place = tmp_path / "a.movpkg"
    with ScriptedOrigin() as origin:
        origin.add_folder(film, at="/film")
        source = origin.url("/film/master.m3u8")
        async with asyncio.timeout(30), hlsdl.AssetDownloadSession() as session:

            async def fetched() -> hlsdl.Bundle:
                asset = hlsdl.Asset(source)
                task = session.make_asset_download_task(hlsdl.DownloadConfiguration(asset, destination=place))
                task.resume()
                return await task

            bundle = await hlsdl.add(await fetched(), audio="fr")
            await hlsdl.drop(bundle, *(one.id for one in bundle.streams if one.language == "fr"))
            before = (place / "manifest.json").read_bytes()
            await fetched()
            assert (place / "manifest.json").read_bytes() == before
            victim = min(place.glob("0-*/000000001.m4s"))
            number = int(victim.stem)
            victim.write_bytes(victim.read_bytes()[:-9])
            for path in {one.path for one in origin.requests if one.path.endswith(f"/{number}.m4s")}:
                origin.always(path, Status(404))
            with pytest.raises(hlsdl.HttpError):
                await fetched()
            assert hlsdl.open(place).state == "complete"


async def test_options_are_no_media_selections(tmp_path: Path, film: Path) -> None:
    asset = await hlsdl.Asset(str(film / "master.m3u8")).load()
    (option, *_) = asset.media_selection_groups[0].options
    async with hlsdl.AssetDownloadSession() as session:
        with pytest.raises(hlsdl.UsageError, match="media_selections"):
            session.aggregate_asset_download_task(asset, [option])  # type: ignore[list-item]


def test_an_identifier_is_a_text() -> None:
    with pytest.raises(hlsdl.UsageError, match="identify"):
        hlsdl.SessionConfiguration.background(5)  # type: ignore[arg-type]
