"""What a program gets from hlsdl may be logged: no `repr` of it shows a token, a cookie, a header or a key."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

import hlsdl
from hlsdl.session.begun import Begun
from hlsdl.session.download import download
from hlsdl.session.events import ignore
from hlsdl.session.sources import parse_source
from hlsdl.testing import ScriptedOrigin, Status

SECRET = "s3cr3t"
KEY = SECRET.encode() + b"-key-bytes"
MASTER = f"""#EXTM3U
#EXT-X-DEFINE:NAME="token",VALUE="{SECRET}"
#EXT-X-CONTENT-STEERING:SERVER-URI="steer?token={SECRET}"
#EXT-X-SESSION-DATA:DATA-ID="chapters",URI="chapters.json?token={SECRET}"
#EXT-X-SESSION-KEY:METHOD=AES-128,URI="key?token={SECRET}"
#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="a",NAME="English",LANGUAGE="en",DEFAULT=YES,URI="audio.m3u8?token={SECRET}"
#EXT-X-STREAM-INF:BANDWIDTH=800000,CODECS="avc1.64001e,mp4a.40.2",RESOLUTION=640x360,AUDIO="a"
video.m3u8?token={{$token}}
#EXT-X-STREAM-INF:BANDWIDTH=400000,CODECS="avc1.64001e,mp4a.40.2",RESOLUTION=320x180,AUDIO="a"
small.m3u8?token={SECRET}
#EXT-X-I-FRAME-STREAM-INF:BANDWIDTH=90000,CODECS="avc1.64001e",RESOLUTION=640x360,URI="frames.m3u8?token={SECRET}"
"""
MEDIA = f"""#EXTM3U
#EXT-X-TARGETDURATION:4
#EXT-X-DATERANGE:ID="ad",START-DATE="2026-01-01T00:00:00Z",X-ASSET-URI="ad.m3u8?token={SECRET}"
#EXT-X-KEY:METHOD=AES-128,URI="key?token={SECRET}"
#EXTINF:4,
{{name}}.ts?token={SECRET}
#EXT-X-ENDLIST
"""
HEADERS = {"Authorization": f"Bearer {SECRET}"}


def publish(origin: ScriptedOrigin, folder: Path) -> str:
    """An encrypted film, every URL of which has a token, at the origin and as files; returns its URL."""
    (folder / "key").write_bytes(KEY)
    documents = {"master.m3u8": MASTER, "chapters.json": "[]"}
    documents |= {f"{name}.m3u8": MEDIA.format(name=name) for name in ("video", "audio", "small")}
    for name, text in documents.items():
        (folder / name).write_text(text)
    for name in ("video", "audio", "small"):
        (folder / f"{name}.ts").write_bytes(bytes(1600))
    origin.add_folder(folder)
    return origin.url(f"/master.m3u8?token={SECRET}")


def reachable(value: object, seen: set[int] | None = None) -> Iterator[object]:
    """`value` and everything of hlsdl's that its public attributes and elements lead to."""
    seen = set() if seen is None else seen
    if isinstance(value, str | bytes | Path) or id(value) in seen:
        return
    seen.add(id(value))
    inner: Iterable[object] = ()
    if type(value).__module__.partition(".")[0] == "hlsdl":
        yield value
        # What is not there yet, or no more, says so.
        names = (name for name in dir(value) if not name.startswith("_") and not name.startswith("model_"))
        inner = [found for name in names if not callable(found := _attribute(value, name))]
    elif isinstance(value, Mapping):
        inner = value.values()
    elif isinstance(value, tuple | list | frozenset | set):
        inner = value
    for one in inner:
        yield from reachable(one, seen)


def _attribute(value: object, name: str) -> object:
    try:
        return getattr(value, name)
    except hlsdl.HlsdlError as error:
        return error


def assert_silent(*values: object) -> int:
    """No value that these lead to shows a secret; returns how many there are."""
    found = [one for value in values for one in reachable(value)]
    shown = {type(one).__name__: text for one in found for text in (repr(one), str(one)) if SECRET in text}
    assert not shown
    return len(found)


@pytest.fixture
def url(tmp_path: Path) -> Iterator[str]:
    (tmp_path / "film").mkdir()
    with ScriptedOrigin() as origin:
        origin.always("/gone.ts", Status(404))
        yield publish(origin, tmp_path / "film")


