"""Policies, and making room with real folders: what is decided is done, and nothing else."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from bundle.shelves import sealed

import hlsdl
from hlsdl.bundle import removal
from hlsdl.bundle.removal import size_on_disk
from hlsdl.bundle.watching import Watch
from hlsdl.bundle.writing import BundleWriter
from hlsdl.errors import DiskError, IntegrityError, LockedError, UsageError
from hlsdl.library.bundles import BundleIndex
from hlsdl.session import storage as module
from hlsdl.session.storage import StorageManagementPolicy, StorageManagementPriority, StorageManager

PAST, FUTURE = datetime.now(UTC) - timedelta(days=1), datetime.now(UTC) + timedelta(days=1)
IMPORTANT = StorageManagementPolicy(priority=StorageManagementPriority.IMPORTANT)


@pytest.fixture
def storage(tmp_path: Path) -> StorageManager:
    return StorageManager(tmp_path / "data")


@pytest.fixture
def films(tmp_path: Path, storage: StorageManager, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Four bundles of the same size, used in this order."""
    (tmp_path / "films").mkdir()
    paths = [sealed(tmp_path / "films" / f"{name}.movpkg") for name in "abcd"]
    for number, path in enumerate(paths):
        with monkeypatch.context() as patch:
            patch.setattr(module.time, "time", lambda number=number: 1000.0 + number)
            storage.record(path)
    return paths


def left(films: list[Path]) -> str:
    return "".join(path.stem for path in films if path.exists())


def test_the_public_names_are_there() -> None:
    """`hlsdl.StorageManager` and its values."""
    assert hlsdl.StorageManager is StorageManager
    assert hlsdl.StorageManagementPolicy is StorageManagementPolicy
    assert hlsdl.StorageManagementPriority.IMPORTANT == "important"


def test_a_policy_comes_back_as_it_was_set(storage: StorageManager, tmp_path: Path) -> None:
    """None before; afterwards in every process, by path or text; to set it makes the bundle known."""
    path = sealed(tmp_path / "A.movpkg")
    assert storage.policy(path) is None
    policy = StorageManagementPolicy(priority=StorageManagementPriority.IMPORTANT, expiration_date=FUTURE)
    storage.set_policy(str(path), policy)
    assert StorageManager(tmp_path / "data").policy(str(path)) == policy
    [bundle] = storage.bundles()
    assert (bundle.path, bundle.policy, bundle.bytes) == (path, policy, size_on_disk(path))


