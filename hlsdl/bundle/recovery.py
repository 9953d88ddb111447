"""Recovery: from what an interrupted writer left, back to a bundle where every entry is true.

`trust_in` decides how much to believe (docs/bundle-format.md §8), pure; `recover` looks and mends. It judges everything
before it changes anything, removes files before it says so, and never reads the network. Running it again, after an
interruption at any point, gives the same result.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from stat import S_ISREG

from hlsdl.bundle.contents import ROOT, join_path, look, remove_file
from hlsdl.bundle.durable import Folder, hash_file, translating
from hlsdl.bundle.journal import Entry, JournalState, Opening
from hlsdl.bundle.layout import DATA, KEYS, is_media, is_stream_folder, must_come_as_it_was, split_path
from hlsdl.bundle.ledger import Ledger
from hlsdl.bundle.manifest import Manifest, WrittenIn

MOST_KEYS_READ = 1000
"""Keys that are read whenever a bundle is opened: it takes a moment, and with one wrong bit in one a film is noise."""


class Cause(StrEnum):
    """How the last writer ended."""

    NEW = "new"
    CLEAN = "clean"
    PROCESS_DIED = "process-died"
    POWER_LOST = "power-lost"
    MOVED = "moved"
    JOURNAL_LOST = "journal-lost"


@dataclass(frozen=True, slots=True, kw_only=True)
class Trust:
    """What may be believed without reading the file."""

    cause: Cause
    checkpointed: bool
    """The size of an entry that a checkpoint covers proves it."""
    recent: bool
    """The size of any other entry proves it, too."""
    names: bool
    """A segment under its final name is whole even without an entry."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recovery:
    """What recovery found and did."""

    cause: Cause
    kept: int
    """Entries that are stored."""
    hashed: int
    """Files that were read to find out."""
    rolled_forward: tuple[str, ...] = ()
    """Objects that only missed their final name."""
    adopted: tuple[str, ...] = ()
    """Objects whose entry was lost, entered anew."""
    dropped: tuple[str, ...] = ()
    """Entries whose file is missing, or was never known to be whole; to be fetched again."""
    wanted: tuple[str, ...] = ()
    """Entries whose file is damaged, and stays until its like has been fetched."""
    removed: tuple[str, ...] = ()
    """Temporaries and unproven segments that were removed."""
    damaged_lines: int = 0


def trust_in(state: JournalState, here: Opening, manifest: Manifest | None) -> Trust:
    """Decide how much a journal may be believed by the process and in the place `here`."""
    last = state.opening
    if last is None:
        return _trust_without_journal(manifest, here)
    if (last.device, last.inode) != (here.device, here.inode):
        return Trust(cause=Cause.MOVED, checkpointed=False, recent=False, names=False)
    if state.is_clean:
        return Trust(cause=Cause.CLEAN, checkpointed=True, recent=True, names=True)
    if last.boot is not None and last.boot == here.boot:
        return Trust(cause=Cause.PROCESS_DIED, checkpointed=True, recent=True, names=True)
    return Trust(cause=Cause.POWER_LOST, checkpointed=True, recent=False, names=False)


def _trust_without_journal(manifest: Manifest | None, here: Opening) -> Trust:
    if manifest is None:
        return Trust(cause=Cause.NEW, checkpointed=False, recent=False, names=False)
    written = manifest.written_in or WrittenIn(device=-1, inode=-1)
    same_place = (written.device, written.inode) == (here.device, here.inode)
    same_boot = written.boot is not None and written.boot == here.boot
    names = same_place and (same_boot or manifest.state == "complete")
    return Trust(cause=Cause.JOURNAL_LOST, checkpointed=False, recent=False, names=names)


@dataclass(slots=True, kw_only=True)
class _Verdicts:
    """What is to be done, gathered before anything is."""

    roll: dict[str, str] = field(default_factory=dict)
    """By path: the temporary that holds its bytes."""
    remove: list[str] = field(default_factory=list)
    drop: dict[str, str | None] = field(default_factory=dict)
    """By path: the SHA-256 that must come again, of what was whole once."""
    want: dict[str, tuple[Entry, str | None]] = field(default_factory=dict)
    """By path: its entry, and the SHA-256 that must come."""
    adopt: list[Entry] = field(default_factory=list)
    hashed: int = 0


def recover(root: Folder, ledger: Ledger, state: JournalState, trust: Trust) -> Recovery:
    """Make every entry true and remove what nothing speaks of; `ledger` was made from `state`."""
    verdicts = _Verdicts()
    by_folder: dict[str, dict[str, Entry]] = {"": {}}
    for path, entry in state.entries.items():
        relative, name = split_path(path)
        by_folder.setdefault(relative, {})[name] = entry
    for name in _own_folders(root):
        by_folder.setdefault(name, {})
    for relative, entries in by_folder.items():
        with translating(relative or ROOT):
            try:
                folder = root.descend(relative)
            except FileNotFoundError:
                for entry in entries.values():
                    _judge_lost(entry, is_there=False, state=state, verdicts=verdicts)
                continue
            with folder:
                _judge(folder, relative, entries, state=state, trust=trust, verdicts=verdicts)
    _carry_out(root, ledger, verdicts)
    if trust.cause not in (Cause.CLEAN, Cause.PROCESS_DIED, Cause.POWER_LOST):
        ledger.distrust()
    return Recovery(
        cause=trust.cause,
        kept=len(ledger.entries),
        hashed=verdicts.hashed,
        rolled_forward=tuple(verdicts.roll),
        adopted=tuple(entry.path for entry in verdicts.adopt),
        dropped=tuple(verdicts.drop),
        wanted=tuple(verdicts.want),
        removed=tuple(verdicts.remove),
        damaged_lines=state.damaged,
    )


