"""Whether a bundle has all that it should have, as far as is known without reading it, and nothing that it should not.

What is in its files, `verification` says.
"""

from __future__ import annotations

import logging
from pathlib import Path

from hlsdl.bundle.reading import Bundle
from hlsdl.bundle.writing import BundleWriter
from hlsdl.errors import HlsdlError

logger = logging.getLogger(__name__)


def is_whole(before: Bundle) -> bool:
    """Whether a bundle is sealed and all of it is there."""
    if before.state != "complete" or not before.manifest.is_intact:
        return False
    return not (before.journal.wanted or before.journal.replaced) and not before.shortfalls()


def look_again(path: Path) -> None:
    """Let a bundle know what has changed in it: somebody has put a file back, an interrupted run has left one."""
    BundleWriter.open(path).close()


def tidy(before: Bundle) -> None:
    """Remove what an interrupted run has left; where that cannot be, the bundle is as whole as it was."""
    try:
        if before.leftovers():
            look_again(before.path)
    except HlsdlError as error:
        logger.info("what an interrupted run has left in `%s` stays for now: %s", before.path, error.message)