def test_the_example_of_the_page_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What docs/library.md shows to programs is what they can write."""
    text = (Path(__file__).parent.parent.parent / "docs" / "library.md").read_text()
    [example] = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    monkeypatch.setenv("HLSDL_DATA", str(tmp_path / "data"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "films").mkdir()
    path = sealed(tmp_path / "films" / "A film.movpkg")
    exec(compile(example, "library.md", "exec"), {})
    policy = StorageManager(tmp_path / "data").policy(path)
    assert policy is not None
    assert policy.priority is StorageManagementPriority.IMPORTANT


def test_a_policy_needs_a_bundle_and_a_zone(storage: StorageManager, tmp_path: Path) -> None:
    """A folder that is no bundle, and a date that could be any moment: UsageError."""
    with pytest.raises(UsageError):
        storage.set_policy(tmp_path, IMPORTANT)
    with pytest.raises(UsageError, match="time zone"):
        StorageManagementPolicy(expiration_date=datetime(2030, 1, 1))  # noqa: DTZ001 - that is what is refused


def test_the_end_of_the_last_year_is_a_date_in_every_zone(storage: StorageManager, tmp_path: Path) -> None:
    """West of Greenwich it is later than UTC can write down: then it is the last second that it can."""
    path = sealed(tmp_path / "A.movpkg")
    last = datetime(9999, 12, 31, 23, 59, 59, tzinfo=timezone(timedelta(hours=-12)))
    policy = StorageManagementPolicy(expiration_date=last)
    storage.set_policy(path, policy)
    assert policy.document()["expires"] == storage.bundles()[0].document()["expires"] == "9999-12-31T23:59:59Z"


def test_the_library_folder_is_looked_into(storage: StorageManager) -> None:
    """A bundle that a session put there is known though nobody told."""
    storage.folder.mkdir(parents=True)
    path = sealed(storage.folder / "A.movpkg")
    assert [one.path for one in storage.bundles()] == [path]


def test_a_dry_run_deletes_nothing_and_says_what_would_go(storage: StorageManager, films: list[Path]) -> None:
    """The same answer as the real run, which does it."""
    size = size_on_disk(films[0])
    said = storage.collect(free=size + 1, dry_run=True)
    assert left(films) == "abcd"
    done = storage.collect(free=size + 1)
    assert left(films) == "cd"
    assert (said.dry_run, done.dry_run) == (True, False)
    assert said.evicted == done.evicted
    assert [Path(one.path).stem for one in done.evicted] == ["a", "b"]
    assert (said.bytes, done.bytes, done.is_enough) == (2 * size, 2 * size, True)


def test_bytes_at_the_limit_and_one_past_it(storage: StorageManager, films: list[Path]) -> None:
    """The size of one bundle takes one; a quota of what is left then takes none."""
    size = size_on_disk(films[0])
    assert len(storage.collect(free=size, dry_run=True).evicted) == 1
    assert len(storage.collect(quota=4 * size).evicted) == 0
    assert len(storage.collect(quota=4 * size - 1).evicted) == 1
    assert left(films) == "bcd"


def test_the_order_is_kept_on_disk(storage: StorageManager, films: list[Path]) -> None:
    """Expired before default, default by last use, important last."""
    storage.set_policy(films[0], IMPORTANT)
    storage.set_policy(films[3], StorageManagementPolicy(expiration_date=PAST))
    storage.use(films[1])
    order = [Path(one.path).stem for one in storage.collect(free=10**12, dry_run=True).evicted]
    assert order == ["d", "c", "b", "a"]
    assert storage.collect().bytes > 0
    assert left(films) == "abc"


def test_what_is_written_or_played_stays(storage: StorageManager, films: list[Path]) -> None:
    """Others go in their place; it says why they stayed, in a dry run too."""
    size = size_on_disk(films[0])
    with BundleWriter.open(films[0]), Watch.begin(films[1]):
        for dry_run in (True, False):
            done = storage.collect(free=2 * size, dry_run=dry_run)
            assert [Path(one.path).stem for one in done.evicted] == ["c", "d"]
            assert {Path(path).stem: why for path, why in done.spared.items()} == {"a": "written", "b": "played"}
        short = storage.collect(free=1)
        assert (short.evicted, short.bytes, short.is_enough) == ((), 0, False)
    assert left(films) == "ab"


def test_a_bundle_that_becomes_busy_in_the_middle_is_replaced(
    storage: StorageManager, films: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody begins to write between the look and the deletion: it stays, and the plan is made again."""
    writers: list[BundleWriter] = []
    real = module.remove_bundle

    def begin_first(path: Path) -> int:
        if path == films[0]:
            writers.append(BundleWriter.open(path))
        return real(path)

    monkeypatch.setattr(module, "remove_bundle", begin_first)
    done = storage.collect(free=1)
    writers[0].close()
    assert ([Path(one.path).stem for one in done.evicted], done.is_enough) == (["b"], True)
    assert left(films) == "acd"


def test_a_bundle_that_cannot_be_deleted_does_not_stop_the_others(storage: StorageManager, films: list[Path]) -> None:
    """A damaged one is not surely ours: it stays, with the reason."""
    (films[0] / "manifest.json").write_text("{}")
    done = storage.collect(free=1)
    assert left(films) == "acd"
    assert "no bundle that can be read" in done.spared[str(films[0])]


@pytest.mark.parametrize("moment", ["before it is looked at", "before it is deleted", "while it is locked"])
@pytest.mark.parametrize("wish", ["free", "quota"])
def test_what_somebody_else_deletes_meanwhile_is_no_failure(
    *,
    storage: StorageManager,
    films: list[Path],
    monkeypatch: pytest.MonkeyPatch,
    moment: str,
    wish: str,
) -> None:
    """It does not stay, and it was not given back here. A quota that is met by that needs nothing else to go."""
    size = size_on_disk(films[0])
    look, delete = module.who_uses, module.remove_bundle

    def look_late(path: Path) -> str | None:
        if path == films[0] and path.exists():
            delete(path)
        return look(path)

    def delete_late(path: Path) -> int:
        if path == films[0]:
            delete(path)
            if moment == "while it is locked":
                raise LockedError("another process works on it")
        return delete(path)

    if moment == "before it is looked at":
        monkeypatch.setattr(module, "who_uses", look_late)
    else:
        monkeypatch.setattr(module, "remove_bundle", delete_late)
    done = storage.collect(**{wish: 1 if wish == "free" else 3 * size})
    assert done.spared == {}
    assert [Path(one.path).stem for one in done.evicted] == (["b"] if wish == "free" else [])
    assert (left(films), done.is_enough) == ("cd" if wish == "free" else "bcd", True)