def _own_folders(root: Folder) -> Iterable[str]:
    """The folders at the top that are ours by their name."""
    with translating(ROOT), root.scan() as entries:
        return [
            entry.name
            for entry in entries
            if (is_stream_folder(entry.name) or entry.name in (DATA, KEYS)) and entry.is_dir(follow_symlinks=False)
        ]


def _judge(
    folder: Folder, relative: str, entries: dict[str, Entry], *, state: JournalState, trust: Trust, verdicts: _Verdicts
) -> None:
    """Decide about one folder; `entries` are those of its files, by name."""
    found = look(folder)
    doubtful: set[str] = set()
    for temporary, name in found.temporaries:
        entry = entries.get(name)
        # A checkpoint speaks only of names that were given, so a temporary beside one belongs to a later attempt.
        is_due = entry is not None and entry.path in state.unsynced and entry.path not in verdicts.roll
        if entry is not None and is_due and _holds(folder, temporary, entry, verdicts):
            verdicts.roll[entry.path] = temporary
        else:
            verdicts.remove.append(join_path(relative, temporary))
            doubtful.add(name)  # the last line may speak of bytes that never got this name
    is_read = relative == KEYS and len(entries) <= MOST_KEYS_READ
    for name, entry in entries.items():
        if entry.path in state.wanted:  # known for what it is
            _judge_wanted(folder, name, entry, is_there=name in found.sizes, state=state, verdicts=verdicts)
            continue
        has_size = found.sizes.get(name) == entry.size and not is_read
        by_size = trust.recent or (trust.checkpointed and entry.path not in state.unsynced)
        if has_size and by_size and name not in doubtful and entry.path not in state.replaced:
            continue  # as nearly always, and there are many; what was replaced may still be the damaged file
        if entry.path not in verdicts.roll and not _holds(folder, name, entry, verdicts):
            _judge_lost(entry, is_there=name in found.sizes, state=state, verdicts=verdicts)
    if is_stream_folder(relative):
        for name in found.sizes.keys() - entries.keys():
            if is_media(name):
                _judge_unlisted(folder, join_path(relative, name), trust, verdicts)


def _judge_lost(entry: Entry, *, is_there: bool, state: JournalState, verdicts: _Verdicts) -> None:
    """An entry that is not true. What was whole once must come again as it was, and what is left of it stays till then.

    A film with a flaw is more than half a film, and its origin may be gone.
    """
    path, was = entry.path, state.expected.get(entry.path)
    if path in state.replaced:
        entry = state.replaced[path]  # its like has not come, after all
    elif path not in state.unsynced:
        was = was or entry.sha256
    elif was is None:
        is_there = False  # it was never known to be whole
    must_have = was if must_come_as_it_was(path) else None
    if is_there:
        verdicts.want[path] = entry, must_have
    else:
        verdicts.drop[path] = must_have


def _judge_wanted(
    folder: Folder, name: str, entry: Entry, *, is_there: bool, state: JournalState, verdicts: _Verdicts
) -> None:
    """What is wanted is here again as it was, if somebody has put it back; or it has gone since."""
    must_have = state.expected.get(entry.path)
    if not is_there:
        verdicts.drop[entry.path] = must_have
    elif must_have == entry.sha256 and _holds(folder, name, entry, verdicts):
        verdicts.adopt.append(entry)


def _judge_unlisted(folder: Folder, path: str, trust: Trust, verdicts: _Verdicts) -> None:
    """A segment that no entry speaks of: whole if names can be trusted, else nobody knows what it is."""
    if not trust.names:
        verdicts.remove.append(path)
        return
    size, sha256 = hash_file(folder, split_path(path)[1])
    verdicts.hashed += 1
    verdicts.adopt.append(Entry(path=path, size=size, sha256=sha256, length_verified=False))


def _holds(folder: Folder, name: str, entry: Entry, verdicts: _Verdicts) -> bool:
    """Whether the file `name` has exactly the bytes of `entry`."""
    status = folder.status(name)
    if status is None or not S_ISREG(status.st_mode) or status.st_size != entry.size:
        return False
    verdicts.hashed += 1
    return hash_file(folder, name) == (entry.size, entry.sha256)


def _carry_out(root: Folder, ledger: Ledger, verdicts: _Verdicts) -> None:
    """Files first, then the journal."""
    for path, temporary in verdicts.roll.items():
        relative, name = split_path(path)
        with translating(path), root.descend(relative) as folder:
            folder.rename(temporary, name)
    for path in (*verdicts.remove, *verdicts.drop):
        remove_file(root, path)
    ledger.settle(dropped=verdicts.drop, wanted=verdicts.want, adopted=verdicts.adopt)
