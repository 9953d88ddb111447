"""Confirming: how long a body should have been that came without a length and ended with its connection.

Such a body (HTTP/1.0 style, RFC 9112 §6.3 rule 8) cannot be told from one that was cut, least of all when it is
encrypted. Where the server honours byte ranges, asking for the first byte alone tells the length of the whole
(RFC 9110 §14.4); where it ignores them, it may announce the length this time (§14.2). A host that does not tell is not
asked again. `fetching` says when.
"""

from __future__ import annotations

from hlsdl.access.urls import CheckedUrl
from hlsdl.errors import HlsdlError
from hlsdl.transfer.doors import Head, Setback, discard
from hlsdl.transfer.exchange import Exchange
from hlsdl.transfer.ranges import OF_ALL, read_length, read_validator

FIRST_BYTE = (("Accept-Encoding", "identity"), ("Range", "bytes=0-0"))


async def length_of(exchange: Exchange, url: CheckedUrl, came: Head) -> int | None:
    """The length of the entity at `url` in the version that came; None when nothing reliable can be learnt.

    A failure to learn it is no failure of the body, which has come: what the server refuses here stays unknown.
    """
    host = exchange.patience.host(url.host)
    if not host.tells_lengths:
        return None
    try:
        opened = await exchange.open(url, FIRST_BYTE)
    except Setback:
        return None  # passing; the next body may ask again
    except HlsdlError:  # a refusal, a way that the gate closes, a head past its limits
        host.tells_lengths = False
        return None
    head = opened.head
    await (discard(opened.reply) if head.status == 206 else opened.reply.close())
    length = read_length(head.headers) if head.status == 206 else _announced(head, came)
    host.tells_lengths = length is not None
    return length if read_validator(head.headers).etag == read_validator(came.headers).etag else None


def _announced(head: Head, came: Head) -> int | None:
    """The length of all, which has come instead of its first byte; another kind of content would be another thing."""
    encoding = head.headers.get("content-encoding", "").strip().lower()
    is_of_all = head.status in OF_ALL and encoding in {"", "identity"}
    is_like_it = head.headers.get("content-type") == came.headers.get("content-type")
    return head.content_length if is_of_all and is_like_it else None
