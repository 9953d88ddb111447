"""The manifest: what is written is read back, and what a stranger wrote is checked."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from hlsdl.bundle.manifest import DerivedFile, Manifest, StoredKey, count_segments, shortfalls
from hlsdl.errors import IntegrityError

from .shelves import VIDEO, body, entry_for, manifest, segment_path, stream


def test_a_manifest_survives_its_own_text() -> None:
    """Encoding and decoding give the same value, with `schema` first and readable."""
    original = manifest(stream(3), warnings=("one",), keys=(StoredKey(path="keys/K.key", url="https://k.example/"),))
    text = original.encode()
    read = Manifest.decode(text)
    assert read.is_intact
    assert replace(read, checksum=None) == original
    assert text.startswith(b'{\n  "schema": "hlsdl.manifest/1",\n  "id": "')
    assert Manifest.decode(text).encode() == text


def test_unknown_fields_are_kept() -> None:
    """What a newer version wrote is not lost when this one writes again."""
    value = json.loads(manifest(stream(1)).encode())
    value["future"] = {"a": 1}
    value["streams"][0]["future"] = [2]
    again = json.loads(Manifest.decode(json.dumps(value).encode()).encode())
    assert again["future"] == {"a": 1}
    assert again["streams"][0]["future"] == [2]


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (("schema",), "hlsdl.manifest/2"), (("state",), "done"), (("streams", 0, "id"), "../x"),
        (("streams", 0, "playlist"), "/etc/passwd"), (("streams", 0, "segments"), -1), (("streams", 0, "bytes"), 2**70),
        (("streams", 0, "duration"), "inf"), (("title",), None), (("keys",), [{"path": "keys/../../x", "url": ""}]),
        (("journal_sha256",), "short"),
    ],
)  # fmt: skip
def test_a_wrong_field_is_an_integrity_error(place: tuple[object, ...], value: object) -> None:
    """Unsafe paths, numbers out of range, and unknown versions are refused with the field's name."""
    document = json.loads(manifest(stream(1)).encode())
    target = document
    for step in place[:-1]:
        target = target[step]
    target[place[-1]] = value
    with pytest.raises(IntegrityError, match=str(place[-1])):
        Manifest.decode(json.dumps(document).encode())


@pytest.mark.parametrize(
    "data", [b"", b"{}", b"[]", b"\xff\xfe", b'{"title":"x","source_url":"","final_url":""}', b"[" * 9999]
)
def test_what_is_no_manifest_is_an_integrity_error(data: bytes) -> None:
    """Bytes that are no manifest at all are refused in one way."""
    with pytest.raises(IntegrityError, match=r"manifest\.json"):
        Manifest.decode(data)


def test_addresses_are_not_in_reprs_or_messages() -> None:
    """A URL's query may be a token: it is in the file and nowhere else."""
    original = manifest(stream(1), keys=(StoredKey(path="keys/K.key", url="https://k.example/?secret-token"),))
    assert b"secret-token" in original.encode()
    assert "secret-token" not in repr(original)
    broken = original.encode().replace(b'"path": "keys/K.key"', b'"path": "keys/../secret-token"')
    with pytest.raises(IntegrityError) as caught:
        Manifest.decode(broken)
    assert "secret-token" not in str(caught.value)


def test_a_whole_bundle_has_no_shortfalls_and_each_lack_is_named() -> None:
    """Missing, short, uncounted and unlisted things are each found; nothing else is."""
    entries = {segment_path(number): entry_for(segment_path(number), body(number)) for number in range(2)}
    entries["keys/K.key"] = entry_for("keys/K.key", bytes(16))
    sizes = {path: entry.size for path, entry in entries.items()} | {f"{VIDEO}/index.m3u8": 8, "boot.xml": 5}
    whole = manifest(
        stream(2),
        keys=(StoredKey(path="keys/K.key", url=""),),
        files=(DerivedFile(path="boot.xml", size=5, sha256="0" * 64),),
    )
    assert shortfalls(whole, entries, sizes) == ()
    assert "2000" in shortfalls(whole, entries, sizes | {segment_path(0): 7})[0]
    assert "missing" in shortfalls(whole, entries, {k: v for k, v in sizes.items() if k != segment_path(1)})[0]
    assert "keys/K.key" in shortfalls(whole, {k: v for k, v in entries.items() if k != "keys/K.key"}, sizes)[0]
    assert "boot.xml" in shortfalls(whole, entries, sizes | {"boot.xml": 6})[0]
    assert "2 of 3" in shortfalls(manifest(stream(3)), entries, sizes)[0]
    assert "not complete" in shortfalls(manifest(stream(2, complete=False)), entries, sizes)[0]
    assert "index.m3u8" in shortfalls(whole, entries, {k: v for k, v in sizes.items() if "index" not in k})[0]


def test_init_sections_are_not_counted_as_segments() -> None:
    """Only media segments count."""
    paths = [segment_path(1), segment_path(2), f"{VIDEO}/000000001.init.mp4", f"{VIDEO}/source.m3u8", "keys/A.key"]
    assert count_segments({path: entry_for(path, b"") for path in paths}) == {VIDEO: 2}


def test_what_json_cannot_say_becomes_null() -> None:
    """A NaN that the reader lets through is not written again: the file stays JSON."""
    value = json.loads(manifest(stream(1)).encode())
    text = json.dumps({**value, "choices": {"a": [float("nan")]}, "future": {"b": float("inf")}}).encode()
    again = json.loads(Manifest.decode(text).encode(), parse_constant=pytest.fail)
    assert (again["choices"], again["future"]) == ({"a": [None]}, {"b": None})


def test_a_document_without_its_schema_is_no_manifest() -> None:
    """What does not say which version it is, is not read, however well the rest fits."""
    value = json.loads(manifest(stream(1)).encode())
    del value["schema"]
    with pytest.raises(IntegrityError, match="`schema`"):
        Manifest.decode(json.dumps(value).encode())
