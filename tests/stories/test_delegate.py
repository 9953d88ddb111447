"""Everything a session can tell, told: each method of the delegate is called at least once, and as documented."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import groupby
from pathlib import Path
from typing import Any

import pytest
from faults import serve
from recording import Recorder

import hlsdl
from hlsdl.testing import Answer, Request, ScriptedOrigin, Stall, Status

pytestmark = pytest.mark.anyio

METHODS = {name for name in vars(hlsdl.AssetDownloadDelegate) if not name.startswith("_")}
SONG = bytes(range(256)) * (3 << 12)


class Listener(Recorder):
    """Remembers, and knows a password."""

    def did_receive_challenge(self, task: Any, challenge: hlsdl.AuthenticationChallenge) -> hlsdl.Credential:
        self._note("did_receive_challenge", task, challenge)
        return hlsdl.Credential(token="right")

    def has_heard(self, *methods: str) -> bool:
        return set(methods) <= {name for name, _, _ in self.calls}


class Guarded:
    """Answers who has the token."""

    def apply(self, request: Request, answer: Answer) -> Answer:
        if request.headers.get("authorization") == "Bearer right":
            return answer
        return Status(401, headers={"WWW-Authenticate": "Bearer"}).apply(request, answer)


class Silent:
    """Falls silent half-way; asked for the rest, it says nothing until patience has ended, and then gives it."""

    def __init__(self) -> None:
        self.requests = 0

    def apply(self, request: Request, answer: Answer) -> Answer:
        self.requests += 1
        if "range" not in request.headers:
            return Stall(len(SONG) // 2).apply(request, answer)
        return answer if self.requests > 2 else Stall(0).apply(request, answer)


@asynccontextmanager
async def background(folder: Path, delegate: object) -> AsyncIterator[hlsdl.AssetDownloadSession]:
    configuration = hlsdl.SessionConfiguration.background("films")
    configuration.storage, configuration.library = folder / "sessions", folder
    configuration.timeout_interval_for_request = 0.2
    configuration.transfer = hlsdl.TransferOptions(retries=0)
    async with hlsdl.AssetDownloadSession(configuration, delegate) as session:
        yield session


async def film_in_two_languages(session: hlsdl.AssetDownloadSession, url: str, folder: Path) -> hlsdl.AssetDownloadTask:
    """An aggregate task: told of its place, variants, selections, ranges, and of each selection's end."""
    asset = await hlsdl.Asset(url).load()
    english = asset.preferred_media_selection
    task = session.aggregate_asset_download_task(
        asset, [english, english.with_option("audible", "fr/Français")], title="A film", destination=folder
    )
    task.resume()
    await task
    return task


async def song_in_two_parts(session: hlsdl.AssetDownloadSession, url: str, folder: Path) -> hlsdl.DownloadTask:
    """A file task whose server falls silent half-way: it waits for the network, and goes on where it was."""
    task = session.make_download_task(url, folder)
    task.resume()
    async with asyncio.timeout(20):
        await task
    return task


async def test_each_method_is_called_and_no_other(tmp_path: Path, film: Path) -> None:
    delegate = Listener()
    with ScriptedOrigin() as origin:
        origin.add_folder(film, at="/film")
        origin.add("/song.m4a", SONG, etag='"v1"')
        origin.always("/song.m4a", Silent())
        guarded = serve(origin)
        origin.always("/v/index.m3u8", Guarded())
        async with background(tmp_path, delegate) as session:
            assert await session.restore() == []
            delegate.calls.clear()  # nothing was missed, and that was told
            movie = await film_in_two_languages(session, origin.url("/film/master.m3u8"), tmp_path)
            song = await song_in_two_parts(session, origin.url("/song.m4a"), tmp_path)
            secret = session.make_asset_download_task(hlsdl.DownloadConfiguration(asset=hlsdl.Asset(guarded)))
            secret.resume()
            await secret
    assert {name for name, _, _ in delegate.calls} == METHODS
    assert delegate.names(movie) == [
        "will_download_to",
        "will_download_variants",
        "did_resolve_media_selection",
        "did_load",
        "did_complete_for",
        "did_complete_for",
        "did_finish_downloading_to",
        "did_complete",
    ]
    assert [name for name, _ in groupby(delegate.names(song))] == [
        "did_write_data",
        "is_waiting_for_connectivity",
        "did_resume_at_offset",
        "did_write_data",
        "did_finish_downloading_to",
        "did_complete",
    ]
    assert delegate.names(secret)[0] == "did_receive_challenge"
    assert [name for name, number, _ in delegate.calls if number is None][-1] == "did_become_invalid"
    assert "did_finish_events" in delegate.names()


async def test_methods_are_told_what_their_types_say(tmp_path: Path, film: Path) -> None:
    delegate = Listener()
    with ScriptedOrigin() as origin:
        origin.add_folder(film, at="/film")
        async with background(tmp_path, delegate) as session:
            task = await film_in_two_languages(session, origin.url("/film/master.m3u8"), tmp_path)
    ((path,),) = delegate.of("will_download_to")
    ((variants,),) = delegate.of("will_download_variants")
    ((resolved,),) = delegate.of("did_resolve_media_selection")
    assert path == task.location
    assert all(isinstance(one, hlsdl.AssetVariant) for one in variants)
    assert resolved.option("audible").language == "en"
    new, loaded, expected = delegate.of("did_load")[-1]
    assert new.end <= loaded[-1].end == expected.end
    assert [one.option("audible").language for (one,) in delegate.of("did_complete_for")] == ["en", "fr"]
    assert delegate.of("did_finish_downloading_to") == [(path,)]
    assert delegate.of("did_complete") == [(None,)]


async def test_a_failure_is_told_with_its_error_and_nothing_is_said_to_be_finished(tmp_path: Path) -> None:
    delegate = Listener()
    with ScriptedOrigin() as origin:
        async with background(tmp_path, delegate) as session:
            task = session.make_download_task(origin.url("/nothing.m4a"), tmp_path)
            task.resume()
            with pytest.raises(hlsdl.FileRefused):
                await task
    assert delegate.names(task) == ["did_complete"]
    assert delegate.of("did_complete") == [(task.error,)]


async def test_a_subclass_of_the_protocol_hears_only_what_it_overrides(tmp_path: Path) -> None:
    class App(hlsdl.AssetDownloadDelegate):
        def __init__(self) -> None:
            self.ends: list[hlsdl.HlsdlError | None] = []

        async def did_complete(self, task: Any, error: hlsdl.HlsdlError | None) -> None:
            self.ends.append(error)

    delegate = App()
    with ScriptedOrigin() as origin:
        async with background(tmp_path, delegate) as session:
            task = session.make_asset_download_task(hlsdl.DownloadConfiguration(asset=hlsdl.Asset(serve(origin))))
            task.resume()
            await task
    assert delegate.ends == [None]


def test_the_story_knows_every_method_of_the_protocol() -> None:
    assert set(dir(Listener)) >= METHODS
    assert len(METHODS) == 13
