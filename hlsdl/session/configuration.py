"""What a caller asks for: one value for the command line and the library alike.

Rooms below receive the parts that concern them (`Preferences`, `TransferOptions`), never this whole.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from hlsdl.transfer.client import TransferOptions

from hlsdl.planning.preferences import Preferences


@dataclass(frozen=True, slots=True, kw_only=True)
class FetchOptions:
    """How one source is fetched; the defaults are those of `hlsdl fetch`."""

    preferences: Preferences = field(default_factory=Preferences)
    transfer: TransferOptions = field(default_factory=TransferOptions)
    output: Path | None = None
    """The bundle's exact path (`-o`). None: `<title>.movpkg` in `directory`."""
    directory: Path = Path()
    """The folder for bundles named after their title (`-P`)."""
    title: str | None = None
    artwork: Path | None = None
    """An image that is stored in the bundle's `Data` folder."""
    base_url: str | None = None
    """For a playlist file on this machine: where its relative URIs point."""
    force: bool = False
    """Start over, whatever is there."""
    resume: bool = True
    """False: an unfinished bundle starts over."""
    keep_protected: bool = False
    """Store ciphertext that nothing here can play."""
    allow_gaps: bool = False
    """Turn segments that the origin no longer has (404, 410) into EXT-X-GAP instead of failing."""
