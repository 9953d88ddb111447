"""One file, its segments byte ranges of it: two versions of the file are never mixed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import hlsdl as library
from hlsdl.bundle.writing import BundleWriter
from hlsdl.errors import HttpError, IntegrityError
from hlsdl.testing import Answer, Request, ScriptedOrigin, Status
from hlsdl.transfer.sink import Validator

PART, PARTS = 3760, 12


NAMELESS = {"etag": None, "last_modified": None}


def film(mark: bytes) -> bytes:
    return b"".join(b"\x47" + n.to_bytes(2, "big") + mark * 185 for n in range(PART * PARTS // 188))


def serve(origin: ScriptedOrigin) -> str:
    ranges = [f"#EXTINF:4,\n#EXT-X-BYTERANGE:{PART}@{PART * n}\nall.ts" for n in range(PARTS)]
    origin.add("/all.ts", film(b"A"), etag='"v0"')
    text = "\n".join(["#EXTM3U", "#EXT-X-TARGETDURATION:4", *ranges, "#EXT-X-ENDLIST", ""])
    return origin.add("/v.m3u8", text.encode())


def stored(bundle: Path) -> bytes:
    return b"".join(path.read_bytes() for path in sorted(bundle.glob("0-*/*.ts")))


class Fails:
    """The second half is not to be had; parts that are asked for together are refused, so that they come one by one."""

    def apply(self, request: Request, answer: Answer) -> Answer:
        first, _, last = request.headers.get("range", "bytes=0-0").removeprefix("bytes=").partition("-")
        is_joint = int(last) - int(first) + 1 > PART
        return Status(404).apply(request, answer) if is_joint or int(first) >= PART * PARTS // 2 else answer


async def half(origin: ScriptedOrigin, url: str, bundle: Path) -> None:
    origin.always("/all.ts", Fails())
    with pytest.raises(HttpError):
        await library.fetch(url, output=bundle, connections=1)
    assert stored(bundle) == film(b"A")[: PART * PARTS // 2]
    origin.always("/all.ts")


@pytest.mark.parametrize(
    "names",
    [
        ({"etag": '"v0"'}, {"etag": '"v1"'}),
        ({"etag": 'W/"v0"'}, {"etag": 'W/"v1"'}),
        ({"etag": '"v0"'}, {"etag": None}),
        ({"etag": None}, {"etag": None, "last_modified": "Sun, 29 Nov 2026 10:00:00 GMT"}),
        ({"etag": '"v0"'}, NAMELESS),
        (NAMELESS, {"etag": None}),
    ],
    ids=["strong", "weak", "no name any more", "a date", "not even a date any more", "a date since"],
)
async def test_a_file_that_was_replaced_between_two_runs_is_not_mixed(tmp_path: Path, names: Any) -> None:
    before, after = names
    with ScriptedOrigin() as origin:
        url = serve(origin)
        origin.add("/all.ts", film(b"A"), **before)
        await half(origin, url, tmp_path / "f.movpkg")
        origin.add("/all.ts", film(b"B"), **after)
        for _ in range(2):
            with pytest.raises(IntegrityError, match="changed"):
                await library.fetch(url, output=tmp_path / "f.movpkg", connections=1)
            assert stored(tmp_path / "f.movpkg") == film(b"A")[: PART * PARTS // 2]
        origin.add("/all.ts", film(b"A"), **before)
        await library.fetch(url, output=tmp_path / "f.movpkg", connections=1)
    assert stored(tmp_path / "f.movpkg") == film(b"A")


@pytest.mark.parametrize("dated", [None, "Sun, 29 Nov 2026 10:00:00 GMT"])
async def test_another_length_alone_tells_that_the_file_was_replaced(tmp_path: Path, dated: str | None) -> None:
    bundle, names = tmp_path / "f.movpkg", {"etag": None, "last_modified": dated}
    with ScriptedOrigin() as origin:
        url = serve(origin)
        origin.add("/all.ts", film(b"A"), **names)
        await half(origin, url, bundle)
        origin.add("/all.ts", film(b"B") + bytes(188), **names)
        with pytest.raises(IntegrityError, match="changed"):
            await library.fetch(url, output=bundle, connections=1)
        assert stored(bundle) == film(b"A")[: PART * PARTS // 2]
        origin.add("/all.ts", film(b"A"), **names)
        await library.fetch(url, output=bundle, connections=1)
    assert stored(bundle) == film(b"A")


async def test_a_run_that_was_killed_before_it_could_compare_is_not_sealed(tmp_path: Path) -> None:
    """Every part is there, the second half of them of another file: nothing is missing, and all the same it is asked."""
    bundle = tmp_path / "f.movpkg"
    with ScriptedOrigin() as origin:
        url = serve(origin)
        await half(origin, url, bundle)
        folder = next(bundle.glob("0-*")).name
        with BundleWriter.open(bundle) as writer:
            for number in range(PARTS // 2, PARTS):
                part = film(b"B")[PART * number : PART * (number + 1)]
                writer.put(f"{folder}/{number:09}.ts", part, validator=Validator(etag='"v1"', strong=True))
        origin.add("/all.ts", film(b"B"), etag='"v1"')
        with pytest.raises(IntegrityError, match="changed"):
            await library.fetch(url, output=bundle, connections=1)
    assert stored(bundle) == film(b"A")[: PART * PARTS // 2]


async def test_another_name_for_the_same_bytes_is_no_other_version(tmp_path: Path) -> None:
    """Servers behind one address may each have an ETag of their own: two parts are compared, and work goes on."""
    with ScriptedOrigin() as origin:
        url = serve(origin)
        await half(origin, url, tmp_path / "f.movpkg")
        origin.add("/all.ts", film(b"A"), etag='"other"')
        before = origin.count("/all.ts")
        await library.fetch(url, output=tmp_path / "f.movpkg", connections=1)
        assert origin.count("/all.ts") - before <= PARTS // 2 + 2
    assert stored(tmp_path / "f.movpkg") == film(b"A")


async def test_a_file_that_is_replaced_while_its_parts_come_is_not_mixed(tmp_path: Path) -> None:
    class Replaced:
        """The file of after the fourth answer."""

        def __init__(self) -> None:
            self.answers = 0

        def apply(self, request: Request, answer: Answer) -> Answer:
            first, _, last = request.headers.get("range", "bytes=0-0").removeprefix("bytes=").partition("-")
            if int(last) - int(first) + 1 > PART:
                return Status(404).apply(request, answer)
            self.answers += 1
            if self.answers <= 4:
                return answer
            fields = tuple((name, '"v1"' if name.lower() == "etag" else value) for name, value in answer.headers)
            return replace(answer, headers=fields, body=film(b"B")[int(first) : int(last) + 1])

    with ScriptedOrigin() as origin:
        url = serve(origin)
        origin.always("/all.ts", Replaced())
        with pytest.raises(IntegrityError, match="changed"):
            await library.fetch(url, output=tmp_path / "f.movpkg", connections=1)
    assert stored(tmp_path / "f.movpkg") == film(b"A")[: PART * 4]
