"""Content keys of a download: from the caller's key provider when there is one, else from their URLs.

Only identity keys (RFC 8216 §4.3.2.4) are fetched and stored; what belongs to a key system is refused before this.
Source: AVContentKeySession, as far as it has a meaning for keys that are plain bytes.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from functools import partial
from typing import Protocol

from hlsdl.bundle.threads import in_thread
from hlsdl.bundle.writing import BundleWriter
from hlsdl.errors import ContentKeyError
from hlsdl.planning.plan import KEY_BYTES, DownloadPlan, Resource
from hlsdl.session.program import ProgramFault, asked
from hlsdl.session.renewal import OF_THE_ORIGIN, Renewal
from hlsdl.session.together import together
from hlsdl.transfer.client import Client

logger = logging.getLogger(__name__)

LONGEST_INLINE_KEY = 64 << 10
"""Bytes of a `data:` key that are decoded before it is found to have another length than a key."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyRequest:
    """A key that a download needs (AVContentKeyRequest)."""

    uri: str = field(repr=False)
    """As the playlist gives it, resolved: it identifies the key (AVContentKeyRequest.identifier)."""
    method: str = "AES-128"
    key_format: str = "identity"


class KeyProvider(Protocol):
    """Gives keys that an app already has, or gets in its own way (AVContentKeySessionDelegate)."""

    async def provide(self, request: KeyRequest) -> bytes | None:
        """Return the 16 bytes of the key, or None to let it be fetched from its URL."""
        ...


async def fetch_keys(
    client: Client, writer: BundleWriter, renewal: Renewal, provider: KeyProvider | None, *, keeps_flaws: bool = False
) -> None:
    """Store every distinct identity key, all at the same time; those that stand in the playlist are looked at.

    With `keeps_flaws`, one that was sealed and is damaged stays as it is when its like does not come.

    Raises:
        ContentKeyError: what came, or was provided, is no key.
        IntegrityError: it is another one than was stored and found damaged.
        HlsdlError: the key's URL cannot be read, and there is no other one now.
    """
    plan = renewal.plan
    methods = {key.uri: key.method for stream in plan.streams for key in stream.playlist.keys if key.uri}

    async def fetch(key: Resource) -> None:
        request = KeyRequest(uri=key.url, method=methods.get(key.url, "AES-128"))
        data = await _provided(provider, request) if provider is not None else None
        if data is None:
            data = await renewal.read(key)
        elif len(data) != KEY_BYTES:
            raise ContentKeyError(
                f"the key provider gave {len(data)} bytes where a key has {KEY_BYTES}",
                url=key.url,
                hint="give the key itself, neither hexadecimal nor base64",
            )
        await in_thread(partial(writer.put, key.path, bytes(data)))

    async def mend(key: Resource) -> None:
        try:
            await fetch(key)
        except OF_THE_ORIGIN as error:
            logger.info("a damaged key stays as it is: %s", error.message)

    flaws = frozenset(writer.flaws()) if keeps_flaws else frozenset()
    missing = [key for key in plan.keys if not writer.is_stored(key.path)]
    await together((mend if key.path in flaws else fetch)(key) for key in missing)
    await look_at_inline_keys(client, plan)


async def _provided(provider: KeyProvider, request: KeyRequest) -> bytes | None:
    """What the program's key provider gives, or None."""
    try:
        data = await asked(lambda: provider.provide(request))
    except ProgramFault as fault:
        hint = "this is the program's own code: what it raised is the cause of this error"
        raise ContentKeyError(f"the key provider {fault}", url=request.uri, hint=hint) from fault
    if data is not None and not isinstance(data, bytes | bytearray | memoryview):
        raise ContentKeyError(f"the key provider gave `{type(data).__name__}`, and a key is bytes", url=request.uri)
    return data


async def look_at_inline_keys(client: Client, plan: DownloadPlan) -> None:
    """Read the keys that stand in the playlists themselves.

    Raises:
        ContentKeyError: one is none.
    """
    for uri in plan.inline_keys():
        await client.read(uri, kind="key", limit=LONGEST_INLINE_KEY)
