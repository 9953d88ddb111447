"""The disk's edge: folders that cannot be led astray, errors with a sentence, and the lock."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from hlsdl.bundle import durable
from hlsdl.bundle.durable import (
    BundleLock,
    Folder,
    disk_error,
    hash_file,
    read_file,
    replace_durably,
    require_space,
    sync_directory,
    translating,
    write_all,
)
from hlsdl.errors import DiskError, IntegrityError, LockedError, PolicyError


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (errno.ENOSPC, "the disk is full"), (errno.EDQUOT, "quota"), (errno.EROFS, "read-only"),
        (errno.EACCES, "permission denied"), (errno.EPERM, "does not permit"), (errno.EIO, "I/O error"),
        (errno.EMFILE, "too many files"), (errno.ENFILE, "too many files"), (errno.EFBIG, "too large"),
        (errno.ENOENT, "gone"), (errno.ENAMETOOLONG, "too long"), (errno.ESTALE, "network file system"),
        (errno.EBUSY, "refused"),
    ],
)  # fmt: skip
def test_each_errno_has_a_sentence_and_a_hint(number: int, words: str) -> None:
    """A DiskError names what happened, where, and what can be done; it is resumable, exit code 9."""
    error = disk_error(OSError(number, os.strerror(number)), "0-X/000000001.m4s")
    assert isinstance(error, DiskError)
    assert words in error.message
    assert "`0-X/000000001.m4s`" in error.message
    assert not error.message.endswith(".")
    assert error.hint
    assert (error.code, error.resumable) == (9, True)
    assert error.retryable is (number in {errno.EMFILE, errno.ENFILE})


def test_a_link_in_the_way_is_a_matter_of_policy() -> None:
    """ELOOP and ENOTDIR come from links inside a bundle: exit code 10."""
    with pytest.raises(PolicyError, match="link"), translating("x"):
        raise OSError(errno.ELOOP, "loop")


def test_a_file_is_replaced_whole(tmp_path: Path) -> None:
    """The new content stands under the name, private, and no temporary is left."""
    (tmp_path / "a").write_bytes(b"old")
    with Folder.open(tmp_path) as folder:
        replace_durably(folder, "a", b"new")
    assert (tmp_path / "a").read_bytes() == b"new"
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o600
    assert os.listdir(tmp_path) == ["a"]


def test_a_failed_replacement_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """When the flush fails, the old content stays and the temporary goes."""
    (tmp_path / "a").write_bytes(b"old")

    def broken(_: int) -> None:
        raise OSError(errno.EIO, "broken")

    monkeypatch.setattr(durable, "flush", broken)
    with Folder.open(tmp_path) as folder, pytest.raises(OSError, match="broken"):
        replace_durably(folder, "a", b"new")
    assert (tmp_path / "a").read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["a"]


def test_a_link_at_the_final_name_is_replaced_and_not_followed(tmp_path: Path) -> None:
    """Whoever plants a link gets nothing written through it."""
    victim = tmp_path / "victim"
    victim.write_bytes(b"precious")
    inside = tmp_path / "inside"
    inside.mkdir()
    (inside / "a").symlink_to(victim)
    with Folder.open(inside) as folder:
        replace_durably(folder, "a", b"new")
    assert victim.read_bytes() == b"precious"
    assert not (inside / "a").is_symlink()


def test_nothing_is_created_through_a_link_or_over_a_file(tmp_path: Path) -> None:
    """Creating a temporary is exclusive, dangling links included."""
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    (tmp_path / "file").write_bytes(b"x")
    with Folder.open(tmp_path) as folder:
        for name in ("link", "file"):
            with pytest.raises(FileExistsError):
                folder.create(name)
    assert not (tmp_path / "nowhere").exists()


def test_folders_are_not_entered_through_links(tmp_path: Path) -> None:
    """A linked folder is refused, whether it is the last part or one in between."""
    (tmp_path / "real" / "deep").mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "real")
    with Folder.open(tmp_path) as folder:
        for path in ("link", "link/deep"):
            with pytest.raises(PolicyError), translating(path):
                folder.descend(path, create=True)
        with folder.descend("real/deep") as deep:
            assert deep.identity()[1] == (tmp_path / "real" / "deep").stat().st_ino
    with pytest.raises(PolicyError), translating("link"):
        Folder.open(tmp_path / "link")


def test_special_files_are_refused_without_waiting(tmp_path: Path) -> None:
    """A pipe, a folder or a link where a file should be is refused at once."""
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to("/etc/passwd")
    with Folder.open(tmp_path) as folder:
        for name in ("pipe", "folder", "link"):
            with pytest.raises(PolicyError), translating(name):
                read_file(folder, name, limit=100)


def test_a_moved_folder_is_still_the_same(tmp_path: Path) -> None:
    """Work goes on in a folder that is renamed meanwhile."""
    (tmp_path / "before").mkdir()
    with Folder.open(tmp_path / "before") as folder:
        (tmp_path / "before").rename(tmp_path / "after")
        replace_durably(folder, "a", b"new")
    assert (tmp_path / "after" / "a").read_bytes() == b"new"


def test_a_closed_folder_writes_nowhere(tmp_path: Path) -> None:
    """Late work on a closed folder is an error, not a file in the working directory."""
    folder = Folder.open(tmp_path)
    folder.close()
    folder.close()
    with pytest.raises(OSError, match="descriptor"):
        folder.create("stray")


def test_reading_is_bounded(tmp_path: Path) -> None:
    """A file over the limit is refused before it is read."""
    (tmp_path / "a").write_bytes(b"12345")
    with Folder.open(tmp_path) as folder:
        assert read_file(folder, "a", limit=5) == b"12345"
        with pytest.raises(IntegrityError, match="5 bytes"):
            read_file(folder, "a", limit=4)


def test_a_file_is_hashed_in_blocks(tmp_path: Path) -> None:
    """Size and SHA-256 of a file larger than one block are those of its bytes."""
    import hashlib

    data = os.urandom(durable.BLOCK * 2 + 17)
    (tmp_path / "a").write_bytes(data)
    with Folder.open(tmp_path) as folder:
        assert hash_file(folder, "a") == (len(data), hashlib.sha256(data).hexdigest())


def test_short_writes_are_continued(monkeypatch: pytest.MonkeyPatch) -> None:
    """A write that takes only a part is followed by the rest."""
    taken: list[bytes] = []

    def write(_: int, data: bytes) -> int:
        taken.append(bytes(data[:3]))
        return len(taken[-1])

    monkeypatch.setattr(os, "write", write)
    write_all(1, b"0123456789")
    assert b"".join(taken) == b"0123456789"


def test_space_is_compared_with_the_need_and_a_reserve(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is needed plus 64 MiB must be free; one byte less is a DiskError that says how much."""
    monkeypatch.setattr(durable, "free_space", lambda _: 1_000_000 + durable.SPARE_BYTES)
    require_space(tmp_path, 1_000_000)
    with pytest.raises(DiskError, match="MB are needed"):
        require_space(tmp_path, 1_000_001)


