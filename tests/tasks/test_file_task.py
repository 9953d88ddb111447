"""File tasks: one file, its progress and its place. What goes on with one later is `test_resume_data`."""

from __future__ import annotations

import asyncio
import os
import threading
from pathlib import Path

import pytest
from recording import Recorder, until

import hlsdl
from hlsdl.testing import Hold, Raw, Redirect, ScriptedOrigin, Stall, Status

pytestmark = pytest.mark.anyio

SIZE = 3 << 20
FILE = bytes(range(256)) * (SIZE // 256)
OTHER = bytes(reversed(range(256))) * (SIZE // 256)


async def test_a_file_comes_whole_and_the_delegate_hears_of_its_bytes(tmp_path: Path) -> None:
    delegate = Recorder()
    with ScriptedOrigin() as origin:
        origin.add("/song.m4a", FILE)
        async with hlsdl.AssetDownloadSession(delegate=delegate) as session:
            task = session.make_download_task(origin.url("/song.m4a"), tmp_path)
            assert task.state == "suspended"
            task.resume()
            path = await task
            assert task.progress == hlsdl.TaskProgress(
                completed_bytes=SIZE,
                total_bytes=SIZE,
                total_is_estimate=False,
                fraction=1.0,
                rate=task.progress.rate,
                eta=0.0 if task.progress.rate else None,
            )
    assert path == tmp_path / "song.m4a"
    assert path.read_bytes() == FILE
    writes = delegate.of("did_write_data")
    assert sum(new for new, _, _ in writes) == writes[-1][1] == writes[-1][2] == SIZE
    assert delegate.names()[-3:-1] == ["did_finish_downloading_to", "did_complete"]
    assert [one.name for one in tmp_path.iterdir()] == ["song.m4a"]


@pytest.mark.parametrize(("status", "code"), [(401, -1013), (403, -1102), (404, -1100), (410, -1100)])
async def test_refusals_have_apples_code_and_the_true_status(tmp_path: Path, status: int, code: int) -> None:
    with ScriptedOrigin() as origin:
        origin.always("/song.m4a", Status(status))
        async with hlsdl.AssetDownloadSession() as session:
            task = session.make_download_task(origin.url("/song.m4a"), tmp_path)
            task.resume()
            with pytest.raises(hlsdl.FileRefused) as caught:
                await task
    assert (caught.value.url_error_code, caught.value.http_status) == (code, status)
    assert not list(tmp_path.iterdir())


async def test_a_server_in_trouble_has_apples_code_too(tmp_path: Path) -> None:
    configuration = hlsdl.SessionConfiguration.default()
    configuration.transfer = hlsdl.TransferOptions(retries=0)
    with ScriptedOrigin() as origin:
        origin.always("/song.m4a", Status(500))
        async with hlsdl.AssetDownloadSession(configuration) as session:
            task = session.make_download_task(origin.url("/song.m4a"), tmp_path)
            task.resume()
            with pytest.raises(hlsdl.NetworkError) as caught:
                await task
    assert (caught.value.url_error_code, caught.value.http_status, caught.value.code) == (-1100, 500, 3)


@pytest.mark.parametrize("url", ["file:///etc/passwd", "ftp://films.test/a", "films"])
async def test_only_http_files_can_be_fetched(url: str, tmp_path: Path) -> None:
    async with hlsdl.AssetDownloadSession() as session:
        with pytest.raises(hlsdl.UsageError):
            session.make_download_task(url, tmp_path)


async def test_a_task_needs_a_url_or_resume_data(tmp_path: Path) -> None:
    async with hlsdl.AssetDownloadSession() as session:
        with pytest.raises(hlsdl.UsageError):
            session.make_download_task()
        with pytest.raises(hlsdl.UsageError):
            session.make_download_task("https://films.test/a", tmp_path, resume_data=b"{}")


async def test_a_name_in_a_url_cannot_leave_the_folder(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    with ScriptedOrigin() as origin:
        origin.add("/..%2F..%2Fout.txt", b"bytes")
        async with hlsdl.AssetDownloadSession() as session:
            task = session.make_download_task(origin.url("/..%2F..%2Fout.txt"), folder)
            task.resume()
            path = await task
    assert path.parent == folder
    assert [one.parent for one in tmp_path.rglob("*") if one.is_file()] == [folder]


async def test_an_empty_file_is_a_file(tmp_path: Path) -> None:
    with ScriptedOrigin() as origin:
        origin.add("/empty", b"")
        async with hlsdl.AssetDownloadSession() as session:
            task = session.make_download_task(origin.url("/empty"), tmp_path)
            task.resume()
            assert (await task).read_bytes() == b""


async def test_a_text_that_ends_like_a_folder_is_one(tmp_path: Path) -> None:
    with ScriptedOrigin() as origin:
        origin.add("/song.m4a", b"sound")
        async with hlsdl.AssetDownloadSession() as session:
            task = session.make_download_task(origin.url("/song.m4a"), f"{tmp_path}/music/")
            task.resume()
            assert await task == tmp_path / "music" / "song.m4a"


async def test_two_tasks_do_not_mix_one_file(tmp_path: Path) -> None:
    """The second is refused while the first writes, and what the first says is there is what it fetched."""
    gate = threading.Event()
    with ScriptedOrigin() as origin:
        origin.add("/a.bin", FILE)
        origin.add("/b.bin", OTHER)
        origin.always("/a.bin", Hold(gate, after=SIZE // 2))
        async with asyncio.timeout(20), hlsdl.AssetDownloadSession() as session:
            first, second = (session.make_download_task(origin.url(f"/{n}.bin"), tmp_path / "same") for n in "ab")
            first.resume()
            while not (tmp_path / "same.part").exists():
                await asyncio.sleep(0.01)
            second.resume()
            with pytest.raises(hlsdl.LockedError) as caught:
                await second
            assert caught.value.resume_data is None, "it had an answer, and no byte of it is in the `.part`"
            gate.set()
            assert (await first).read_bytes() == FILE


async def half_of(session: hlsdl.AssetDownloadSession, task: hlsdl.DownloadTask) -> None:
    """Run a task until a part of its file is there, and suspend it."""
    task.resume()
    await until(lambda: task.progress.completed_bytes >= SIZE // 4)
    task.suspend()
    await until(lambda: not session._runners._running)


async def test_what_another_task_left_at_the_same_place_is_not_gone_on_with(tmp_path: Path) -> None:
    with ScriptedOrigin() as origin:
        for name, body in (("a", FILE), ("b", OTHER)):
            origin.add(f"/{name}.bin", body)
            origin.script(f"/{name}.bin", Stall(SIZE // 2))
        async with asyncio.timeout(30), hlsdl.AssetDownloadSession() as session:
            first, second = (session.make_download_task(origin.url(f"/{n}.bin"), tmp_path / "same") for n in "ab")
            await half_of(session, first)
            await half_of(session, second)
            assert (tmp_path / "same.part").read_bytes()[:100] == OTHER[:100]
            first.resume()
            assert (await first).read_bytes() == FILE
        assert [request.headers.get("range") for request in origin.requests if request.path == "/a.bin"] == [None, None]


async def test_resume_data_are_not_made_of_what_another_task_left(tmp_path: Path) -> None:
    with ScriptedOrigin() as origin:
        for name, body in (("a", FILE), ("b", OTHER)):
            origin.add(f"/{name}.bin", body)
            origin.script(f"/{name}.bin", Stall(SIZE // 2))
        async with asyncio.timeout(30), hlsdl.AssetDownloadSession() as session:
            first, second = (session.make_download_task(origin.url(f"/{n}.bin"), tmp_path / "same") for n in "ab")
            for one in (first, second):
                await half_of(session, one)
            assert await first.cancel_by_producing_resume_data() is None
            assert await second.cancel_by_producing_resume_data() is not None


async def test_a_file_is_not_gone_on_with_at_another_place_that_a_redirect_leads_to(tmp_path: Path) -> None:
    """The same ETag there says nothing: it tells versions of one resource apart (RFC 9110 §8.8)."""
    with ScriptedOrigin() as origin:
        origin.add("/a/v.bin", FILE, etag='"1"')
        origin.add("/b/v.bin", OTHER, etag='"1"')
        origin.script("/a/v.bin", Stall(SIZE // 2))
        origin.always("/v.bin", Redirect("/b/v.bin"))
        origin.script("/v.bin", Redirect("/a/v.bin"))
        async with asyncio.timeout(30), hlsdl.AssetDownloadSession() as session:
            task = session.make_download_task(origin.url("/v.bin"), tmp_path)
            await half_of(session, task)
            task.resume()
            assert (await task).read_bytes() == OTHER


async def test_an_error_is_not_its_own_cause(tmp_path: Path) -> None:
    with ScriptedOrigin() as origin:
        origin.add("/a.bin", b"")
        origin.always("/a.bin", Raw(b"no HTTP"))
        configuration = hlsdl.SessionConfiguration(transfer=hlsdl.TransferOptions(retries=0))
        async with asyncio.timeout(30), hlsdl.AssetDownloadSession(configuration=configuration) as session:
            task = session.make_download_task(origin.url("/a.bin"), tmp_path)
            task.resume()
            with pytest.raises(hlsdl.NetworkError) as caught:
                await task
    assert caught.value.__cause__ is not caught.value


async def test_what_is_no_file_is_not_replaced_by_one(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with ScriptedOrigin() as origin:
        origin.add("/a.bin", b"text")
        async with asyncio.timeout(20), hlsdl.AssetDownloadSession() as session:
            task = session.make_download_task(origin.url("/a.bin"), tmp_path / "pipe")
            task.resume()
            with pytest.raises(hlsdl.PolicyError, match="no regular file"):
                await task
    assert [one.name for one in tmp_path.iterdir()] == ["pipe"]
    assert (tmp_path / "pipe").is_fifo()


@pytest.mark.parametrize("destination", ["a\0b", "n" * 300])
async def test_a_destination_that_cannot_be_is_refused_when_the_task_is_made(tmp_path: Path, destination: str) -> None:
    async with hlsdl.AssetDownloadSession() as session:
        with pytest.raises((hlsdl.UsageError, hlsdl.DiskError)):
            session.make_download_task("https://films.test/a", tmp_path / destination)
        assert await session.tasks() == []


@pytest.mark.parametrize("url", ["http://[::1", "https://a b/", "http://", "ftp://films.test/a", "", "a.bin"])
async def test_an_address_that_cannot_be_is_refused_when_the_task_is_made(tmp_path: Path, url: str) -> None:
    async with hlsdl.AssetDownloadSession() as session:
        with pytest.raises((hlsdl.UsageError, hlsdl.PolicyError)):
            session.make_download_task(url, tmp_path)
        assert await session.tasks() == []