def test_two_who_make_room_at_once_share_the_work(storage: StorageManager, tmp_path: Path) -> None:
    """Each bundle is deleted by one of them, and the other one calls that no failure: at most it is busy just then."""
    storage.folder.mkdir(parents=True)
    paths = {str(sealed(storage.folder / f"{number}.movpkg")) for number in range(40)}
    storage.bundles()
    command = [sys.executable, "-m", "hlsdl", "gc", "--free", "1T", "--json", "--no-config"]
    environment = {**os.environ, "HLSDL_DATA": str(storage.root), "PYTHONPATH": os.pathsep.join(sys.path)}
    both = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) for _ in range(2)]
    documents = [json.loads(one.communicate()[0]) for one in both]
    assert {bundle["because"] for one in documents for bundle in one["spared"]} <= {"written"}
    gone = [bundle["path"] for one in documents for bundle in one["evicted"]]
    assert sorted(gone) == sorted(paths - {str(one) for one in storage.folder.iterdir()})


def test_nothing_that_the_library_does_not_know_is_chosen(storage: StorageManager, films: list[Path]) -> None:
    """A bundle beside known ones, that nobody told of."""
    stranger = sealed(films[0].parent / "stranger.movpkg")
    storage.collect(free=10**12)
    assert left(films) == ""
    assert stranger.is_dir()


