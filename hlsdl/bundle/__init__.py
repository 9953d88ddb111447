"""The bundle: one asset at rest, and the only code that touches the disk (docs/bundle-format.md)."""

from __future__ import annotations
