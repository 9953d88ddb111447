"""Keys: what EXT-X-KEY and EXT-X-SESSION-KEY say, and which keys are in force together (RFC 8216 §4.3.2.4)."""

from __future__ import annotations

from hlsdl.errors import PlaylistError
from hlsdl.playlist.addresses import Base
from hlsdl.playlist.attributes import read_hexadecimal
from hlsdl.playlist.models import Key
from hlsdl.playlist.notes import Notes

IDENTITY = "identity"
"""The KEYFORMAT of keys that are simply fetched."""

IV_DIGITS = 32
"""Hexadecimal digits of a 128-bit initialization vector."""


def read_key(attributes: dict[str, str], tag: str, index: int, base: Base, notes: Notes) -> Key | None:
    """The key that a tag's attributes name, or None for METHOD=NONE.

    An identity key must have what decryption needs: a URI, and an IV that is one if there is any. Keys of
    DRM systems are taken as written.
    """
    method = attributes.get("METHOD")
    if not method:
        raise PlaylistError(f"`{tag}` has no `METHOD`", line=index + 1)
    if method == "NONE":
        return None
    keyformat = attributes.get("KEYFORMAT") or IDENTITY
    uri = attributes.get("URI")
    iv = attributes.get("IV")
    if not uri:
        if keyformat == IDENTITY:
            raise PlaylistError(f"`{tag}` has no `URI`", line=index + 1)
        notes.add(f"`{tag}` of a DRM system has no `URI`", index)
    if iv is not None and keyformat == IDENTITY:
        read_hexadecimal(iv, "`IV`", index, digits=IV_DIGITS)
    return Key(
        method=method,
        uri=base.resolve(uri, index) if uri else None,
        iv=iv,
        keyformat=keyformat,
        keyformat_versions=attributes.get("KEYFORMATVERSIONS"),
        line=index,
    )


class KeysInForce:
    """The keys that apply at one place of a media playlist: at most one for each KEYFORMAT."""

    def __init__(self) -> None:
        self._by_format: dict[str, Key] = {}
        self.keys: tuple[Key, ...] = ()
        """The present set. It stays the same object while nothing changes, so that segments share it."""

    def put(self, key: Key | None) -> None:
        """A KEY replaces the one of its own KEYFORMAT; METHOD=NONE (None) ends all."""
        if key is None:
            self._by_format.clear()
            self.keys = ()
            return
        known = self._by_format.get(key.keyformat)
        if known is None or not _is_same(known, key):
            self._by_format[key.keyformat] = key
            self.keys = tuple(self._by_format.values())


def _is_same(one: Key, other: Key) -> bool:
    """Whether two tags say the same: packagers repeat EXT-X-KEY before every segment."""
    return (one.uri, one.iv, one.method, one.keyformat_versions) == (
        other.uri,
        other.iv,
        other.method,
        other.keyformat_versions,
    )