def test_collecting_finishes_what_was_interrupted(
    storage: StorageManager, films: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Trash beside known bundles is deleted, but not by a dry run."""

    def stop(_: Path) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(removal, "_empty", stop)
        with pytest.raises(KeyboardInterrupt):
            storage.remove(films[0])
    folder = films[0].parent
    storage.collect(dry_run=True)
    assert len(list(folder.glob(".hlsdl-*"))) == 1
    storage.collect()
    assert list(folder.glob(".hlsdl-*")) == []
    assert [one.path for one in storage.bundles()] == films[1:]


def test_removing_one_bundle_forgets_it(storage: StorageManager, films: list[Path]) -> None:
    """Known or not; a busy one is refused and stays known."""
    stranger = sealed(films[0].parent / "stranger.movpkg")
    assert storage.remove(stranger) > 0
    assert storage.remove(films[0]) > 0
    with BundleWriter.open(films[1]), pytest.raises(LockedError):
        storage.remove(films[1])
    assert [one.path for one in storage.bundles()] == films[1:]


@pytest.fixture
def interrupted(tmp_path: Path, storage: StorageManager, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The path of a bundle, alone in its folder, whose removal was interrupted while its files were deleted."""
    (tmp_path / "alone").mkdir()
    bundle = sealed(tmp_path / "alone" / "A.movpkg")
    storage.record(bundle)

    def stop(_: Path) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(removal, "_remove_tree", stop)
        with pytest.raises(KeyboardInterrupt):
            storage.remove(bundle)
    assert [*bundle.parent.iterdir()]
    return bundle


def test_removing_again_what_was_interrupted_brings_it_to_its_end(storage: StorageManager, interrupted: Path) -> None:
    assert storage.remove(interrupted) > 0
    assert [*interrupted.parent.iterdir()] == []
    with pytest.raises(UsageError):
        storage.remove(interrupted)


def test_whoever_notices_that_a_bundle_is_gone_ends_its_removal(storage: StorageManager, interrupted: Path) -> None:
    """Its folder is in no other list, so nobody would ever come by again."""
    assert storage.bundles() == ()
    assert [*interrupted.parent.iterdir()] == []


def test_a_library_that_cannot_be_read_keeps_no_bundle_from_being_removed(
    storage: StorageManager, films: list[Path], caplog: pytest.LogCaptureFixture
) -> None:
    """The bundle goes, and the log says that the library still lists it; everything else says what is wrong."""
    (storage.root / "library.sqlite").write_bytes(b"damaged" * 1000)
    assert storage.remove(films[0]) > 0
    assert "still lists" in caplog.text
    with pytest.raises(IntegrityError):
        storage.bundles()


def test_a_bundle_that_the_index_keeps_listing_was_deleted_all_the_same(
    storage: StorageManager, films: list[Path], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """What it gave back counts, and no other bundle has to go in its place."""

    def fail(*_: object) -> None:
        raise DiskError("the disk is full")

    monkeypatch.setattr(BundleIndex, "forget", fail)
    done = storage.collect(free=1)
    assert (len(done.evicted), len(left(films)), done.is_enough) == (1, len(films) - 1, True)
    assert done.bytes > 0
    assert "still lists" in caplog.text


@pytest.fixture
def full_disk(tmp_path: Path) -> Iterator[tuple[StorageManager, list[Path]]]:
    """A library and three bundles on a file system without a byte left; the last of them has grown since it was told."""
    place = tmp_path / "disk"
    place.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(place)]
    mounted = subprocess.run(command, check=False, capture_output=True) if sys.platform == "linux" else None
    if mounted is None or mounted.returncode:
        pytest.skip("a tmpfs cannot be mounted here")
    storage = StorageManager(place / "data")
    paths = [sealed(place / f"{name}.movpkg") for name in "abc"]
    for path in paths:
        storage.record(path)
    (paths[2] / "notes.txt").write_bytes(bytes(100_000))
    with (paths[2] / "journal.jsonl").open("a") as journal:
        journal.write("\n")
    with pytest.raises(OSError, match="No space"):
        (place / "filler").write_bytes(bytes(8 << 20))
    yield storage, paths
    subprocess.run(["umount", "-l", str(place)], check=True)


def test_room_is_made_on_a_full_disk(full_disk: tuple[StorageManager, list[Path]]) -> None:
    """By what is there now; and once there is room the index learns of it."""
    storage, paths = full_disk
    sizes = [size_on_disk(path) for path in paths]
    assert [one.bytes for one in storage.bundles()] == sizes
    done = storage.collect(quota=sum(sizes) - 1)
    assert (len(done.evicted), done.is_enough, left(paths)) == (1, True, "bc")
    with BundleIndex.open(storage.root / "library.sqlite") as index:
        assert [(one.path, one.bytes) for one in index.all()] == list(zip(paths[1:], sizes[1:], strict=True))


def test_on_a_full_disk_what_must_be_kept_is_refused(full_disk: tuple[StorageManager, list[Path]]) -> None:
    """A policy that would be forgotten again was not set."""
    storage, paths = full_disk
    with pytest.raises(DiskError):
        storage.set_policy(paths[0], IMPORTANT)


def test_what_there_is_is_told_where_nothing_can_be_written(full_disk: tuple[StorageManager, list[Path]]) -> None:
    """And what cannot be deleted there is spared, with the reason."""
    storage, paths = full_disk
    subprocess.run(["mount", "-o", "remount,ro", str(storage.root.parent)], check=True)
    assert [one.bytes for one in storage.bundles()] == [size_on_disk(path) for path in paths]
    done = storage.collect(quota=0)
    assert (done.evicted, done.is_enough, left(paths)) == ((), False, "abc")
    assert all("read-only" in why for why in done.spared.values())
    with pytest.raises(DiskError):
        storage.set_policy(paths[0], IMPORTANT)


def test_removing_and_playing_make_no_library(storage: StorageManager, tmp_path: Path) -> None:
    """Who never fetched anything here gets no data folder."""
    path = sealed(tmp_path / "A.movpkg")
    assert storage.use(path) is False
    storage.remove(path)
    assert not storage.root.exists()


@pytest.mark.parametrize("wish", [{"free": -1}, {"quota": -1}])
def test_negative_numbers_are_refused(storage: StorageManager, wish: dict[str, int]) -> None:
    """UsageError before anything is looked at."""
    with pytest.raises(UsageError, match="negative"):
        storage.collect(**wish)


def test_documents_are_plain_values(storage: StorageManager, films: list[Path]) -> None:
    """What `--json` prints."""
    storage.set_policy(films[0], StorageManagementPolicy(expiration_date=datetime(2020, 1, 2, tzinfo=UTC)))
    entry = storage.bundles()[0].document()
    assert entry == {
        "path": str(films[0]),
        "title": "A film",
        "source": "https://media.example/film/master.m3u8?token=secret-token",
        "state": "complete",
        "bytes": size_on_disk(films[0]),
        "added": "1970-01-01T00:16:40Z",
        "last_used": "1970-01-01T00:16:40Z",
        "priority": "default",
        "expires": "2020-01-02T00:00:00Z",
    }
    assert storage.collect(dry_run=True).document() == {
        "schema": "hlsdl.collection/1",
        "dry_run": True,
        "needed": 0,
        "freed": size_on_disk(films[0]),
        "enough": True,
        "evicted": [{"path": str(films[0]), "bytes": size_on_disk(films[0]), "because": "expired"}],
        "spared": [],
    }
