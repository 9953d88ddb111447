"""From a name to a connection: every address is vetted, and the vetted address is the one that is connected to.

Between the check and the connection nobody is asked again, so a second, different DNS answer (rebinding) has no
effect. `access.gate` says which addresses are allowed.
"""

from __future__ import annotations

import asyncio
import socket
import threading
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Sequence
from itertools import chain, zip_longest
from typing import Protocol, TypeVar

from hlsdl.access.addresses import AddressKind, kind_of_text, literal_address
from hlsdl.access.gate import UrlPolicy
from hlsdl.errors import NetworkError
from hlsdl.transfer.doors import Setback

T = TypeVar("T")

HEAD_START = 0.25
"""Seconds that an address gets before the next one is tried beside it (RFC 8305 §5)."""

_NAME_IS_WRONG = frozenset({socket.EAI_NONAME, getattr(socket, "EAI_NODATA", socket.EAI_NONAME)})


class Resolver(Protocol):
    """Turns a name into addresses."""

    async def resolve(self, host: str, port: int) -> Sequence[str]:
        """Addresses in order of preference; OSError (`socket.gaierror`) when there are none."""
        ...


class SystemResolver:
    """The operating system's resolver, each query in a daemon thread: an abandoned one holds nothing up."""

    async def resolve(self, host: str, port: int) -> Sequence[str]:
        """Ask getaddrinfo."""
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[Sequence[str]] = loop.create_future()

        def tell(addresses: Sequence[str] | None, error: OSError | None) -> None:
            if answer.done():
                return
            if error is not None:
                answer.set_exception(error)
            else:
                answer.set_result(addresses or ())

        def ask() -> None:
            addresses: list[str] | None = None
            failure: OSError | None = None
            try:
                # ASCII goes as bytes: for text, Python would load an IDNA codec with large tables first.
                name = host.encode() if host.isascii() else host
                found = socket.getaddrinfo(name, port, type=socket.SOCK_STREAM)
                addresses = list(dict.fromkeys(str(entry[4][0]) for entry in found))
            except OSError as error:
                failure = error
            except UnicodeError as error:
                failure = socket.gaierror(socket.EAI_NONAME, str(error))
            try:
                loop.call_soon_threadsafe(tell, addresses, failure)
            except RuntimeError:
                return  # the loop is closed: nobody waits for this answer any more

        threading.Thread(target=ask, name="resolve", daemon=True).start()
        return await answer


class Vetting:
    """Resolves names for one job and lets only permitted addresses through."""

    def __init__(self, policy: UrlPolicy, resolver: Resolver) -> None:
        self._policy, self._resolver = policy, resolver
        self._public: set[str] = set()
        """Hosts that had a public address: they may not become private later (rebinding)."""

    async def addresses(self, host: str, port: int, *, timeout: float) -> tuple[str, ...]:
        """Permitted addresses of `host`, families interleaved.

        Setback when it does not resolve, PolicyError when none of its addresses is permitted.
        """
        if literal_address(host) is not None:
            return self._policy.permitted(host, (host,))
        try:
            async with asyncio.timeout(timeout):
                found = await self._resolver.resolve(host, port)
        except TimeoutError as error:
            raise _unresolved(f"resolving `{host}` took longer than {timeout:g} seconds") from error
        except OSError as error:
            # A name that does not exist is rarely cured by waiting; a resolver that failed is.
            retries = 2 if isinstance(error, socket.gaierror) and error.errno in _NAME_IS_WRONG else None
            raise _unresolved(f"`{host}` cannot be resolved", retries) from error
        if not found:
            raise _unresolved(f"`{host}` has no address", 2)
        permitted = self._policy.permitted(host, found, known_public=host in self._public)
        if any(kind_of_text(address) is AddressKind.GLOBAL for address in permitted):
            self._public.add(host)
        return interleave(permitted)


def _unresolved(message: str, retries: int | None = None) -> Setback:
    error = NetworkError(message, hint="check the spelling of the host and the network", retryable=True)
    return Setback(error, retries=retries)


def interleave(addresses: Sequence[str]) -> tuple[str, ...]:
    """Alternate the address families, beginning with the family that came first (RFC 8305 §4)."""
    first = [a for a in addresses if (":" in a) == (":" in addresses[0])]
    other = [a for a in addresses if (":" in a) != (":" in addresses[0])]
    return tuple(a for a in chain.from_iterable(zip_longest(first, other)) if a is not None)


async def first_connected(
    addresses: Sequence[str],
    connect: Callable[[str], Coroutine[None, None, T]],
    dispose: Callable[[T], Awaitable[None]],
    *,
    head_start: float = HEAD_START,
) -> T:
    """Try addresses in order, each with a head start over the next; the first connection wins.

    Connections that come too late are given to `dispose`. When all fail, the first one's error is raised.
    """
    if len(addresses) == 1:
        return await connect(addresses[0])
    untried = deque(addresses)
    running: set[asyncio.Task[T]] = set()
    failures: list[BaseException] = []
    winner: asyncio.Task[T] | None = None
    try:
        while untried or running:
            if untried:
                running.add(asyncio.create_task(connect(untried.popleft())))
            done, running = await asyncio.wait(
                running, timeout=head_start if untried else None, return_when=asyncio.FIRST_COMPLETED
            )
            connected = [task for task in done if task.exception() is None]
            failures += [error for task in done if (error := task.exception()) is not None]
            if connected:
                winner = connected[0]
                running.update(connected[1:])
                break
    except BaseException:
        await _abandon(running, dispose)
        raise
    if winner is None:
        raise failures[0]
    try:
        await _abandon(running, dispose)
    except BaseException:  # nobody takes it any more
        await dispose(winner.result())
        raise
    return winner.result()


async def _abandon(tasks: Iterable[asyncio.Task[T]], dispose: Callable[[T], Awaitable[None]]) -> None:
    tasks = list(tasks)
    for task in tasks:
        task.cancel()
    for result in await asyncio.gather(*tasks, return_exceptions=True):
        if not isinstance(result, BaseException):
            await dispose(result)
