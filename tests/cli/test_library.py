"""list, rm, gc and keep, as a person and a script use them, on bundles that were really fetched."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sqlite3
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from cli.commands import LONGEST_RUN, hlsdl, hlsdl_process, running
from hlsdl.bundle.removal import size_on_disk, who_uses
from hlsdl.bundle.watching import Watch
from hlsdl.bundle.writing import BundleWriter
from hlsdl.cli.library import end_of
from hlsdl.errors import UsageError
from hlsdl.testing import Hold, ScriptedOrigin

FILM = "/film/master.m3u8"
HELD = "/film/pq-360/3.m4s"
NAMES = ("a", "b", "c")

posix = pytest.mark.skipif(os.name != "posix", reason="signals and locks of folders are POSIX")


@pytest.fixture
def home(origin: ScriptedOrigin, tmp_path: Path) -> Path:
    """A folder with three bundles, fetched one after the other, and a library that knows them."""
    for name in NAMES:
        assert hlsdl("fetch", origin.url(FILM), "-o", f"{name}.movpkg", "-q", home=tmp_path).code == 0
    return tmp_path


@contextlib.contextmanager
def fetching(origin: ScriptedOrigin, home: Path) -> Iterator[str]:
    """`hlsdl fetch --force` at work on a bundle that the library knows."""
    event = threading.Event()
    origin.script(HELD, Hold(event))
    origin.clear_requests()
    with running("fetch", origin.url(FILM), "-o", "a.movpkg", "--force", home=home) as process:
        origin.wait_for(HELD)
        yield "written"
        event.set()
        process.communicate(timeout=LONGEST_RUN)
    assert process.returncode == 0


@contextlib.contextmanager
def playing(_origin: ScriptedOrigin, home: Path) -> Iterator[str]:
    """`hlsdl play` at work."""
    with running("play", "--player", "none", "a.movpkg", home=home) as process:
        assert process.stdout is not None
        assert process.stdout.readline().startswith("http://")
        yield "played"
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=LONGEST_RUN)


def left(home: Path) -> str:
    return "".join(name for name in NAMES if (home / f"{name}.movpkg").exists())


class TestList:
    def test_fetched_bundles_are_listed(self, home: Path) -> None:
        """Each with its size, state and policy; the table says what the document says."""
        document = hlsdl("list", "--json", home=home).document
        assert document["schema"] == "hlsdl.library/1"
        assert [one["path"] for one in document["bundles"]] == [str(home / f"{name}.movpkg") for name in NAMES]
        assert document["bytes"] == sum(size_on_disk(home / f"{name}.movpkg") for name in NAMES)
        first = document["bundles"][0]
        assert (first["title"], first["state"], first["priority"], first["expires"]) == (
            "A film", "complete", "default", None,
        )  # fmt: skip
        table = hlsdl("list", home=home).out
        assert "3 bundles" in table
        assert str(home / "b.movpkg") in table

    def test_an_empty_library_is_no_error(self, tmp_path: Path) -> None:
        """Nothing yet."""
        assert hlsdl("list", home=tmp_path).out == "0 bundles, 0 B\n"
        assert hlsdl("list", "--json", home=tmp_path).document["bundles"] == []

    def test_a_bundle_that_was_deleted_by_hand_is_not_listed(self, home: Path) -> None:
        """The disk is the truth."""
        (home / "a.movpkg").rename(home / "moved.movpkg")
        listed = [Path(one["path"]).stem for one in hlsdl("list", "--json", home=home).document["bundles"]]
        assert listed == ["b", "c"]
        listed = [Path(one["path"]).stem for one in hlsdl("list", ".", "--json", home=home).document["bundles"]]
        assert listed == ["b", "c", "moved"]

    def test_a_folder_that_is_not_there_is_refused(self, home: Path) -> None:
        """Exit code 2."""
        assert hlsdl("list", "nowhere", home=home).code == 2


class TestRm:
    def test_bundles_are_deleted_and_named(self, home: Path) -> None:
        """One path for each on stdout; the library knows them no more."""
        done = hlsdl("rm", "a.movpkg", "b.movpkg", home=home)
        assert (done.code, done.out, left(home)) == (0, "a.movpkg\nb.movpkg\n", "c")
        assert len(hlsdl("list", "--json", home=home).document["bundles"]) == 1

    def test_json_is_one_document_for_each(self, home: Path) -> None:
        """With the bytes given back; an error is a document with its source."""
        size = size_on_disk(home / "a.movpkg")
        done = hlsdl("rm", "nothing.movpkg", "a.movpkg", "--json", home=home)
        error, removal = done.documents
        assert (done.code, error["code"], error["source"]) == (2, 2, "nothing.movpkg")
        assert removal == {"schema": "hlsdl.removal/1", "path": "a.movpkg", "bytes": size}
        assert left(home) == "bc"

    def test_any_other_folder_is_refused(self, home: Path) -> None:
        """Exit code 2: a folder with files of a person, the data folder, a link, a folder of bundles."""
        (home / "photos").mkdir()
        (home / "photos" / "manifest.json").write_text('{"name": "a web extension"}')
        (home / "link.movpkg").symlink_to(home / "a.movpkg")
        for name in ("photos", "data", "link.movpkg", ".", "nothing"):
            assert hlsdl("rm", name, home=home).code == 2, name
        assert (home / "photos" / "manifest.json").exists()
        assert left(home) == "abc"

    @posix
    @pytest.mark.parametrize("using", [fetching, playing])
    def test_a_bundle_in_use_is_refused(self, using: object, origin: ScriptedOrigin, home: Path) -> None:
        """Exit code 11 while another process writes or plays it; the others on the line go."""
        with using(origin, home) as how:  # type: ignore[operator]
            done = hlsdl("rm", "a.movpkg", "b.movpkg", home=home)
            assert (done.code, done.out) == (11, "b.movpkg\n")
            assert ("played" if how == "played" else "another process works") in done.err
        assert left(home) == "ac"
        assert hlsdl("verify", "a.movpkg", home=home).code == 0
        assert hlsdl("rm", "a.movpkg", home=home).code == 0


class TestGc:
    def test_a_dry_run_deletes_nothing_and_says_what_would_go(self, home: Path) -> None:
        """The same that the real run then deletes, with the reasons."""
        size = size_on_disk(home / "a.movpkg")
        line = ("gc", "--free", str(size + 1))
        said = hlsdl(*line, "--dry-run", home=home)
        assert (said.code, left(home)) == (0, "abc")
        assert "2 bundles would be deleted" in said.out
        assert "least recently used" in said.out
        document = hlsdl(*line, "--dry-run", "--json", home=home).document
        assert left(home) == "abc"
        done = hlsdl(*line, "--json", home=home).document
        assert left(home) == "c"
        assert document == {**done, "dry_run": True}
        assert (done["schema"], done["enough"], done["needed"], done["spared"]) == (
            "hlsdl.collection/1", True, size + 1, [],
        )  # fmt: skip
        assert [Path(one["path"]).stem for one in done["evicted"]] == ["a", "b"]

    def test_expired_ones_go_first_and_important_ones_last(self, home: Path) -> None:
        """Whatever was used when."""
        hlsdl("keep", "a.movpkg", home=home)
        hlsdl("keep", "c.movpkg", "--until", "2020-01-01", home=home)
        document = hlsdl("gc", "--free", "5G", "--dry-run", "--json", home=home).document
        assert [Path(one["path"]).stem for one in document["evicted"]] == ["c", "b", "a"]
        assert document["evicted"][0]["because"] == "expired"
        assert hlsdl("gc", home=home).code == 0
        assert left(home) == "ab"

    def test_too_little_is_said(self, home: Path) -> None:
        """What may go goes; a warning says how much is missing."""
        done = hlsdl("gc", "--free", "5G", home=home)
        assert (done.code, left(home)) == (0, "")
        assert "less than was asked for" in done.err

    def test_a_quota_is_kept_and_may_be_a_setting(self, home: Path) -> None:
        """As a flag, and as a variable for whoever lets it run every night."""
        total = sum(size_on_disk(home / f"{name}.movpkg") for name in NAMES)
        hlsdl("gc", "--quota", str(total), home=home)
        assert left(home) == "abc"
        hlsdl("gc", home=home, environment={"HLSDL_QUOTA": str(total - 1)})
        assert left(home) == "bc"

    def test_without_a_wish_only_what_has_expired_goes(self, home: Path) -> None:
        """Nothing has."""
        assert hlsdl("gc", home=home).out == "no bundles deleted: 0 B\n"
        assert left(home) == "abc"

    @pytest.mark.parametrize("line", [("--free", "much"), ("--quota", "-1"), ("--free", "0")])
    def test_a_size_that_is_none_is_refused(self, line: tuple[str, str], home: Path) -> None:
        """Exit code 2, and the flag is named."""
        done = hlsdl("gc", *line, home=home)
        assert (done.code, left(home)) == (2, "abc")
        assert line[0] in done.err

    @posix
    @pytest.mark.parametrize("using", [fetching, playing])
    def test_a_bundle_in_use_stays(self, using: object, origin: ScriptedOrigin, home: Path) -> None:
        """Written by a running fetch or played: it stays though it is asked for, and is whole afterwards."""
        with using(origin, home) as how:  # type: ignore[operator]
            hlsdl("keep", "a.movpkg", "--until", "2020-01-01", home=home)
            document = hlsdl("gc", "--free", "5G", "--json", home=home).document
            assert document["spared"] == [{"path": str(home / "a.movpkg"), "because": how}]
            assert left(home) == "a"
        assert hlsdl("verify", "a.movpkg", home=home).code == 0
        assert hlsdl("gc", "--free", "1", home=home).code == 0
        assert left(home) == ""


class TestKeep:
    def test_without_flags_a_bundle_is_pinned(self, home: Path) -> None:
        """Important, and without an end."""
        hlsdl("keep", "a.movpkg", "--until", "2020-01-01", home=home)
        document = hlsdl("keep", "a.movpkg", "--json", home=home).document
        assert document == {"schema": "hlsdl.policy/1", "path": "a.movpkg", "priority": "important", "expires": None}
        assert hlsdl("list", "--json", home=home).document["bundles"][0]["priority"] == "important"

    def test_flags_change_what_they_name_and_nothing_else(self, home: Path) -> None:
        """A date leaves the priority, a priority leaves the date; `never` takes a date back."""

        def kept(*flags: str) -> tuple[str, str | None]:
            document = hlsdl("keep", "a.movpkg", *flags, "--json", home=home).document
            return document["priority"], document["expires"]

        assert kept("--until", "2030-01-01T00:00:00+00:00") == ("default", "2030-01-01T00:00:00Z")
        assert kept("--important") == ("important", "2030-01-01T00:00:00Z")
        assert kept("--until", "never") == ("important", None)
        assert kept("--default") == ("default", None)

    def test_a_bundle_that_the_library_does_not_know_becomes_known(self, home: Path) -> None:
        """To keep it is to have it."""
        (home / "a.movpkg").rename(home / "moved.movpkg")
        hlsdl("keep", "moved.movpkg", home=home)
        paths = [one["path"] for one in hlsdl("list", "--json", home=home).document["bundles"]]
        assert str(home / "moved.movpkg") in paths

    def test_what_is_no_bundle_or_no_date_is_refused(self, home: Path) -> None:
        """Exit code 2."""
        assert hlsdl("keep", "data", home=home).code == 2
        for text in ("tomorrow", "2030-13-01", "", "10000-01-01"):
            assert hlsdl("keep", "a.movpkg", "--until", text, home=home).code == 2, text

    def test_the_last_day_of_all_is_a_date(self, home: Path) -> None:
        """People write it for "as good as always"."""
        assert hlsdl("keep", "a.movpkg", "--until", "9999-12-31", home=home).code == 0
        bundles = hlsdl("list", "--json", home=home).document["bundles"]
        assert bundles[0]["expires"] == "9999-12-31T23:59:59Z"

    @posix
    @pytest.mark.parametrize("zone", ["UTC0", "WEST12", "EAST-14"])
    @pytest.mark.parametrize("text", ["9999-12-31", "9999-12-31T23:59:59", "9999-12-31T23:00-05:00", "9999-12-30"])
    def test_the_last_day_of_all_is_one_in_every_zone(
        self, monkeypatch: pytest.MonkeyPatch, zone: str, text: str
    ) -> None:
        with monkeypatch.context() as patch:
            patch.setenv("TZ", zone)
            time.tzset()
            moment = end_of(text)
            assert moment is not None
            assert moment.timestamp() >= datetime(9999, 12, 30, 10, tzinfo=UTC).timestamp()
        time.tzset()

    def test_a_day_lasts_until_its_end(self) -> None:
        """The last day is a whole day, in the zone of this machine."""
        assert end_of("2030-03-01") == datetime(2030, 3, 2).astimezone()
        assert end_of("2030-03-01T12:00") == datetime(2030, 3, 1, 12).astimezone()
        assert end_of("2030-03-01T12:00+02:00") == datetime.fromisoformat("2030-03-01T12:00+02:00")
        assert end_of("never") is None
        with pytest.raises(UsageError):
            end_of("soon")


class TestFetch:
    def test_a_library_that_cannot_be_written_stops_no_download(self, origin: ScriptedOrigin, tmp_path: Path) -> None:
        """Exit code 0, the bundle's path, and a warning that says why."""
        (tmp_path / "data").write_text("in the way")
        done = hlsdl("fetch", origin.url(FILM), home=tmp_path)
        assert (done.code, done.out) == (0, "A film.movpkg\n")
        assert "warning: the library does not learn of this bundle" in done.err

    def test_a_damaged_library_stops_no_download_and_is_named(self, origin: ScriptedOrigin, tmp_path: Path) -> None:
        """`list` says so with exit code 8; the file stays for whoever wants to mend it."""
        (tmp_path / "data").mkdir()
        (tmp_path / "data" / "library.sqlite").write_bytes(b"no database " * 500)
        assert hlsdl("fetch", origin.url(FILM), home=tmp_path).code == 0
        done = hlsdl("list", home=tmp_path)
        assert done.code == 8
        assert "library.sqlite" in done.err

    def test_a_newer_library_is_named(self, home: Path) -> None:
        """An older hlsdl leaves it alone and says what to do."""
        database = sqlite3.connect(home / "data" / "library.sqlite")
        database.execute("PRAGMA user_version = 99")
        database.close()
        done = hlsdl("list", "--json", home=home)
        assert (done.code, done.document["kind"]) == (8, "integrity")
        assert "newer hlsdl" in done.document["message"]

    def test_a_failed_fetch_and_a_plan_tell_nothing(self, origin: ScriptedOrigin, tmp_path: Path) -> None:
        """The library learns of what is there."""
        assert hlsdl("fetch", origin.url("/nothing.m3u8"), home=tmp_path).code == 4
        assert hlsdl("plan", origin.url(FILM), home=tmp_path).code == 0
        assert not (tmp_path / "data").exists()

    def test_several_processes_tell_the_library_at_once(self, origin: ScriptedOrigin, tmp_path: Path) -> None:
        """None of them is lost, though the first ones make the database together."""
        with contextlib.ExitStack() as stack:
            processes = [
                stack.enter_context(running("fetch", origin.url(FILM), "-o", f"{name}.movpkg", home=tmp_path))
                for name in NAMES
            ]
            for process in processes:
                process.communicate(timeout=LONGEST_RUN)
        assert [process.returncode for process in processes] == [0, 0, 0]
        assert len(hlsdl("list", "--json", home=tmp_path).document["bundles"]) == 3


