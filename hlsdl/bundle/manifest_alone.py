"""The manifest alone: it is replaced, and nothing else of the bundle changes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from hlsdl.bundle import durable
from hlsdl.bundle.durable import BundleLock, Folder, translating
from hlsdl.bundle.layout import MANIFEST
from hlsdl.bundle.manifest import LARGEST_MANIFEST, Manifest
from hlsdl.errors import LockedError


def save_choices(path: Path, before: Manifest, choices: Mapping[str, Any]) -> None:
    """Replace what the manifest of a bundle keeps for the session, and nothing else: it stays as whole as it is.

    `before` is the manifest that the choices were made from, and intact. Raises LockedError when another process works
    on the bundle, or has changed the manifest since; IntegrityError when it cannot be read any more; PolicyError for a
    lock that is no file; DiskError.
    """
    with translating(str(path)), Folder.open(path, follow=True) as root:
        lock = BundleLock(root, path)
        try:
            if Manifest.decode(durable.read_file(root, MANIFEST, limit=LARGEST_MANIFEST)) != before:
                raise LockedError(f"another process changed `{path}` a moment ago", hint="run the same command again")
            durable.replace_durably(root, MANIFEST, replace(before, choices=dict(choices)).encode())
        finally:
            lock.release()
