"""A scripted HLS origin on real sockets, for the tests of hlsdl and of programs that use it.

It imports nothing of the rest of hlsdl, so what it says about a client is an independent opinion.
"""

from __future__ import annotations

from hlsdl.testing.answers import Answer, Request, content_type_of
from hlsdl.testing.behaviours import (
    Behaviour,
    Body,
    Chunked,
    Close,
    CloseDelimited,
    Cut,
    Delay,
    Drip,
    EarlyHints,
    Empty,
    Endless,
    FlipBit,
    Gzip,
    GzipBomb,
    HangUp,
    Headers,
    Hold,
    Html,
    Json,
    Longer,
    Raw,
    Redirect,
    Reset,
    Serve,
    Silence,
    Stall,
    Status,
    Without,
)
from hlsdl.testing.certificates import LocalAuthority
from hlsdl.testing.origin import ScriptedOrigin
from hlsdl.testing.range_behaviours import ContentRange, IgnoreRange, Multipart, ShortRange, WrongRange

__all__ = [
    "Answer",
    "Behaviour",
    "Body",
    "Chunked",
    "Close",
    "CloseDelimited",
    "ContentRange",
    "Cut",
    "Delay",
    "Drip",
    "EarlyHints",
    "Empty",
    "Endless",
    "FlipBit",
    "Gzip",
    "GzipBomb",
    "HangUp",
    "Headers",
    "Hold",
    "Html",
    "IgnoreRange",
    "Json",
    "LocalAuthority",
    "Longer",
    "Multipart",
    "Raw",
    "Redirect",
    "Request",
    "Reset",
    "ScriptedOrigin",
    "Serve",
    "ShortRange",
    "Silence",
    "Stall",
    "Status",
    "Without",
    "WrongRange",
    "content_type_of",
]