def test_free_space_and_directory_flush_work_here(tmp_path: Path) -> None:
    """Both calls answer on this system, and fail with our errors."""
    assert durable.free_space(tmp_path) > 0
    sync_directory(tmp_path)
    with pytest.raises(DiskError, match="gone"):
        sync_directory(tmp_path / "absent")
    with pytest.raises(DiskError, match="gone"):
        durable.free_space(tmp_path / "absent")


def test_the_lock_is_exclusive_and_given_back(tmp_path: Path) -> None:
    """The second taker gets LockedError; after release it may have it, and the file stays."""
    with Folder.open(tmp_path) as folder:
        first = BundleLock(folder, tmp_path)
        with pytest.raises(LockedError) as caught:
            BundleLock(folder, tmp_path)
        assert caught.value.code == 11
        assert caught.value.hint
        first.release()
        BundleLock(folder, tmp_path).release()
    assert (tmp_path / "lock").read_bytes() == b""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="forking is POSIX")
def test_a_child_that_was_forked_keeps_no_lock(tmp_path: Path) -> None:
    """Nor does it take its parent's away when it tidies up."""
    with Folder.open(tmp_path) as folder:
        lock = BundleLock(folder, tmp_path)
        told, tell = os.pipe()
        child = os.fork()
        if child == 0:
            lock.release()
            os.write(tell, b"x")
            signal.pause()
        os.read(told, 1)
        try:
            with pytest.raises(LockedError):
                BundleLock(folder, tmp_path)
            lock.release()
            BundleLock(folder, tmp_path).release()
        finally:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            for one in (told, tell):
                os.close(one)


def test_a_dead_process_leaves_no_lock(tmp_path: Path) -> None:
    """The system releases the lock of a killed process."""
    program = (
        "import sys, pathlib; from hlsdl.bundle.durable import BundleLock, Folder\n"
        "p = pathlib.Path(sys.argv[1]); f = Folder.open(p); l = BundleLock(f, p)\n"
        "print('held', flush=True); sys.stdin.read()"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", program, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    with process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"held\n"
        with Folder.open(tmp_path) as folder:
            with pytest.raises(LockedError):
                BundleLock(folder, tmp_path)
            process.kill()
            process.wait()
            BundleLock(folder, tmp_path).release()
