"""Parsing: a playlist's bytes and its URL in, a frozen value out (RFC 8216, and its revision where that adds).

The order: `lines` decodes, `variables` substitutes, `survey` walks over the lines and makes m3u8's copy, then
`multivariant` or `media` lets m3u8 read that copy and adds the rest. What changes no bytes is tolerated with a
warning in the value; what could is refused. URLs are resolved, never judged: that is the business of `access`.
"""

from __future__ import annotations

from collections.abc import Mapping

from hlsdl.errors import LimitError, PlaylistError, redact
from hlsdl.playlist.addresses import Base
from hlsdl.playlist.lines import DEFAULT_LIMITS, PlaylistLimits, PlaylistText
from hlsdl.playlist.media import read_media
from hlsdl.playlist.models import MediaPlaylist, MultivariantPlaylist
from hlsdl.playlist.multivariant import read_multivariant
from hlsdl.playlist.notes import Notes
from hlsdl.playlist.survey import survey
from hlsdl.playlist.variables import substitute


def parse_playlist(
    data: bytes,
    url: str,
    *,
    requested_url: str | None = None,
    imported: Mapping[str, str] | None = None,
    limits: PlaylistLimits = DEFAULT_LIMITS,
) -> MultivariantPlaylist | MediaPlaylist:
    """Read one playlist.

    Args:
        data: the playlist, as served.
        url: where it came from after redirects: the base of its URIs.
        requested_url: the URL as it was asked for, whose query EXT-X-DEFINE:QUERYPARAM reads; `url` when left out.
        imported: `variables` of the multivariant playlist, for EXT-X-DEFINE:IMPORT.
        limits: how much is believable.

    Raises PlaylistError (with 1-based `line` and `reason`) and LimitError, never anything else.
    """
    try:
        return _parsed(data, url, requested_url or url, imported, limits)
    except (PlaylistError, LimitError) as error:
        error.url = redact(url)
        raise


def _parsed(
    data: bytes, url: str, requested_url: str, imported: Mapping[str, str] | None, limits: PlaylistLimits
) -> MultivariantPlaylist | MediaPlaylist:
    notes = Notes()
    text = PlaylistText.decode(data, limits=limits)
    text, variables = substitute(text, requested_url=requested_url, imported=imported, limits=limits, notes=notes)
    found = survey(text.lines, limits, notes)
    base = Base(url, limits)
    if found.is_multivariant:
        return read_multivariant(text, found, base, variables, notes)
    return read_media(text, found, base, limits, notes)
