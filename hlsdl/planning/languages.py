"""Matching languages people name with languages playlists name (BCP 47, RFC 4647 lookup).

`langcodes` knows that `eng` is `en`, that `zh-TW` is written in Hant, and how far apart two tags are.
"""

from __future__ import annotations

from collections.abc import Iterable

FARTHEST = 10
"""How far (CLDR distance) a tag may be from what was asked: regional differences, not another language."""


def matches(wanted: str, offered: str | None) -> bool:
    """Whether a rendition in `offered` satisfies somebody who asked for `wanted`."""
    return distance(wanted, offered) is not None


def distance(wanted: str, offered: str | None) -> int | None:
    """How well `offered` fits `wanted`: 0 is exact, larger is farther, None is another language."""
    if not offered:
        return None
    if wanted.lower() == offered.lower():
        return 0
    import langcodes  # loading it costs as much as a small download, and most downloads compare nothing

    try:
        apart = langcodes.tag_distance(wanted, offered)
    except ValueError:
        # A tag that is not BCP 47 at all ("English") can only be matched to the letter.
        return None
    return apart + 1 if apart <= FARTHEST else None


def nearest(wanted: str, offered: Iterable[str | None]) -> str | None:
    """The offered tag nearest to `wanted`, or None when no tag is that language."""
    fitting = [(apart, tag) for tag in offered if tag and (apart := distance(wanted, tag)) is not None]
    return min(fitting, key=lambda pair: pair[0])[1] if fitting else None
