"""m3u8 is behind one door, and what it raises does not get through."""

from __future__ import annotations

import pytest

from hlsdl.errors import LimitError, PlaylistError
from hlsdl.playlist.reading import read_with_m3u8


@pytest.mark.parametrize(
    "line",
    [
        pytest.param("#EXT-X-TARGETDURATION:x", id="ValueError"),
        pytest.param("#EXT-X-I-FRAME-STREAM-INF:BANDWIDTH=1", id="KeyError"),
        pytest.param("#EXT-X-PROGRAM-DATE-TIME:9999-12-31T23:59:59Z\n#EXTINF:9e9,\na.ts", id="OverflowError"),
    ],
)
def test_failures_of_m3u8_are_playlist_errors(line: str) -> None:
    with pytest.raises(PlaylistError, match="the playlist cannot be read"):
        read_with_m3u8(["#EXTM3U", *line.split("\n")], lambda *_: False)


@pytest.mark.parametrize("error", [PlaylistError("mine", line=3), LimitError("mine")])
def test_our_own_errors_pass_through_unchanged(error: Exception) -> None:
    def hook(*_: object) -> bool:
        raise error

    with pytest.raises(type(error)) as caught:
        read_with_m3u8(["#EXTM3U"], hook)
    assert caught.value is error
