"""The bundle: one asset at rest (docs/bundle-format.md), and plain files on their way to the disk."""

from __future__ import annotations
