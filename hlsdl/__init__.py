"""hlsdl keeps HLS streams offline: it chooses, fetches, verifies and plays them, with nothing lost on the way.

The public names are imported when they are first used, so that `import hlsdl` costs next to nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

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
    from hlsdl.planning.preferences import Preferences as Preferences
    from hlsdl.session.bundles import Bundle as Bundle
    from hlsdl.session.configuration import FetchOptions as FetchOptions
    from hlsdl.session.keywords import fetch as fetch
    from hlsdl.session.keywords import inspect as inspect
    from hlsdl.session.keywords import open_bundle as open  # noqa: A004, F401 - the contract's name for it
    from hlsdl.session.keywords import plan as plan
    from hlsdl.transfer.options import TransferOptions as TransferOptions

__version__ = "0.1.0"

_HOMES = {
    "Bundle": "hlsdl.session.bundles",
    "FetchOptions": "hlsdl.session.configuration",
    "Preferences": "hlsdl.planning.preferences",
    "TransferOptions": "hlsdl.transfer.options",
    "fetch": "hlsdl.session.keywords",
    "inspect": "hlsdl.session.keywords",
    "open": "hlsdl.session.keywords:open_bundle",
    "plan": "hlsdl.session.keywords",
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


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module `hlsdl` has no attribute `{name}`")
    module, _, attribute = home.partition(":")
    value = getattr(import_module(module), attribute or name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return list(__all__)
