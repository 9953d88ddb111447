"""The bundle as programs hold it: everything `bundle.reading` says of it, and the judgement of `verification`."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

from hlsdl.bundle.reading import Bundle as StoredBundle

if TYPE_CHECKING:
    from hlsdl.session.asset_cache import AssetCache
    from hlsdl.verification.findings import Report


class Bundle(StoredBundle):
    """A stored asset, as `hlsdl.fetch` and `hlsdl.open` give it; a read-only view of the moment it was opened.

    Source: AVURLAsset.assetCache with AVAssetCache.isPlayableOffline (`is_playable_offline`).
    """

    @property
    def cache(self) -> AssetCache:
        """What of the asset plays without a network (AVURLAsset.assetCache)."""
        from hlsdl.session.asset_cache import AssetCache  # downloads need no groups and options

        return AssetCache(self)

    def verify(self, *, deep: bool = False, ffmpeg: Path | None = None) -> Report:
        """Read every file once and say everything that is wrong; blocks until done.

        Args:
            deep: also decode every stream with ffmpeg.
            ffmpeg: the program to use; None: the one that is found.

        Raises:
            UsageError: the bundle is gone, or `deep` and there is no ffmpeg.
        """
        from hlsdl.verification import verify_bundle

        # In a thread of its own, since the caller may be inside an event loop and ffmpeg is driven by another one.
        with ThreadPoolExecutor(max_workers=1) as thread:
            return thread.submit(verify_bundle, self.path, deep=deep, ffmpeg=ffmpeg).result()
