"""Asking the program that uses us, by its key provider or its `renew`: what goes wrong there is its own."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from hlsdl.errors import HlsdlError

T = TypeVar("T")


class ProgramFault(Exception):
    """The program's own code failed; the text says how, half a sentence without anything secret."""


async def asked(ask: Callable[[], Awaitable[T]]) -> T:
    """What the program answers.

    Raises:
        ProgramFault: it raised something, with that as its cause.
        HlsdlError: it raised one of ours, which passes as it is.
        CancelledError: this task was cancelled, and not only whom the program waited for.
    """
    try:
        return await ask()
    except HlsdlError:
        raise
    except asyncio.CancelledError as error:
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            raise
        raise ProgramFault("was cancelled") from error
    except Exception as error:
        raise ProgramFault(f"raised `{type(error).__name__}`") from error
