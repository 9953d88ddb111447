"""hlsdl keeps HLS streams offline: it chooses, fetches, verifies and plays them, with nothing lost on the way.

The public names are imported when they are first used, so that `import hlsdl` costs next to nothing.
"""

from __future__ import annotations

from importlib import import_module

from hlsdl.version import __version__ as __version__

TYPE_CHECKING = False
"""As type checkers know it, without `typing`: `__main__` must hear of signals before that is loaded."""

if TYPE_CHECKING:
    from hlsdl.errors import ContentKeyError as ContentKeyError
    from hlsdl.errors import DiskError as DiskError
    from hlsdl.errors import HlsdlError as HlsdlError
    from hlsdl.errors import HttpError as HttpError
    from hlsdl.errors import IntegrityError as IntegrityError
    from hlsdl.errors import Interrupted as Interrupted
    from hlsdl.errors import LimitError as LimitError
    from hlsdl.errors import LiveStreamError as LiveStreamError
    from hlsdl.errors import LockedError as LockedError
    from hlsdl.errors import NetworkError as NetworkError
    from hlsdl.errors import PlaylistError as PlaylistError
    from hlsdl.errors import PolicyError as PolicyError
    from hlsdl.errors import SelectionError as SelectionError
    from hlsdl.errors import UsageError as UsageError
    from hlsdl.planning.asset_variant import AssetVariant as AssetVariant
    from hlsdl.planning.key_paths import KeyPath as KeyPath
    from hlsdl.planning.key_paths import average_bit_rate as average_bit_rate
    from hlsdl.planning.key_paths import binaural as binaural
    from hlsdl.planning.key_paths import channels as channels
    from hlsdl.planning.key_paths import codecs as codecs
    from hlsdl.planning.key_paths import downmix as downmix
    from hlsdl.planning.key_paths import frame_rate as frame_rate
    from hlsdl.planning.key_paths import height as height
    from hlsdl.planning.key_paths import immersive as immersive
    from hlsdl.planning.key_paths import language as language
    from hlsdl.planning.key_paths import pathway as pathway
    from hlsdl.planning.key_paths import peak_bit_rate as peak_bit_rate
    from hlsdl.planning.key_paths import sample_rate as sample_rate
    from hlsdl.planning.key_paths import score as score
    from hlsdl.planning.key_paths import stable_id as stable_id
    from hlsdl.planning.key_paths import video_layout as video_layout
    from hlsdl.planning.key_paths import video_range as video_range
    from hlsdl.planning.key_paths import width as width
    from hlsdl.planning.media_selection import MediaSelection as MediaSelection
    from hlsdl.planning.media_selection import MediaSelectionCriteria as MediaSelectionCriteria
    from hlsdl.planning.media_selection import MediaSelectionGroup as MediaSelectionGroup
    from hlsdl.planning.media_selection import MediaSelectionOption as MediaSelectionOption
    from hlsdl.planning.media_selection import select_automatically as select_automatically
    from hlsdl.planning.predicates import Predicate as Predicate
    from hlsdl.planning.preferences import Preferences as Preferences
    from hlsdl.planning.qualifiers import VariantQualifier as VariantQualifier
    from hlsdl.session.asset_cache import AssetCache as AssetCache
    from hlsdl.session.bundles import Bundle as Bundle
    from hlsdl.session.configuration import FetchOptions as FetchOptions
    from hlsdl.session.description import StreamDescription as StreamDescription
    from hlsdl.session.events import DidFinishDownloading as DidFinishDownloading
    from hlsdl.session.events import Event as Event
    from hlsdl.session.events import FileProgressed as FileProgressed
    from hlsdl.session.events import Progressed as Progressed
    from hlsdl.session.events import Sealing as Sealing
    from hlsdl.session.events import SelectionResolved as SelectionResolved
    from hlsdl.session.events import VariantsChosen as VariantsChosen
    from hlsdl.session.events import Warned as Warned
    from hlsdl.session.events import WillDownloadTo as WillDownloadTo
    from hlsdl.session.keys import KeyProvider as KeyProvider
    from hlsdl.session.keys import KeyRequest as KeyRequest
    from hlsdl.session.keywords import add as add
    from hlsdl.session.keywords import drop as drop
    from hlsdl.session.keywords import fetch as fetch
    from hlsdl.session.keywords import import_package as import_package
    from hlsdl.session.keywords import inspect as inspect
    from hlsdl.session.keywords import open_bundle
    from hlsdl.session.keywords import plan as plan
    from hlsdl.session.outline import PlanOutcome as PlanOutcome
    from hlsdl.session.storage import Collection as Collection
    from hlsdl.session.storage import LibraryBundle as LibraryBundle
    from hlsdl.session.storage import StorageManagementPolicy as StorageManagementPolicy
    from hlsdl.session.storage import StorageManagementPriority as StorageManagementPriority
    from hlsdl.session.storage import StorageManager as StorageManager
    from hlsdl.tasks.asset import Asset as Asset
    from hlsdl.tasks.asset_session import AssetDownloadSession as AssetDownloadSession
    from hlsdl.tasks.asset_session import SessionInvalidated as SessionInvalidated
    from hlsdl.tasks.asset_task import AssetDownloadTask as AssetDownloadTask
    from hlsdl.tasks.delegate import AssetDownloadDelegate as AssetDownloadDelegate
    from hlsdl.tasks.delivery import AuthenticationChallenge as AuthenticationChallenge
    from hlsdl.tasks.delivery import Credential as Credential
    from hlsdl.tasks.file_task import DownloadTask as DownloadTask
    from hlsdl.tasks.file_task import FileRefused as FileRefused
    from hlsdl.tasks.file_task import URLErrorCode as URLErrorCode
    from hlsdl.tasks.loading import TimeRange as TimeRange
    from hlsdl.tasks.session_configuration import SessionConfiguration as SessionConfiguration
    from hlsdl.tasks.session_configuration import SessionKind as SessionKind
    from hlsdl.tasks.states import Phase as Phase
    from hlsdl.tasks.states import TaskState as TaskState
    from hlsdl.tasks.task import Task as Task
    from hlsdl.tasks.task import TaskCancelled as TaskCancelled
    from hlsdl.tasks.task import TaskProgress as TaskProgress
    from hlsdl.tasks.wanted import DownloadConfiguration as DownloadConfiguration
    from hlsdl.tasks.wanted import DownloadContentConfiguration as DownloadContentConfiguration
    from hlsdl.tasks.wanted import DownloadOptions as DownloadOptions
    from hlsdl.transfer.options import TransferOptions as TransferOptions
    from hlsdl.verification.findings import Finding as Finding
    from hlsdl.verification.findings import Report as Report

    open = open_bundle  # noqa: A001 - the contract's name for it

