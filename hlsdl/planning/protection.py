"""Whether a stored stream can be played without a key system, and what to call its encryption.

hlsdl keeps identity keys (RFC 8216 §4.3.2.4) and leaves every DRM system alone: such streams are ciphertext to us.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from hlsdl.playlist.models import Key, MediaPlaylist

PLAYABLE_METHODS = frozenset({"AES-128", "SAMPLE-AES", "SAMPLE-AES-CTR"})
"""The methods a player can decrypt with nothing but an identity key."""
KEY_SCHEMES = frozenset({"http", "https", "file", "data"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Protection:
    """How a stream is encrypted."""

    encryption: str
    """`none`, or the METHODs in order of appearance joined by `+`."""
    obstacle: str | None
    """Why nothing here can play the stored stream, one clause, or None when it plays."""

    @property
    def is_playable(self) -> bool:
        """Whether the stored stream plays offline with the keys we keep."""
        return self.obstacle is None


def opens(key: Key) -> bool:
    """Whether this key is one that we can keep and a plain player can use."""
    scheme = (key.uri or "").split(":", 1)[0].lower()
    return key.keyformat == "identity" and key.method in PLAYABLE_METHODS and scheme in KEY_SCHEMES


def protection_of(playlist: MediaPlaylist) -> Protection:
    """Judge a stream by the keys in force over its segments and init sections."""
    ordered = sorted(_key_sets(playlist), key=_first_line)
    methods = dict.fromkeys(key.method for keys in ordered for key in keys)
    locked = next((keys for keys in ordered if not any(opens(key) for key in keys)), None)
    return Protection(encryption="+".join(methods) or "none", obstacle=_obstacle(locked) if locked else None)


def _key_sets(playlist: MediaPlaylist) -> Iterable[tuple[Key, ...]]:
    """Each set of keys in force once, by identity: the reader shares them, and comparing 100,000 sets takes long."""
    sets = {id(segment.keys): segment.keys for segment in playlist.segments if segment.keys}
    maps = {id(segment.init): segment.init for segment in playlist.segments if segment.init is not None}
    return (sets | {id(init.keys): init.keys for init in maps.values() if init.keys}).values()


def _first_line(keys: tuple[Key, ...]) -> int:
    return min(key.line for key in keys)


def _obstacle(keys: tuple[Key, ...]) -> str:
    foreign = [key.keyformat for key in keys if key.keyformat != "identity"]
    if foreign:
        return f"its keys belong to a DRM system (`{'`, `'.join(dict.fromkeys(foreign))}`)"
    unknown = next((key for key in keys if key.method not in PLAYABLE_METHODS), None)
    if unknown is not None:
        return f"its encryption method `{unknown.method}` is unknown here"
    scheme = (keys[0].uri or "").split(":", 1)[0] or "missing"
    return f"its key address (`{scheme}:`) belongs to a key system"
