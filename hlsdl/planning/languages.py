"""Matching languages people name with languages playlists name (BCP 47; RFC 4647 basic filtering, both ways).

Two tags match when the language is the same and neither names a script or region that the other contradicts: `en`
matches `en-US`, `en-US` matches `en`, and `fr-FR` does not match `fr-CA`. A region implies its script, so `zh-TW`
matches `zh-Hant`. `langcodes` knows that `eng` is `en` and `nb` is as good as `no`.
"""

from __future__ import annotations

from collections.abc import Iterable

NEAREST_LANGUAGES = 2
"""How far (CLDR distance) two bare languages may be apart: macrolanguages and the like, not neighbours."""


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
        mine, theirs = langcodes.Language.get(wanted), langcodes.Language.get(offered)
        apart = langcodes.tag_distance(mine.language or "und", theirs.language or "und")
    except ValueError:
        # A tag that is not BCP 47 at all ("English") can only be matched to the letter.
        return None
    contradicted = (mine.territory and theirs.territory and mine.territory != theirs.territory) or (
        _script(mine) and _script(theirs) and _script(mine) != _script(theirs)
    )
    if apart > NEAREST_LANGUAGES or contradicted:
        return None
    return 1 + apart + (mine.territory != theirs.territory) + (mine.script != theirs.script)


def nearest(wanted: str, offered: Iterable[str | None]) -> str | None:
    """The offered tag nearest to `wanted`, or None when no tag is that language."""
    fitting = [(apart, tag) for tag in offered if tag and (apart := distance(wanted, tag)) is not None]
    return min(fitting, key=lambda pair: pair[0])[1] if fitting else None


def _script(tag: object) -> str | None:
    """The script a tag names, or that its region implies; None when it leaves the script open."""
    import langcodes

    assert isinstance(tag, langcodes.Language)  # noqa: S101 - `langcodes` has no types of its own
    if tag.script:
        return str(tag.script)
    return tag.maximize().script if tag.territory else None
