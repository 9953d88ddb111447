"""The journal's lines: what is written is read back, and damage costs only what it touches."""

from __future__ import annotations

import re
import time
from dataclasses import FrozenInstanceError, replace
from zlib import crc32

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hlsdl.bundle import journal
from hlsdl.bundle.journal import (
    Entry,
    Opening,
    checkpoint_line,
    close_line,
    compact_journal,
    decode_line,
    drop_line,
    encode_line,
    entry_line,
    opening_line,
    pause_line,
    replay,
    want_line,
)

from .shelves import body, entry_for, segment_path

HERE = Opening(boot="boot-1", device=1, inode=2, pid=3)


def entry(number: int) -> Entry:
    return entry_for(segment_path(number), body(number))


def test_what_is_written_is_read_back() -> None:
    """Every field of an entry and of the opening survives the journal."""
    first = Entry(path="keys/A.key", size=16, sha256="0" * 64, etag='"é\n"', last_modified="x", length_verified=False)
    state = replay(opening_line(HERE) + entry_line(first) + entry_line(entry(1)))
    assert state.entries == {"keys/A.key": first, segment_path(1): entry(1)}
    assert state.opening == HERE
    assert not state.is_clean
    assert not state.is_torn
    assert state.damaged == 0


def test_an_entry_that_was_read_is_whole_and_frozen() -> None:
    """Entries are written field by field and become entries at the end: none is forgotten, and none stays open."""
    (found,) = replay(entry_line(entry(1))).entries.values()
    assert type(found) is Entry
    assert replace(found) == found == entry(1)
    with pytest.raises(FrozenInstanceError):
        found.size = 0  # type: ignore[misc]


@given(
    path=st.text(max_size=60),
    size=st.integers(min_value=0, max_value=2**63 - 1),
    sha256=st.binary(min_size=32, max_size=32).map(bytes.hex),
    etag=st.none() | st.text(max_size=60),
    modified=st.none() | st.text(max_size=60),
    length=st.none() | st.integers(min_value=0, max_value=2**63 - 1),
    verified=st.booleans(),
)
def test_an_entry_is_written_as_json_writes_it(
    *, path: str, size: int, sha256: str, etag: str | None, modified: str | None, length: int | None, verified: bool
) -> None:
    """The line that is put together by hand is the one that the JSON encoder would give, byte for byte."""
    one = Entry(
        path=path,
        size=size,
        sha256=sha256,
        etag=etag,
        last_modified=modified,
        complete_length=length,
        length_verified=verified,
    )
    fields = {"path": path, "size": size, "sha256": sha256, "etag": etag, "modified": modified, "verified": verified}
    more = {} if length is None else {"complete_length": length}
    assert entry_line(one) == encode_line({"t": "seg", **fields, **more})


def test_the_length_of_the_whole_of_which_an_object_is_a_part_comes_back() -> None:
    first = replace(entry(1), etag=None, complete_length=2**40)
    assert replay(entry_line(first)).entries[first.path] == first


@given(
    etag=st.none() | st.text(alphabet='"\\/\té aW-', max_size=8),
    size=st.integers(min_value=0, max_value=2**64),
    at=st.integers(min_value=0, max_value=250),
    byte=st.integers(min_value=0, max_value=255),
    is_whole=st.booleans(),
)
def test_the_quick_way_to_read_an_entry_agrees_with_the_slow_one(
    *, etag: str | None, size: int, at: int, byte: int, is_whole: bool
) -> None:
    """A line that is read at first sight, damaged or not, says what the JSON reader and all the checks say of it."""
    one = Entry(path=segment_path(1), size=size, sha256="0" * 64, etag=etag, last_modified=None, length_verified=True)
    body = bytearray(entry_line(one)[9:-1])
    if not is_whole:
        body[at % len(body)] = byte
    line = b"%08x %b" % (crc32(body), bytes(body))
    found = journal._SEG.match(line.decode("latin-1"))
    quick = journal._usual_entry(found, bytes(body)) if found is not None else None
    record = decode_line(line)
    assert quick is None or (record is not None and journal._read_entry(record) == quick)
    if is_whole and size < 2**63 and (etag or "").isascii() and not set(etag or "") & set("\\/\t"):
        assert quick == one


