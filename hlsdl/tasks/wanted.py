"""What an asset task is asked to store: content configurations, or the older option keys.

They are written down as `Preferences`, one for each content configuration, which is what the story of a download takes
and what a bundle remembers. Sources: AVAssetDownloadConfiguration, AVAssetDownloadContentConfiguration,
AVAssetDownloadTask's option keys.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from hlsdl.errors import UsageError
from hlsdl.planning.media_selection import MediaSelection
from hlsdl.planning.option_ids import Pairs
from hlsdl.planning.preferences import Preferences
from hlsdl.planning.qualifiers import VariantQualifier, where_texts
from hlsdl.tasks.asset import Asset


@dataclass(slots=True, kw_only=True)
class DownloadContentConfiguration:
    """One content configuration: a variant, and the media selections that go with it.

    Source: AVAssetDownloadContentConfiguration.
    """

    variant_qualifiers: list[VariantQualifier] = field(default_factory=list)
    """In order; the first that at least one variant satisfies wins. Empty, or none satisfied: automatic.

    A predicate or an expression will do for a qualifier."""
    media_selections: list[MediaSelection] = field(default_factory=list)
    """Of the asset. Empty: automatic."""
    preferences: Preferences = field(default_factory=Preferences)
    """What qualifiers cannot say: floors, ceilings, languages. Its own `multichannel` is not looked at: see
    `DownloadConfiguration.auxiliary`."""
    is_multichannel: bool = False
    """Of an auxiliary configuration: the most capable multichannel audio of the primary one, without a second video."""

    @classmethod
    def multichannel(cls) -> DownloadContentConfiguration:
        """The auxiliary configuration that every download has to begin with."""
        return cls(is_multichannel=True)

    def wish(self, *, multichannel: bool, shares_video: bool = False) -> Preferences:
        """The preferences that this configuration means."""
        return replace(
            self.preferences,
            where=(*self.preferences.where, *where_texts(self.variant_qualifiers)),
            media_selections=(*self.preferences.media_selections, *encoded(self.media_selections)),
            multichannel=multichannel,
            shares_video=shares_video,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class DownloadOptions:
    """The six option keys of AVAssetDownloadTask, None or the default meaning: not given."""

    minimum_required_media_bitrate: int | None = None
    """Bits per second: the lowest variant at or above it, else the highest. 0 is as good as None."""
    minimum_required_presentation_size: tuple[int, int] | None = None
    """Pixels: the smallest size with both sides at or above, else the largest."""
    media_selection: MediaSelection | None = None
    prefers_multichannel: bool = True
    prefers_lossless_audio: bool = False
    prefers_hdr: bool = True

    def preferences(self) -> Preferences:
        """The preferences that these keys mean.

        Raises:
            UsageError: a negative bitrate, or a size without two positive sides.
        """
        bitrate, size = self.minimum_required_media_bitrate, self.minimum_required_presentation_size
        if bitrate is not None and bitrate < 0:
            raise UsageError("`minimum_required_media_bitrate` is negative", hint="give bits per second")
        if size is not None and (len(size) != 2 or min(size) <= 0):
            raise UsageError("`minimum_required_presentation_size` has no two positive sides", hint="(width, height)")
        return Preferences(
            min_bitrate=bitrate or None,
            min_size=size,
            hdr=self.prefers_hdr,
            lossless=self.prefers_lossless_audio,
            media_selections=tuple(encoded([self.media_selection])) if self.media_selection is not None else (),
        )


def must_be(value: object, kind: type, name: str, *, example: str) -> None:
    """Raise UsageError for what a program gives in the place of a value of ours: most often a URL."""
    if not isinstance(value, kind):
        raise UsageError(f"`{name}` is no `{kind.__name__}` but a `{type(value).__name__}`", hint=f"give it {example}")


def encoded(selections: Iterable[MediaSelection]) -> Iterator[Pairs]:
    """As preferences hold them; UsageError for what is no selection: most often one of its options."""
    for one in selections:
        must_be(one, MediaSelection, "media_selections", example="those of the asset, such as `with_option` makes")
        yield one.encode()


@dataclass(slots=True, kw_only=True)
class DownloadConfiguration:
    """Everything about one asset download; the task that is made with it keeps a copy.

    Source: AVAssetDownloadConfiguration.
    """

    asset: Asset = field(kw_only=False)
    title: str | None = None
    """Shown to people, and the bundle's name. None: what the stream calls itself."""
    artwork: bytes | str | Path | None = field(default=None, repr=False)
    """A picture, or its path (JPEG, PNG, GIF or WebP of at most 32 MiB) that is stored in the bundle (artworkData)."""
    destination: str | Path | None = None
    """A folder, in which the bundle is named after its title, or a path that ends in `.movpkg`. None: the library."""
    primary: DownloadContentConfiguration = field(default_factory=DownloadContentConfiguration)
    """What a player shows by itself (primaryContentConfiguration)."""
    auxiliary: list[DownloadContentConfiguration] = field(
        default_factory=lambda: [DownloadContentConfiguration.multichannel()]
    )
    """What is stored in addition, to begin with the multichannel audio; empty: nothing
    (auxiliaryContentConfigurations)."""
    optimizes_auxiliary_content_configurations: bool = True
    """Take variants for the auxiliary configurations that need no further video, where there are such."""
    downloads_interstitial_assets: bool = False
    """Interstitials are left out; to ask for them is a `UsageError` for now (downloadsInterstitialAssets)."""
    keep_protected: bool = False
    """Store ciphertext that nothing here can play."""
    allow_gaps: bool = False
    """Turn segments that the origin no longer has into gaps instead of failing."""

    def __post_init__(self) -> None:
        must_be(self.asset, Asset, "asset", example='hlsdl.Asset("https://…")')

    @classmethod
    def from_options(
        cls,
        asset: Asset,
        *,
        title: str | None = None,
        artwork: bytes | str | Path | None = None,
        destination: str | Path | None = None,
        options: DownloadOptions | None = None,
    ) -> DownloadConfiguration:
        """The same, said with option keys.

        Source: makeAssetDownloadTask(asset:assetTitle:assetArtworkData:options:).
        """
        given = options or DownloadOptions()
        return cls(
            asset=asset,
            title=title,
            artwork=artwork,
            destination=destination,
            primary=DownloadContentConfiguration(preferences=given.preferences()),
            auxiliary=[DownloadContentConfiguration.multichannel()] if given.prefers_multichannel else [],
        )

    def wishes(self) -> tuple[Preferences, ...]:
        """One `Preferences` for each content configuration, the primary one first.

        Raises:
            UsageError: interstitials are wanted, or something that cannot be.
        """
        if self.downloads_interstitial_assets:
            raise UsageError("interstitial assets are not stored", hint="leave `downloads_interstitial_assets` off")
        return wishes_of_contents(
            self.primary, self.auxiliary, shares_video=self.optimizes_auxiliary_content_configurations
        )


def wishes_of_contents(
    primary: DownloadContentConfiguration, auxiliary: Iterable[DownloadContentConfiguration], *, shares_video: bool
) -> tuple[Preferences, ...]:
    """The wishes of content configurations; the multichannel one is part of the primary wish."""
    others = list(auxiliary)
    first = primary.wish(multichannel=any(one.is_multichannel for one in others))
    rest = (one.wish(multichannel=False, shares_video=shares_video) for one in others if not one.is_multichannel)
    return tuple(dict.fromkeys((first, *rest)))


def aggregate_wishes(selections: Sequence[MediaSelection], options: DownloadOptions) -> tuple[Preferences, ...]:
    """The one wish of an aggregate task: one variant, every selection (`AVAggregateAssetDownloadTask`).

    Its options' own media selection is ignored, as Apple's is.
    """
    base = replace(options, media_selection=None).preferences()
    return (
        replace(
            base,
            media_selections=tuple(dict.fromkeys(encoded(selections))),
            multichannel=options.prefers_multichannel,
        ),
    )
