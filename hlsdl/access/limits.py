"""Limits: what a hostile or broken server may cost us. Values only; whoever enforces one says so."""

from __future__ import annotations

from dataclasses import dataclass

KIB, MIB = 1024, 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What a hostile or broken server may cost us; each is enforced with a LimitError unless it says otherwise."""

    url: int = 8192
    """Characters of a URL."""
    redirects: int = 10
    """Hops before a PolicyError."""
    head_bytes: int = 64 * KIB
    head_fields: int = 256
    interim_responses: int = 16
    """1xx responses before the final one."""
    decoded_ratio: int = 100
    """Decoded bytes for each encoded byte of a gzip playlist, once `decoded_freely` bytes are out."""
    decoded_freely: int = 1 * MIB
    whole: int = 64 * 1024 * MIB
    """Largest entity out of which byte ranges are cut when the server ignores Range: it is read up to the last one."""
    resume_from: int = 8 * MIB
    """Bytes that must be held before a transfer is resumed rather than restarted."""
    block: int = 1 * MIB
    """Largest block given to a sink."""
    slowest: int = 1 * KIB
    """Bytes per second, averaged over `slow_after` seconds, below which a transfer is dropped and tried again."""
    slow_after: float = 30.0
    cookies_per_origin: int = 50
    cookie_bytes: int = 4 * KIB
    cookie_origins: int = 64
