"""What a caller asks for: one value for the command line and the library alike.

Rooms below receive the parts that concern them (`Preferences`, `TransferOptions`), never this whole.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_type_hints

from hlsdl.access.urls import is_text
from hlsdl.bundle.layout import SUFFIX
from hlsdl.errors import UsageError
from hlsdl.planning.preferences import Preferences
from hlsdl.transfer.options import TransferOptions

if TYPE_CHECKING:
    from hlsdl.session.keys import KeyProvider


@dataclass(frozen=True, slots=True, kw_only=True)
class FetchOptions:
    """How one source is fetched; the defaults are those of `hlsdl fetch`.

    Raises:
        UsageError: the title is no text that can be written down.
    """

    preferences: Preferences = field(default_factory=Preferences)
    auxiliary: tuple[Preferences, ...] = ()
    """What is stored in addition, each chosen by itself after `preferences`; with `shares_video` without a further
    video where that can be (AVAssetDownloadConfiguration.auxiliaryContentConfigurations)."""
    transfer: TransferOptions = field(default_factory=TransferOptions)
    output: Path | None = None
    """The bundle's exact path (`-o`). None: `<title>.movpkg` in `directory`."""
    directory: Path = Path()
    """The folder for bundles named after their title (`-P`)."""
    title: str | None = None
    artwork: Path | bytes | None = field(default=None, repr=False)
    """An image that is stored in the bundle's `Data` folder: its path, or from programs its bytes."""
    base_url: str | None = field(default=None, repr=False)
    """For a playlist file on this machine: where its relative URIs point."""
    force: bool = False
    """Start this source over."""
    resume: bool = True
    """False: an unfinished bundle starts over."""
    keep_protected: bool = False
    """Store ciphertext that nothing here can play."""
    allow_gaps: bool = False
    """Turn segments that the origin no longer has (404, 410) into EXT-X-GAP instead of failing."""
    key_provider: KeyProvider | None = field(default=None, repr=False)
    """For programs: gives content keys before their URLs are asked."""
    renew: Callable[[str], Awaitable[str | None]] | None = None
    """For programs: gives a new URL when the source itself is refused in the middle of a download (it has expired)."""

    def __post_init__(self) -> None:
        if self.title is not None and not is_text(self.title):
            raise UsageError("the title is not valid UTF-8", hint="a bundle's path may be any bytes: see `-o`")

    @property
    def wishes(self) -> tuple[Preferences, ...]:
        """Everything that is wanted, the primary wish first."""
        return (self.preferences, *self.auxiliary)


FLAGS = {
    "dir": "directory",
    "subs": "subtitles",
    "codec": "codecs",
    "header": "headers",
    "cookies": "cookies_file",
    "trust_origin": "trusted_origins",
}
"""Flags of the command whose fields have a longer name."""

PLACES = frozenset({"output", "directory", "base_url", "force", "resume", "no_resume", "auxiliary"})
"""Flags that say which bundle, of which source, and whether it starts over."""


def options_from(*, output: str | Path | None = None, **flags: Any) -> FetchOptions:
    """The options that keyword flags mean: those of `hlsdl fetch`, with underscores.

    Args:
        output: a folder for the bundle, or a path that ends in `.movpkg`.
        flags: fields of `FetchOptions`, `Preferences` and `TransferOptions`; None: not given. Lists stand for repeated
            flags, a mapping or a list of pairs for `headers`, predicates and `VariantQualifier`s for expressions in
            `where`.

    Raises:
        UsageError: a flag that does not exist, or a value that it cannot have.
    """
    values: dict[str, Any] = {}
    flags = {FLAGS.get(name, name): value for name, value in flags.items()}
    if output is not None:
        from hlsdl.bundle.reading import path_of  # for programs only: it brings what a source need not wait for

        place = path_of(output)
        values["output" if place.suffix == SUFFIX else "directory"] = place
    parts: dict[type, dict[str, Any]] = {Preferences: {}, TransferOptions: {}, FetchOptions: values}
    for name, value in flags.items():
        field_name = "resume" if name == "no_resume" else name
        owner = next((part for part in parts if field_name in {one.name for one in fields(part)}), None)
        if owner is None or name in ("preferences", "transfer"):
            raise UsageError(
                f"there is no flag `{name}`", hint="the flags are those of `hlsdl fetch`, with underscores"
            )
        if value is not None:
            parts[owner][name] = _settled(name, value)
    checked = checked_values(FetchOptions, values)
    if "no_resume" in checked:
        checked["resume"] = not checked.pop("no_resume")
    return FetchOptions(
        preferences=Preferences(**checked_values(Preferences, parts[Preferences])),
        transfer=TransferOptions(**checked_values(TransferOptions, parts[TransferOptions])),
        **checked,
    )


def options_for_adding(flags: Mapping[str, Any]) -> tuple[FetchOptions, frozenset[str]]:
    """The options that keyword flags of `hlsdl add` mean, and which fields of `Preferences` they name.

    Raises:
        UsageError: a flag that does not exist or has no meaning for a bundle that is there.
    """
    for name in flags:
        if FLAGS.get(name, name) in PLACES:
            raise UsageError(f"there is no flag `{name}` for adding", hint="the bundle and its source are known")
    given = {FLAGS.get(name, name) for name, value in flags.items() if value is not None}
    return options_from(**flags), frozenset(given & {one.name for one in fields(Preferences)})


def checked_values(kind: type, values: Mapping[str, Any]) -> dict[str, Any]:
    """The values that a program gives to fields of `kind`, each of the type of its field.

    Raises:
        UsageError: a value cannot be made one of that type, or a number is negative.
    """
    from pydantic import TypeAdapter, ValidationError  # for programs only: the command line's settings are checked

    types = {**get_type_hints(kind, localns={"KeyProvider": Any}), "no_resume": bool}
    checked = {}
    for name, value in values.items():
        if isinstance(value, int | float) and value < 0:
            raise UsageError(f"`{name}` is negative")
        try:
            checked[name] = TypeAdapter(types[name]).validate_python(value)
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False, include_context=False)[0]
            hint = "numbers are bits per second, bytes per second and seconds; sizes are (width, height)"
            told = f"`{name}` has a value it cannot have: {first['msg']}"
            raise UsageError(told, hint=None if kind is FetchOptions else hint) from None
    return checked


def _settled(name: str, value: Any) -> Any:
    """A flag's value in the form its field has: tuples for lists, one word for a list of one."""
    if name == "headers" and isinstance(value, Mapping):
        return tuple(value.items())
    if name == "where":
        from hlsdl.planning.qualifiers import where_texts

        return where_texts(value)
    if name in ("audio", "subtitles", "codecs", "trusted_origins") and isinstance(value, str):
        return tuple(value.split(","))
    if isinstance(value, list):
        return tuple(tuple(one) if isinstance(one, list) else one for one in value)
    is_path = name in ("directory", "artwork", "cookies_file", "cacert", "client_cert")
    return Path(value) if is_path and isinstance(value, str) else value
