"""What somebody typed in the wrong place is named for what it is, and its secrets are not repeated."""

from __future__ import annotations

from pathlib import Path

import pytest
from bundle.shelves import sealed

import hlsdl as library
from cli.commands import hlsdl
from hlsdl.errors import UsageError

SECRET = "s3cr3t"
URL = f"https://cdn.invalid/f.m3u8?token={SECRET}"
DATA = f"data:text/plain;base64,{SECRET}"


@pytest.mark.parametrize(
    "line",
    [
        *((command, URL) for command in ("info", "verify", "repair", "rm", "keep", "add", "play", "list")),
        ("rm", "a.movpkg", URL),
        ("drop", URL, "0-A"),
        ("fetch", "-o", URL, "film.m3u8"),
    ],
    ids=" ".join,
)
def test_a_url_where_a_bundle_is_meant_is_called_a_url(line: tuple[str, ...], tmp_path: Path) -> None:
    done = hlsdl(*line, home=tmp_path)
    assert done.code == 2
    assert (
        "a URL was given where a bundle is meant: `https://cdn.invalid/f.m3u8?token=…`\nhint: `hlsdl fetch" in done.err
    )
    assert SECRET not in done.out + done.err


@pytest.mark.parametrize(
    "line",
    [
        *((command, "") for command in ("info", "verify", "repair", "rm", "keep", "add", "play", "list")),
        ("drop", "", "0-A"),
        ("fetch", "-o", "", "film.m3u8"),
    ],
    ids=" ".join,
)
def test_an_empty_path_is_no_bundle_and_above_all_not_the_current_folder(line: tuple[str, ...], tmp_path: Path) -> None:
    """`hlsdl rm "$X"` in a bundle, where X is not set."""
    bundle = sealed(tmp_path / "A.movpkg")
    done = hlsdl(*line, home=bundle)
    assert (done.code, "the path of a bundle is empty" in done.err) == (2, True)
    assert (bundle / "manifest.json").exists()


async def test_programs_that_give_an_empty_path_are_told_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle = sealed(tmp_path / "A.movpkg")
    monkeypatch.chdir(bundle)
    storage = library.StorageManager(tmp_path / "data")
    for give in (library.open, storage.remove, storage.record, storage.use, storage.policy, library.Asset):
        with pytest.raises(UsageError):
            give("")
    with pytest.raises(UsageError):
        storage.set_policy("", library.StorageManagementPolicy())
    for work in (library.drop("", "0-A"), library.add(""), library.fetch(URL, output="")):
        with pytest.raises(UsageError, match="the path of a bundle is empty"):
            await work
    assert (bundle / "manifest.json").exists()


def test_programs_are_told_the_same(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="a URL was given where a bundle is meant") as caught:
        library.open(URL)
    assert SECRET not in str(caught.value)
    with pytest.raises(UsageError) as caught:
        library.StorageManager(tmp_path).set_policy(URL, library.StorageManagementPolicy())
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize(
    "line",
    [
        (URL,),
        ("info", "a.movpkg", URL),
        ("fetch", "a", "--artwork", URL),
        ("fetch", "a", "--config", URL),
        ("fetch", "a", "--cacert", URL),
        ("fetch", "a", "-H", f"@{URL}"),
        ("fetch", "a", "--trust-origin", URL),
        ("fetch", "a", "--progress", URL),
        ("fetch", "a", "--max-bitrate", URL),
        ("drop", "a.movpkg", URL),
        ("fetch", f"cdn.invalid/f.m3u8?token={SECRET}"),
        ("fetch", f"cdn.invalid/f.m3u8?token={SECRET}&next=https://cdn.invalid"),
        ("fetch", f"user:{SECRET}@cdn.invalid/f.m3u8"),
        ("fetch", f"user:{SECRET}@cdn.invalid/f.m3u8", f"cdn.invalid/g.m3u8#{SECRET}"),
        ("rm", "a.movpkg", f"cdn.invalid/f.m3u8?token={SECRET}"),
        *(
            (*command.split(), slip)
            for command in ("info", "rm", "keep", "list", "", "fetch a --artwork", "list --config")
            for slip in (f"cdn.invalid/f.m3u8?token={SECRET}", f"//me:{SECRET}@cdn.invalid/f?token={SECRET}", DATA)
        ),
        ("fetch", URL, "--cookies", f"session={SECRET}"),
        ("fetch", URL, "--cookies", f"session={SECRET}; id={SECRET * 99}"),
    ],
    ids=lambda line: " ".join(line)[:50],
)
def test_a_slip_of_any_kind_repeats_no_secret(line: tuple[str, ...], tmp_path: Path) -> None:
    for flags in ((), ("--json",)):
        done = hlsdl(*line, *flags, home=tmp_path)
        assert done.code == 2
        assert SECRET not in (done.out + done.err).lower()


def test_a_url_without_its_scheme_is_shown_without_its_query(tmp_path: Path) -> None:
    done = hlsdl("fetch", f"cdn.invalid/f.m3u8?token={SECRET}", home=tmp_path)
    assert "there is no playlist file `cdn.invalid/f.m3u8?token=…`" in done.err
    assert "begins with `https://`" in done.err
    assert "`[a] film.m3u8`" in hlsdl("fetch", "[a] film.m3u8", home=tmp_path).err


def test_the_path_of_a_file_is_shown_as_it_was_typed(tmp_path: Path) -> None:
    for command in ("fetch", "info", "list"):
        assert "`films/what? #1.m3u8`" in hlsdl(command, "films/what? #1.m3u8", home=tmp_path).err


@pytest.mark.parametrize(
    "flag",
    ["-H|X-A: \udcff", "--referer|http://x/\udcff", "--user-agent|a\udcff", "--proxy|http://u:\udcff@127.0.0.1:1"],
)
def test_bytes_that_are_no_text_are_refused_where_a_server_would_get_them(flag: str, tmp_path: Path) -> None:
    done = hlsdl("fetch", "http://127.0.0.1:1/f.m3u8", *flag.split("|"), home=tmp_path)
    assert done.code == 2, done.err


def test_a_url_in_place_of_a_command_is_told_how_it_is_fetched(tmp_path: Path) -> None:
    assert "hint: `hlsdl fetch URL`" in hlsdl(URL, home=tmp_path).err


def test_cookies_where_a_file_of_them_is_meant_are_not_repeated(tmp_path: Path) -> None:
    for flags, environment in ((("--cookies", f"id={SECRET}"), {}), ((), {"HLSDL_COOKIES": f"id={SECRET}"})):
        done = hlsdl("fetch", URL, *flags, home=tmp_path, environment=environment)
        assert "cookies were given where the path of a file of cookies is meant\nhint: write them into" in done.err
        assert SECRET not in done.err


def test_a_file_of_cookies_that_is_not_there_is_named(tmp_path: Path) -> None:
    place = tmp_path / "a=b" / "cookies.txt"
    done = hlsdl("fetch", URL, "--cookies", place, home=tmp_path)
    assert f"`--cookies`: there is no file `{place}`" in done.err


async def test_a_program_that_gives_cookies_for_a_file_is_told_the_same(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="where the path of a file of cookies is meant"):
        await library.fetch("https://127.0.0.1:1/f.m3u8", cookies=f"id={SECRET}", output=tmp_path)
    assert SECRET not in repr(library.TransferOptions(cookies_file=Path(f"id={SECRET}")))