@given(
    lines=st.lists(
        st.sampled_from(
            [
                entry_line(entry(1)),
                entry_line(entry(2)),
                entry_line(entry_for("keys/A.key", b"k")),
                entry_line(entry_for("../x", b"k")),
                drop_line(segment_path(1)),
                checkpoint_line(400),
                b"\n",
                b"damaged \xe9\n",
                entry_line(entry(3))[:-1] + b"\r\n",
                entry_line(entry(3))[:-9],
            ]
        ),
        max_size=12,
    ),
    piece=st.integers(min_value=1, max_value=600),
    cut=st.integers(min_value=0, max_value=20),
)
def test_it_does_not_matter_where_a_piece_of_the_journal_ends(*, lines: list[bytes], piece: int, cut: int) -> None:
    """The journal is looked at in pieces; it says what its lines say when each is looked at slowly, one by one."""
    data = b"".join(lines)
    data = data[: len(data) - cut]
    told: list[tuple[int, object]] = []
    end = 0
    for line in re.findall(rb"[^\n]*\n|[^\n]+", data):
        end += len(line)
        record = decode_line(line.removesuffix(b"\n"))
        if line != b"\n":
            is_entry = record is not None and record["t"] == "seg"
            told.append((end, (journal._read_entry(record) if record is not None and is_entry else None) or record))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(journal, "_PIECE", piece)
        assert list(journal._said(data)) == told


def test_a_checkpoint_covers_what_ends_before_it_says() -> None:
    """Entries whose line ends at or before `upto` are synced; a line after it, though before `ckpt`, is not."""
    lines = opening_line(HERE) + entry_line(entry(1)) + entry_line(entry(2))
    state = replay(lines + entry_line(entry(3)) + checkpoint_line(len(lines)))
    assert state.unsynced == {segment_path(3)}
    assert set(state.entries) == {segment_path(number) for number in (1, 2, 3)}


def test_an_object_stored_again_needs_another_checkpoint() -> None:
    """A newer line for the same path replaces the entry and is not covered by the older checkpoint."""
    lines = entry_line(entry(1))
    newer = entry_for(segment_path(1), b"other")
    state = replay(lines + checkpoint_line(len(lines)) + entry_line(newer))
    assert state.entries[segment_path(1)] == newer
    assert state.unsynced == {segment_path(1)}


def test_a_dropped_object_is_gone() -> None:
    """`drop` removes the entry, and it is not waiting for a checkpoint either."""
    state = replay(entry_line(entry(1)) + drop_line(segment_path(1)))
    assert state.entries == {}
    assert state.unsynced == frozenset()


def test_what_was_found_damaged_is_expected_to_come_again_as_it_was() -> None:
    """Also when something else came meanwhile and was refused; a hash that is none says nothing."""
    was, path = entry(1).sha256, segment_path(1)
    text = (
        entry_line(entry(1)) + drop_line(path, was) + entry_line(replace(entry(1), sha256="0" * 64)) + drop_line(path)
    )
    assert replay(text).expected == {path: was}
    assert replay(drop_line(path, "no hash") + drop_line(path)).expected == {}
    assert replay(compact_journal({}, HERE)).expected == {}


def test_what_is_damaged_is_wanted_until_it_comes_again_or_goes() -> None:
    path, was = segment_path(1), entry(1).sha256
    text = entry_line(entry(1)) + want_line(path, was)
    state = replay(text)
    assert (state.wanted, state.expected, set(state.entries)) == ({path}, {path: was}, {path})
    assert replay(text + entry_line(entry(1))).wanted == set()
    assert replay(text + drop_line(path)).wanted == set()
    assert replay(text + drop_line(path)).expected == {path: was}
    assert replay(entry_line(entry(1)) + want_line(path)).expected == {}
    assert replay(want_line(path, was)).wanted == set()
    assert replay(text + want_line(path)).expected == {}


def test_what_was_replaced_is_known_until_its_like_is_checkpointed() -> None:
    old, new = entry(1), replace(entry(1), sha256="1" * 64)
    text = entry_line(old) + want_line(old.path) + entry_line(new)
    state = replay(text)
    assert (state.entries, state.replaced) == ({old.path: new}, {old.path: old})
    assert replay(text + checkpoint_line(len(text))).replaced == {}
    assert replay(text + entry_line(old) + want_line(old.path)).wanted == {old.path}
    kept = replay(compact_journal({old.path: old}, HERE, {old.path: old.sha256}))
    assert (kept.wanted, kept.expected, kept.unsynced) == ({old.path}, {old.path: old.sha256}, set())


def test_only_a_final_close_is_a_clean_end() -> None:
    """`close` counts while nothing valid follows it."""
    assert replay(opening_line(HERE) + pause_line("disk") + close_line()).is_clean
    assert not replay(opening_line(HERE) + close_line() + drop_line("a/b")).is_clean