_HOMES = {
    "AssetCache": "hlsdl.session.asset_cache",
    "AssetVariant": "hlsdl.planning.asset_variant",
    "Bundle": "hlsdl.session.bundles",
    "Collection": "hlsdl.session.storage",
    "FetchOptions": "hlsdl.session.configuration",
    "Finding": "hlsdl.verification.findings",
    "LibraryBundle": "hlsdl.session.storage",
    "Phase": "hlsdl.tasks.states",
    "PlanOutcome": "hlsdl.session.outline",
    "Predicate": "hlsdl.planning.predicates",
    "Preferences": "hlsdl.planning.preferences",
    "Report": "hlsdl.verification.findings",
    "StorageManagementPolicy": "hlsdl.session.storage",
    "StorageManagementPriority": "hlsdl.session.storage",
    "StorageManager": "hlsdl.session.storage",
    "StreamDescription": "hlsdl.session.description",
    "TransferOptions": "hlsdl.transfer.options",
    "KeyProvider": "hlsdl.session.keys",
    "KeyRequest": "hlsdl.session.keys",
    "Asset": "hlsdl.tasks.asset",
    "AssetDownloadSession": "hlsdl.tasks.asset_session",
    "SessionInvalidated": "hlsdl.tasks.asset_session",
    "AssetDownloadTask": "hlsdl.tasks.asset_task",
    "AssetDownloadDelegate": "hlsdl.tasks.delegate",
    "AuthenticationChallenge": "hlsdl.tasks.delivery",
    "Credential": "hlsdl.tasks.delivery",
    "DownloadTask": "hlsdl.tasks.file_task",
    "FileRefused": "hlsdl.tasks.file_task",
    "URLErrorCode": "hlsdl.tasks.file_task",
    "TimeRange": "hlsdl.tasks.loading",
    "SessionConfiguration": "hlsdl.tasks.session_configuration",
    "SessionKind": "hlsdl.tasks.session_configuration",
    "TaskState": "hlsdl.tasks.states",
    "Task": "hlsdl.tasks.task",
    "TaskCancelled": "hlsdl.tasks.task",
    "TaskProgress": "hlsdl.tasks.task",
    "DownloadConfiguration": "hlsdl.tasks.wanted",
    "DownloadContentConfiguration": "hlsdl.tasks.wanted",
    "DownloadOptions": "hlsdl.tasks.wanted",
    "VariantQualifier": "hlsdl.planning.qualifiers",
    "add": "hlsdl.session.keywords",
    "drop": "hlsdl.session.keywords",
    "fetch": "hlsdl.session.keywords",
    "import_package": "hlsdl.session.keywords",
    "inspect": "hlsdl.session.keywords",
    "open": "hlsdl.session.keywords:open_bundle",
    "plan": "hlsdl.session.keywords",
    **dict.fromkeys(
        (
            "DidFinishDownloading",
            "Event",
            "FileProgressed",
            "Progressed",
            "Sealing",
            "SelectionResolved",
            "VariantsChosen",
            "Warned",
            "WillDownloadTo",
        ),
        "hlsdl.session.events",
    ),
    **dict.fromkeys(
        (
            "KeyPath",
            "average_bit_rate",
            "binaural",
            "channels",
            "codecs",
            "downmix",
            "frame_rate",
            "height",
            "immersive",
            "language",
            "pathway",
            "peak_bit_rate",
            "sample_rate",
            "score",
            "stable_id",
            "video_layout",
            "video_range",
            "width",
        ),
        "hlsdl.planning.key_paths",
    ),
    **dict.fromkeys(
        (
            "MediaSelection",
            "MediaSelectionCriteria",
            "MediaSelectionGroup",
            "MediaSelectionOption",
            "select_automatically",
        ),
        "hlsdl.planning.media_selection",
    ),
    **dict.fromkeys(
        (
            "ContentKeyError",
            "DiskError",
            "HlsdlError",
            "HttpError",
            "IntegrityError",
            "Interrupted",
            "LimitError",
            "LiveStreamError",
            "LockedError",
            "NetworkError",
            "PlaylistError",
            "PolicyError",
            "SelectionError",
            "UsageError",
        ),
        "hlsdl.errors",
    ),
}

__all__ = sorted(["__version__", *_HOMES])  # noqa: PLE0605 - sorted() gives a list of the names above


if not TYPE_CHECKING:  # to a checker, a name that is not above is a mistake

    def __getattr__(name: str) -> object:
        home = _HOMES.get(name)
        if home is None:
            raise AttributeError(f"module `hlsdl` has no attribute `{name}`")
        module, _, attribute = home.partition(":")
        value = getattr(import_module(module), attribute or name)
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    return list(__all__)
