"""What may be a bundle's picture."""

from __future__ import annotations

from pathlib import Path

import pytest

from hlsdl.errors import UsageError
from hlsdl.session.artwork import MOST_ARTWORK_BYTES, Artwork, read_artwork


@pytest.mark.parametrize(
    ("beginning", "path"),
    [
        (b"\xff\xd8\xff", "Data/artwork.jpg"),
        (b"\x89PNG", "Data/artwork.png"),
        (b"GIF89a", "Data/artwork.gif"),
        (b"RIFF\n\n\n\nWEBP", "Data/artwork.webp"),
        (b"RIFF\n\n\n\nWAVE", None),
        (b"<svg", None),
    ],
)
def test_a_picture_is_known_by_its_beginning(beginning: bytes, path: str | None) -> None:
    if path is None:
        with pytest.raises(UsageError, match="is no JPEG, PNG, GIF or WebP"):
            read_artwork(beginning + bytes(9))
    else:
        assert (read_artwork(beginning + bytes(9)) or Artwork(path="", data=b"")).path == path


def test_a_picture_may_have_32_mib_and_no_byte_more(tmp_path: Path) -> None:
    picture = tmp_path / "a.png"
    for size, is_fine in ((MOST_ARTWORK_BYTES, True), (MOST_ARTWORK_BYTES + 1, False)):
        data = b"\x89PNG".ljust(size, b"\0")
        picture.write_bytes(data)
        for given in (data, picture):
            if is_fine:
                assert read_artwork(given) is not None
            else:
                with pytest.raises(UsageError, match="at most 32 MiB"):
                    read_artwork(given)
    with pytest.raises(UsageError, match="cannot be read"):
        read_artwork(Path("a\0b"))
