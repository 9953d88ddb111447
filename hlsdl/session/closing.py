"""Closing a bundle's writer, however the work on it ends."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from functools import partial

from hlsdl.bundle.threads import in_thread
from hlsdl.bundle.writing import BundleWriter
from hlsdl.errors import DiskError, HlsdlError

logger = logging.getLogger(__name__)


@asynccontextmanager
async def closing(opened: Sequence[BundleWriter]) -> AsyncIterator[None]:
    """`opened` has a writer as soon as there is one; what has come by the end of the block is checkpointed."""
    try:
        yield
    except BaseException as error:
        reason = error.message if isinstance(error, DiskError) else None
        # Also while the task is being cancelled, since `in_thread` ends what it began: closing is what makes the last
        # seconds' work survive a power cut. There is at most one writer here, and the first error tells the story.
        for writer in opened:
            try:
                await in_thread(partial(writer.close, reason=reason))
            except HlsdlError as failure:
                logger.warning("the bundle cannot be closed either: %s", failure.message)
        raise
    for writer in opened:
        await in_thread(writer.close)
