"""Starting over: everything of a bundle that is ours goes, and other files stay."""

from __future__ import annotations

from hlsdl.bundle import contents, durable
from hlsdl.bundle.durable import Folder, translating
from hlsdl.bundle.layout import (
    DATA,
    JOURNAL,
    KEYS,
    MANIFEST,
    SOURCE_PLAYLIST,
    final_name,
    is_derived,
    is_kept_apart,
    is_media,
    is_stream_folder,
    split_path,
)
from hlsdl.bundle.ledger import load_journal
from hlsdl.bundle.manifest import LARGEST_MANIFEST, Manifest
from hlsdl.errors import IntegrityError


def start_over(root: Folder) -> None:
    """Remove everything of a bundle that is ours; other files stay.

    The journal is emptied first and removed last: a folder with an empty one and no manifest is known for what it is.
    """
    state = load_journal(root)
    listed = _paths_of_manifest(root) | set(state.entries)
    with translating(JOURNAL):
        durable.replace_durably(root, JOURNAL, b"")
    contents.remove_file(root, MANIFEST)
    with translating(contents.ROOT):
        found = contents.sizes_below(root)
    for path in found:
        if path in listed or _is_ours_by_name(path):
            contents.remove_file(root, path)
    for folder in sorted({split_path(path)[0] for path in (*found, *listed)}, reverse=True):
        contents.remove_empty_folder(root, folder)
    contents.remove_file(root, JOURNAL)


def _paths_of_manifest(root: Folder) -> set[str]:
    """What a manifest lists; nothing when it cannot be read, since starting over is how one gets rid of it."""
    with translating(MANIFEST):
        if root.status(MANIFEST) is None:
            return set()
        try:
            manifest = Manifest.decode(durable.read_file(root, MANIFEST, limit=LARGEST_MANIFEST))
        except IntegrityError:
            return set()
    return {item.path for items in (manifest.files, manifest.documents, manifest.keys) for item in items}


def _is_ours_by_name(path: str) -> bool:
    folder, name = split_path(path)
    if (final := final_name(name)) is not None:
        return folder in ("", DATA, KEYS) or is_stream_folder(folder) or is_media(final)
    if is_stream_folder(folder):
        return is_media(name) or is_derived(path) or name == SOURCE_PLAYLIST
    return is_kept_apart(path) or (not folder and is_derived(path))