@posix
def test_playing_is_a_use(origin: ScriptedOrigin, home: Path) -> None:
    """The least recently fetched one was played last: another one goes before it."""
    with playing(origin, home):
        pass
    document = hlsdl("gc", "--free", "1", "--dry-run", "--json", home=home).document
    assert [Path(one["path"]).stem for one in document["evicted"]] == ["b"]


@posix
def test_a_damaged_library_stops_no_player(origin: ScriptedOrigin, home: Path) -> None:
    """It plays, and the log says what the library did not learn."""
    (home / "data" / "library.sqlite").write_bytes(b"no database " * 500)
    with running("play", "--player", "none", "-v", "a.movpkg", home=home) as process:
        assert process.stdout is not None
        assert process.stdout.readline().startswith("http://")
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=LONGEST_RUN)
    assert "the library does not learn that this bundle is played" in err


@posix
def test_a_bundle_that_is_being_deleted_is_not_played(home: Path) -> None:
    """Exit code 11 instead of a player that finds half of it."""
    with Watch.alone(home / "a.movpkg"):
        done = hlsdl_process("play", "--player", "none", "a.movpkg", "--json", home=home)
    assert (done.code, json.loads(done.out)["kind"]) == (11, "locked")


def test_a_bundle_that_is_written_may_be_played(home: Path) -> None:
    """A player takes no lock that a writer needs, and the other way round."""
    with BundleWriter.open(home / "a.movpkg"), Watch.begin(home / "a.movpkg"):
        assert who_uses(home / "a.movpkg") == "written"
    with Watch.begin(home / "a.movpkg"):
        assert who_uses(home / "a.movpkg") == "played"
        with BundleWriter.open(home / "a.movpkg"):
            assert who_uses(home / "a.movpkg") == "written"
    assert who_uses(home / "a.movpkg") is None
