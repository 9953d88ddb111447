"""The picture that goes into a bundle: what may be one, and where it is kept."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field
from pathlib import Path

from hlsdl.bundle import layout
from hlsdl.bundle.reading import Bundle
from hlsdl.errors import IntegrityError, PolicyError, UsageError

ARTWORK_TYPES = {"jpg": rb"\xff\xd8\xff", "png": rb"\x89PNG", "gif": rb"GIF8", "webp": rb"RIFF....WEBP"}
"""Extension -> how such a file begins."""
MOST_ARTWORK_BYTES = 32 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Artwork:
    """A picture that goes into the bundle."""

    path: str
    data: bytes = field(repr=False)

    def is_in(self, bundle: Bundle) -> bool:
        """Whether a bundle has this very picture, and undamaged."""
        entry = bundle.entries.get(self.path)
        if entry is None or entry.sha256 != hashlib.sha256(self.data).hexdigest():
            return False
        try:
            return bundle.read(self.path) == self.data
        except (IntegrityError, PolicyError):
            return False


def read_artwork(picture: Path | bytes | None) -> Artwork | None:
    """Read the picture the user named, before anything else is done; a program may give its bytes.

    Raises:
        UsageError: it cannot be read, or is no picture of at most 32 MiB.
    """
    if picture is None:
        return None
    if isinstance(picture, bytes):
        name, data = "the artwork", picture
    else:
        name = f"the artwork `{picture}`"
        try:
            data = picture.read_bytes() if picture.stat().st_size <= MOST_ARTWORK_BYTES else b""
        except (OSError, ValueError):  # ValueError: a NUL in the path
            raise UsageError(f"{name} cannot be read") from None
    kind = next((kind for kind, beginning in ARTWORK_TYPES.items() if re.match(beginning, data, re.DOTALL)), None)
    if kind is None or len(data) > MOST_ARTWORK_BYTES:
        raise UsageError(f"{name} is no JPEG, PNG, GIF or WebP image of at most 32 MiB")
    return Artwork(path=artwork_path(kind), data=data)


def artwork_path(kind: str) -> str:
    """Where a picture of this type is kept."""
    return f"{layout.ARTWORK}{kind}"