@pytest.mark.parametrize("tail", [b"garbage", b"\x00" * 500, b"\n\x00\n\xff\xfe", entry_line(entry(9))[:-20]])
def test_a_damaged_tail_costs_nothing_before_it(tail: bytes) -> None:
    """A torn, garbled or zero-filled end is ignored."""
    state = replay(opening_line(HERE) + entry_line(entry(1)) + tail)
    assert set(state.entries) == {segment_path(1)}
    assert state.is_torn is not tail.endswith(b"\n")


def test_damage_in_the_middle_costs_one_line() -> None:
    """A flipped byte is noticed, counted, and leaves its neighbours alone."""
    lines = [entry_line(entry(number)) for number in range(5)]
    lines[2] = lines[2].replace(b'"size":2000', b'"size":2001')
    state = replay(b"".join(lines))
    assert set(state.entries) == {segment_path(number) for number in (0, 1, 3, 4)}
    assert state.damaged == 1


@given(st.data())
def test_any_single_byte_of_damage_is_never_believed(data: st.DataObject) -> None:
    """Whatever one byte becomes, no entry appears that was not written."""
    text = opening_line(HERE) + b"".join(entry_line(entry(number)) for number in range(3)) + close_line()
    place = data.draw(st.integers(0, len(text) - 1))
    value = data.draw(st.integers(0, 255))
    damaged = replay(text[:place] + bytes([value]) + text[place + 1 :])
    for path, found in damaged.entries.items():
        assert found == entry(int(path.rpartition("/")[2][:9]))


@given(st.binary(max_size=2000))
def test_any_bytes_can_be_replayed(data: bytes) -> None:
    """Replay has an answer for everything."""
    assert replay(data).entries == {}


@pytest.mark.parametrize(
    "change",
    [
        {"path": "../evil"}, {"path": "manifest.json"}, {"path": 7}, {"size": -1}, {"size": 2**63}, {"size": True},
        {"size": 1.5}, {"sha256": "0" * 63}, {"sha256": "G" * 64}, {"etag": 5}, {"modified": []},
    ],
)  # fmt: skip
def test_a_line_with_a_right_crc_and_wrong_fields_is_not_believed(change: dict[str, object]) -> None:
    """The CRC says nothing about who wrote the line: types and paths are checked, too."""
    record = {"t": "seg", "path": "keys/A", "size": 1, "sha256": "0" * 64, "etag": None, "modified": None}
    assert replay(encode_line(record)).entries
    state = replay(encode_line(record | change))
    assert state.entries == {}
    assert state.damaged == 1


def test_hostile_json_is_refused() -> None:
    """Deep nesting, huge numbers, non-objects and overlong lines are damaged lines, not exceptions."""
    from zlib import crc32

    for text in (b"[" * 50_000, b'{"size":' + b"9" * 5000 + b"}", b"[1]", b'{"t":"' + b"x" * 70_000 + b'"}', b"\xff"):
        assert decode_line(b"%08x %b" % (crc32(text), text)) is None


def test_unknown_kinds_and_fields_are_ignored() -> None:
    """A newer version may add lines and fields."""
    line = encode_line({"t": "future", "x": 1}) + encode_line(
        {"t": "seg", "path": "keys/A", "size": 1, "sha256": "0" * 64, "new": {}}
    )
    state = replay(line)
    assert set(state.entries) == {"keys/A"}
    assert state.damaged == 0


def test_a_compacted_journal_says_the_same() -> None:
    """Compaction keeps the entries, all of them checkpointed, and ends cleanly."""
    entries = {segment_path(number): entry(number) for number in range(50)}
    state = replay(compact_journal(entries, HERE))
    assert state.entries == entries
    assert state.unsynced == frozenset()
    assert state.is_clean
    assert state.opening == HERE


def test_replay_is_quick_and_linear() -> None:
    """50,000 entries with useless checkpoints between them replay in well under a second of CPU."""
    lines = [entry_line(entry_for(segment_path(number), b"x")) for number in range(50_000)]
    text = b"".join(line + checkpoint_line(0) for line in lines)
    started = time.process_time()
    state = replay(text)
    seconds = time.process_time() - started
    print(f"\nreplay of 50,000 entries and as many checkpoints: {seconds:.2f} s")
    assert len(state.entries) == len(state.unsynced) == 50_000
    assert seconds < 3.0