async def test_what_the_front_door_gives_shows_no_secret(url: str, tmp_path: Path) -> None:
    inspected = await hlsdl.inspect(url, headers=HEADERS, cookies=cookies(tmp_path))
    assert assert_silent(inspected) > 20
    assert assert_silent(await hlsdl.plan(url, headers=HEADERS)) > 20
    events: list[object] = []
    bundle = await hlsdl.fetch(url, headers=HEADERS, output=tmp_path / "a.movpkg", emit=events.append)
    assert assert_silent(bundle, bundle.cache, bundle.verify(), hlsdl.open(bundle.path), events) > 10
    assert bundle.read(bundle.manifest.keys[0].path) == KEY


async def test_what_was_fetched_from_a_file_shows_no_base_url(url: str, tmp_path: Path) -> None:
    master, output = tmp_path / "film" / "master.m3u8", tmp_path / "a.movpkg"
    bundle = await hlsdl.fetch(str(master), base_url=url, output=output)
    assert SECRET in str(bundle.manifest.choices)
    assert_silent(bundle, await hlsdl.plan(str(master), base_url=url))


async def test_options_show_no_secret(url: str, tmp_path: Path) -> None:
    transfer = hlsdl.TransferOptions(
        headers=tuple(HEADERS.items()),
        referer=url,
        proxy=f"http://user:{SECRET}@127.0.0.1:1",
        cookies_file=cookies(tmp_path),
    )
    configuration = hlsdl.SessionConfiguration(
        transfer=transfer, http_additional_headers=HEADERS, connection_proxy=transfer.proxy
    )
    options = hlsdl.FetchOptions(transfer=transfer, base_url=url, artwork=SECRET.encode())
    credential = hlsdl.Credential(user=SECRET, password=SECRET, token=SECRET)
    assert_silent(options, configuration, credential, hlsdl.KeyRequest(uri=url))


async def test_tasks_and_what_they_tell_show_no_secret(url: str, tmp_path: Path) -> None:
    asset = await hlsdl.Asset(url, headers=HEADERS, cookies={"sid": SECRET}).load()
    configuration = hlsdl.DownloadConfiguration(asset=asset, destination=tmp_path)
    told: list[object] = []
    async with hlsdl.AssetDownloadSession(delegate=Listener(told.append)) as session:
        tasks: list[Any] = [session.make_asset_download_task(configuration)]
        tasks.append(session.make_download_task(url, tmp_path / "file"))
        tasks.append(session.make_download_task(url.replace("master.m3u8", "gone.ts"), tmp_path / "gone"))
        for task in tasks:
            task.credential = hlsdl.Credential(token=SECRET)
            task.resume()
        bundle = await tasks[0]
        await tasks[1]
        with pytest.raises(hlsdl.HttpError) as refused:
            await tasks[2]
    assert len(told) > 5
    assert_silent(session, asset, configuration, tasks, bundle, refused.value, told)


async def test_values_of_a_task_that_is_under_way_show_no_secret(url: str, tmp_path: Path) -> None:
    begun: list[Begun] = []
    options = hlsdl.FetchOptions(output=tmp_path / "a.movpkg")
    done = await download(parse_source(url), options, ignore, watch=begun.append)
    assert assert_silent(begun, done) > 20


async def test_the_library_shows_no_secret(url: str, tmp_path: Path) -> None:
    bundle = await hlsdl.fetch(url, output=tmp_path / "a.movpkg")
    library = hlsdl.StorageManager(tmp_path / "data")
    library.set_policy(bundle.path, hlsdl.StorageManagementPolicy())
    bundles = library.bundles()
    assert [one.source for one in bundles] == [url]
    assert_silent(library, bundles, library.collect(free=1 << 60, dry_run=True))


class Listener:
    """A delegate that hands on whatever it is given."""

    def __init__(self, hear: Callable[[object], None]) -> None:
        self._hear = hear

    def __getattr__(self, name: str) -> Callable[..., None]:
        if not name.startswith(("will", "did", "is")):
            raise AttributeError(name)

        def listen(*values: object) -> None:
            self._hear(values)

        return listen


def cookies(folder: Path) -> Path:
    """A cookie file."""
    path = folder / "cookies.txt"
    path.write_text(f"127.0.0.1\tFALSE\t/\tFALSE\t0\tsid\t{SECRET}\n")
    return path
