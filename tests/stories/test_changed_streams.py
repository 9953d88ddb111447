"""Streams that changed between two runs, or in the middle of one: two encodes are never mixed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from commands import hlsdl
from faults import playlist as listing
from moving import SEGMENTS, TRUTH, body, interrupted, playlist, serve, stored

import hlsdl as library
from hlsdl.errors import IntegrityError
from hlsdl.testing import Answer, Request, ScriptedOrigin, Status


def test_a_stream_that_changed_between_two_runs_is_never_mixed(tmp_path: Path) -> None:
    bundle = tmp_path / "b.movpkg"
    with ScriptedOrigin() as origin:
        url = serve(origin)
        before = interrupted(url, origin, bundle)
        origin.add("/v/index.m3u8", playlist(duration="3.9"))
        for number in range(SEGMENTS):
            origin.add(f"/v/{number}.ts", body(number + 100))
        origin.clear_requests()
        done = hlsdl("fetch", url, "-o", bundle, "--json")
        assert done.code == 8, done.err
        assert "changed" in done.document["message"]
        assert "--force" in done.document["hint"]
        assert not [request for request in origin.requests if request.path.endswith(".ts")]
        assert {path.name for path in bundle.glob("0-*/0*.ts")} == before
        assert hlsdl("fetch", url, "-o", bundle, "--force").code == 0
    assert stored(bundle) == [body(number + 100) for number in range(SEGMENTS)]


def test_another_place_must_prove_that_it_has_the_same_bytes(tmp_path: Path) -> None:
    """Count and durations agree, and still it is another encode."""
    bundle = tmp_path / "b.movpkg"
    with ScriptedOrigin() as origin:
        url = serve(origin)
        interrupted(url, origin, bundle)
        for number in range(SEGMENTS):
            origin.add(f"/v/other/{number}.ts", body(number + 100))
        origin.add("/v/index.m3u8", playlist().replace(b",\n", b",\nother/"))
        done = hlsdl("fetch", url, "-o", bundle, "--json")
        assert done.code == 8, done.err
        assert "other bytes" in done.document["message"]


def test_another_place_with_the_same_bytes_is_followed(tmp_path: Path) -> None:
    bundle = tmp_path / "b.movpkg"
    with ScriptedOrigin() as origin:
        url = serve(origin)
        interrupted(url, origin, bundle)
        for number in range(SEGMENTS):
            origin.add(f"/v/moved/{number}.ts", body(number))
            origin.remove(f"/v/{number}.ts")
        origin.add("/v/index.m3u8", playlist().replace(b",\n", b",\nmoved/"))
        assert hlsdl("fetch", url, "-o", bundle).code == 0
    assert stored(bundle) == TRUTH


async def test_a_change_in_the_middle_of_a_download_stops_it(tmp_path: Path) -> None:
    with ScriptedOrigin() as origin:
        url = serve(origin)

        class Replaced:
            served = 0

            def apply(self, request: Request, answer: Answer) -> Answer:
                if request.path.endswith(".ts"):
                    self.served += 1
                    if self.served == 6:
                        origin.add("/v/index.m3u8", playlist(segments=SEGMENTS - 1))
                    if self.served >= 6:
                        return Status(404).apply(request, answer)
                return answer

        origin.always("*", Replaced())
        with pytest.raises(IntegrityError, match="changed"):
            await library.fetch(url, output=tmp_path, connections=1, retries=1)


@pytest.mark.parametrize(("key", "is_same"), [(bytes(range(16)), True), (bytes(16), False)], ids=["same", "other"])
def test_a_key_at_another_place_must_be_the_same_key(tmp_path: Path, key: bytes, is_same: bool) -> None:
    """Segments encrypted anew keep their URLs; only where their key is tells that something has changed."""

    def encrypted(name: str) -> bytes:
        return playlist().replace(b"#EXTINF", f'#EXT-X-KEY:METHOD=AES-128,URI="{name}"\n#EXTINF'.encode(), 1)

    bundle = tmp_path / "b.movpkg"
    with ScriptedOrigin() as origin:
        url = serve(origin, encrypted("a.key"))
        for number in range(SEGMENTS):
            origin.add(f"/v/{number}.ts", body(number)[:1600])
        origin.add("/v/a.key", bytes(range(16)))
        origin.always(f"/v/{SEGMENTS - 1}.ts", Status(404))
        assert hlsdl("fetch", url, "-o", bundle, "-N", "1").code == 4
        origin.clear_requests()
        origin.always(f"/v/{SEGMENTS - 1}.ts")
        origin.add("/v/index.m3u8", encrypted("b.key"))
        origin.add("/v/b.key", key)
        if not is_same:  # encrypted with it, and served under the same names
            for number in range(SEGMENTS):
                origin.add(f"/v/{number}.ts", bytes(1600))
        done = hlsdl("fetch", url, "-o", bundle)
        assert done.code == (0 if is_same else 8)
        # One segment under the key speaks for it.
        assert origin.count("/v/b.key") == 0
        assert sum(origin.count(f"/v/{number}.ts") for number in range(SEGMENTS - 1)) == 1
    assert is_same or "has changed since its download began" in done.err


@pytest.mark.parametrize(
    ("now", "code", "told"),
    [
        (bytes(range(16)), 0, ""),
        (bytes(16), 8, "has changed since its download began"),
        (None, 0, "cannot be compared"),
    ],
    ids=["same", "other", "refused"],
)
def test_a_key_for_what_is_still_to_come_is_compared_itself(
    tmp_path: Path, now: bytes | None, code: int, told: str
) -> None:
    """No finished segment speaks for it; where it is given no more, what is stored counts."""

    def encrypted(name: str) -> bytes:
        text = playlist().replace(b"#EXTINF", b'#EXT-X-KEY:METHOD=AES-128,URI="k.key"\n#EXTINF', 1)
        line = f'#EXT-X-KEY:METHOD=AES-128,URI="{name}"\n#EXTINF:4,\n{SEGMENTS - 1}.ts'
        return text.replace(f"#EXTINF:4,\n{SEGMENTS - 1}.ts".encode(), line.encode())

    bundle = tmp_path / "b.movpkg"
    with ScriptedOrigin() as origin:
        url = serve(origin, encrypted("a.key"))
        for number in range(SEGMENTS):
            origin.add(f"/v/{number}.ts", body(number)[:1600])
        for name in "ka":
            origin.add(f"/v/{name}.key", bytes(range(16)))
        origin.always(f"/v/{SEGMENTS - 1}.ts", Status(404))
        assert hlsdl("fetch", url, "-o", bundle, "-N", "1").code == 4
        origin.clear_requests()
        origin.always(f"/v/{SEGMENTS - 1}.ts")
        origin.add("/v/index.m3u8", encrypted("b.key"))
        if now is not None:
            origin.add("/v/b.key", now)
        done = hlsdl("fetch", url, "-o", bundle)
        assert (done.code, origin.count("/v/b.key")) == (code, 1)
    assert told in done.err


@pytest.mark.parametrize("is_same", [True, False], ids=["a token", "another key"])
def test_the_query_of_a_key_may_say_which_key_it_is(is_same: bool, tmp_path: Path) -> None:
    """It is asked for under the new one, and compared; no finished segment is asked for again."""

    def encrypted(number: int) -> bytes:
        text = playlist().replace(b"#EXTINF", f'#EXT-X-KEY:METHOD=AES-128,URI="k?id={number}"\n#EXTINF'.encode(), 1)
        return text.replace(b".ts", f".ts?t={number}".encode())

    bundle = tmp_path / "b.movpkg"
    with ScriptedOrigin() as origin:
        url = serve(origin, encrypted(1))
        for number in range(SEGMENTS):
            origin.add(f"/v/{number}.ts", body(number)[:1600])
        origin.add("/v/k", bytes(range(16)))
        origin.always(f"/v/{SEGMENTS - 1}.ts", Status(404))
        assert hlsdl("fetch", url, "-o", bundle, "-N", "1").code == 4
        origin.clear_requests()
        origin.always(f"/v/{SEGMENTS - 1}.ts")
        origin.add("/v/index.m3u8", encrypted(2))
        if not is_same:
            origin.add("/v/k", bytes(16))
        done = hlsdl("fetch", url, "-o", bundle)
        assert done.code == (0 if is_same else 8), done.err
        assert [one.target for one in origin.requests if one.path == "/v/k"] == ["/v/k?id=2"]
        assert sum(origin.count(f"/v/{number}.ts") for number in range(SEGMENTS - 1)) == 0


def test_another_key_in_the_playlist_itself_is_another_stream(tmp_path: Path) -> None:
    def encrypted(key: str) -> bytes:
        line = f'#EXT-X-KEY:METHOD=AES-128,URI="data:;base64,{key}"\n#EXTINF'
        return playlist().replace(b"#EXTINF", line.encode(), 1)

    bundle = tmp_path / "b.movpkg"
    with ScriptedOrigin() as origin:
        url = serve(origin, encrypted("AAECAwQFBgcICQoLDA0ODw=="))
        for number in range(SEGMENTS):
            origin.add(f"/v/{number}.ts", body(number)[:1600])
        origin.always(f"/v/{SEGMENTS - 1}.ts", Status(404))
        assert hlsdl("fetch", url, "-o", bundle, "-N", "1").code == 4
        origin.add("/v/index.m3u8", encrypted("AAAAAAAAAAAAAAAAAAAAAA=="))
        assert hlsdl("fetch", url, "-o", bundle).code == 8


def flipped(bundle: Path, name: str) -> None:
    """Turn one bit of a stored playlist, whose size stays."""
    (file,) = bundle.rglob(name)
    data = bytearray(file.read_bytes())
    data[-2] ^= 1
    file.write_bytes(data)


@pytest.mark.parametrize("name", ["source.m3u8", "master.m3u8"])
def test_a_playlist_that_was_damaged_is_replaced_when_the_stream_is_proven_to_be_the_same(
    tmp_path: Path, name: str
) -> None:
    bundle = tmp_path / "a.movpkg"
    with ScriptedOrigin() as origin:
        url = serve(origin)
        origin.add("/m.m3u8", f"#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=9\n{url}\n".encode())
        origin.always("/v/9.ts", Status(404))
        assert hlsdl("fetch", origin.url("/m.m3u8"), "-o", bundle, "-N", "1").code == 4
        flipped(bundle, name)
        origin.always("/v/9.ts")
        assert hlsdl("fetch", origin.url("/m.m3u8"), "-o", bundle).code == 0
    assert hlsdl("verify", bundle).code == 0
    assert stored(bundle) == TRUTH


def test_a_stream_is_known_again_by_its_place_when_the_playlist_that_had_its_token_is_damaged(tmp_path: Path) -> None:
    bundle = tmp_path / "a.movpkg"
    with ScriptedOrigin() as origin:
        url = serve(origin)

        class AnotherTokenEachTime:
            asked = 0

            def apply(self, _request: Request, answer: Answer) -> Answer:
                self.asked += 1
                text = f"#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=9\n{url}?token={self.asked}\n"
                return replace(answer, body=text.encode())

        origin.add("/m.m3u8", b"")
        origin.always("/m.m3u8", AnotherTokenEachTime())
        origin.always("/v/9.ts", Status(404))
        assert hlsdl("fetch", origin.url("/m.m3u8"), "-o", bundle, "-N", "1").code == 4
        flipped(bundle, "master.m3u8")
        origin.always("/v/9.ts")
        origin.clear_requests()
        assert hlsdl("fetch", origin.url("/m.m3u8"), "-o", bundle).code == 0
        asked = [request.path for request in origin.requests if request.path.endswith(".ts")]
    assert hlsdl("verify", bundle).code == 0
    assert stored(bundle) == TRUTH
    assert len(set(asked)) < len(TRUTH), "what was stored is asked for again"


@pytest.mark.parametrize("change", ["bytes", "length"])
def test_a_damaged_playlist_lets_no_other_stream_in(tmp_path: Path, change: str) -> None:
    """Nothing says any more what was to come, but what has come can be compared, and the bundle says how long it is."""
    bundle = tmp_path / "a.movpkg"
    with ScriptedOrigin() as origin:
        url = serve(origin)
        origin.always("/v/9.ts", Status(404))
        assert hlsdl("fetch", url, "-o", bundle, "-N", "1").code == 4
        before = {path: path.read_bytes() for path in bundle.rglob("*.ts")}
        flipped(bundle, "source.m3u8")
        origin.always("/v/9.ts")
        for number in range(SEGMENTS):
            if change == "bytes":
                origin.add(f"/v/{number}.ts", body(number)[:-1] + b"x")
        if change == "length":
            origin.add("/v/index.m3u8", playlist(duration="5"))
        done = hlsdl("fetch", url, "-o", bundle)
    assert (done.code, "has changed since its download began" in done.err) == (8, True)
    assert {path: path.read_bytes() for path in bundle.rglob("*.ts")} == before


def ladder(origin: ScriptedOrigin, *variants: str, token: int | None = None) -> str:
    """A master of pictures of growing size, with English and French; each stream has three segments."""
    query = "" if token is None else f"?token={token}"
    lines = [
        f'#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="a",NAME="{one}",LANGUAGE="{one}",DEFAULT={yes},URI="{one}.m3u8{query}"'
        for one, yes in (("en", "YES"), ("fr", "NO"))
    ]
    for size in variants:
        shape = f'BANDWIDTH={size}000,RESOLUTION={size}x{size},AUDIO="a"'
        lines.append(f"#EXT-X-STREAM-INF:{shape}\n{size}.m3u8{query}")
    for name in (*variants, "en", "fr"):
        origin.add(f"/{name}.m3u8", listing(f"{name}-{number}.ts" for number in range(3)))
        for number in range(3):
            origin.add(f"/{name}-{number}.ts", body(number) + b"G" + name.encode().ljust(187))
    origin.add("/m.m3u8", ("#EXTM3U\n" + "\n".join(lines) + "\n").encode())
    return origin.url("/m.m3u8")


def pictures(bundle: Path) -> list[int]:
    return [one.resolution[0] for one in library.open(bundle).streams if one.resolution is not None]


@pytest.mark.parametrize("how", ["lost", "damaged"])
@pytest.mark.parametrize("now", [("200",), ("200", "400", "600")], ids=["gone", "a better one"])
@pytest.mark.parametrize("command", ["repair", "add"])
def test_no_stored_stream_makes_room_for_another_when_the_playlist_that_led_to_it_is_gone(
    tmp_path: Path, command: str, now: tuple[str, ...], how: str
) -> None:
    bundle = tmp_path / "a.movpkg"
    with ScriptedOrigin() as origin:
        url = ladder(origin, "200", "400")
        assert hlsdl("fetch", url, "-o", bundle).code == 0
        assert pictures(bundle) == [400]
        if how == "lost":
            (bundle / "Data/master.m3u8").unlink()
        else:
            flipped(bundle, "master.m3u8")
        before = {path: path.read_bytes() for path in bundle.rglob("*.ts")}
        ladder(origin, *now)
        flags = () if command == "repair" else ("--audio", "fr")
        done = hlsdl(command, bundle, *flags, "--json")
        assert (done.code, done.document["hint"]) == (8, "the bundle stays as it is; `hlsdl fetch --force` starts over")
        assert {path: path.read_bytes() for path in bundle.rglob("*.ts")} == before
        assert (pictures(bundle), library.open(bundle).state) == ([400], "complete")
        ladder(origin, "200", "400")
        assert hlsdl(command, bundle, *flags).code == 0
    assert (pictures(bundle), hlsdl("verify", bundle).code) == ([400], 0)


@pytest.mark.parametrize("command", ["drop", "import", "plan", "title", "add", "segment"])
def test_a_bundle_whose_streams_have_other_tokens_since_its_playlist_was_lost_is_one_for_every_command(
    tmp_path: Path, command: str
) -> None:
    bundle = tmp_path / "a.movpkg"
    with ScriptedOrigin() as origin:
        url = ladder(origin, "200", "400", token=1)
        assert hlsdl("fetch", url, "-o", bundle, "--audio", "en").code == 0
        (bundle / "Data/master.m3u8").unlink()
        ladder(origin, "200", "400", token=2)
        assert hlsdl("repair", bundle).code == 0
        origin.clear_requests()
        english = next(one.id for one in library.open(bundle).streams if one.language == "en")
        expected = set()
        match command:
            case "drop":
                assert hlsdl("drop", bundle, english).code == 0
                assert hlsdl("add", bundle, "--audio", "fr").code == 0
                expected = {f"/fr-{number}.ts" for number in range(3)}
                assert "en" not in {one.language for one in library.open(bundle).streams}
            case "import":
                assert hlsdl("import", bundle, "-o", tmp_path / "b.movpkg").code == 0
                assert hlsdl("verify", tmp_path / "b.movpkg").code == 0
            case "plan":
                done = hlsdl("fetch", url, "-o", bundle, "--audio", "en", "--dry-run", "--json")
                assert done.document["stored_segments"] == 6
            case "title":
                assert hlsdl("add", bundle, "--title", "New").code == 0
            case "add":
                assert hlsdl("add", bundle, "--audio", "fr").code == 0
                expected = {f"/fr-{number}.ts" for number in range(3)}
            case "segment":
                min(bundle.glob("0-*/*1.ts")).unlink()
                assert hlsdl("repair", bundle).code == 0
                expected = {"/400-1.ts"}
        assert {one.path for one in origin.requests if one.path.endswith(".ts")} == expected
    assert hlsdl("verify", bundle, "--json").document["findings"] == []
