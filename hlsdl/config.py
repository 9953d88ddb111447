"""Settings: what flags, `HLSDL_*` variables and the TOML file say, made into the values that rooms below understand.

Flags beat variables, variables beat the file, the file beats the defaults; `load_settings` remembers which of them
won for each value (`hlsdl doctor` shows it). Every value goes through the same parser wherever it was written, so a
wrong one is reported by the name its author used. Rooms below receive `Preferences` and `TransferOptions`, never this.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from hlsdl.errors import UsageError
from hlsdl.planning.preferences import ALL, DEFAULT, NONE, Preferences
from hlsdl.transfer.options import TransferOptions

ENV_PREFIX = "HLSDL_"

DECIMAL_UNITS = {"": 1, "k": 1000, "m": 1000**2, "g": 1000**3}
BINARY_UNITS = {"ki": 1024, "mi": 1024**2, "gi": 1024**3}
LARGE_UNITS = {"t": 1000**4, "ti": 1024**4}
SECONDS = {"": 1, "s": 1, "m": 60, "h": 3600}
LANGUAGE = re.compile(r"[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8})*")
HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")


def parse_bitrate(value: object) -> int:
    """Read `500k`, `2M` or a plain number as bits per second."""
    return _quantity(value, DECIMAL_UNITS, "a bitrate such as `500k` or `2M` (bits per second)")


def parse_rate(value: object) -> int:
    """Read `500k`, `5M` or `5Mi` (units of 1024) as bytes per second."""
    return _quantity(value, DECIMAL_UNITS | BINARY_UNITS, "a rate such as `500k` or `5M` (bytes per second)")


def parse_size(value: object) -> int:
    """Read `5G`, `500Mi` (units of 1024) or a plain number as bytes."""
    return _quantity(value, DECIMAL_UNITS | BINARY_UNITS | LARGE_UNITS, "a size such as `5G` or `500Mi` (bytes)")


def parse_time(value: object) -> float:
    """Read `90`, `90s`, `5m` or `1h` as seconds, greater than 0."""
    return float(_amount(value, SECONDS, "a time such as `90`, `90s`, `5m` or `1h`"))


def parse_count(value: object) -> int:
    """Read a whole number."""
    if isinstance(value, bool) or re.fullmatch(r"[0-9]{1,9}", str(value).strip()) is None:
        raise ValueError(f"`{value}` is not a whole number")
    return int(str(value))


def parse_frame_size(value: object) -> tuple[int, int]:
    """Read `1280x720` as (width, height) in pixels."""
    match = re.fullmatch(r"([0-9]{1,5})\s*[xX×]\s*([0-9]{1,5})", str(value).strip())
    if match is None or "0" in {match[1].lstrip("0") or "0", match[2].lstrip("0") or "0"}:
        raise ValueError(f"`{value}` is not a size such as `1280x720`")
    return int(match[1]), int(match[2])


def parse_languages(value: object) -> tuple[str, ...]:
    """Read `default`, `all`, `none` or language tags (`en,pt-BR`) as the tuple that `Preferences` wants."""
    names = split_list(value)
    words = [name.lower() for name in names if name.lower() in {DEFAULT, ALL, NONE}]
    if words and len(names) > 1:
        raise ValueError(f"`{words[0]}` stands alone, without other languages")
    if not names:
        raise ValueError("it names no language; write `none` for none")
    wrong = [name for name in names if not words and LANGUAGE.fullmatch(name) is None]
    if wrong:
        raise ValueError(f"`{wrong[0]}` is not a language tag such as `en` or `pt-BR`")
    return tuple(words) or names


def parse_headers(value: object) -> tuple[tuple[str, str], ...]:
    """Read `Name: value` lines, or `@file` with one per line (blank lines and lines that begin with `#` are left out).

    Messages never repeat a header's value: it is likely to be a secret.
    """
    lines = value.splitlines() if isinstance(value, str) else _texts(value)
    headers: list[tuple[str, str]] = []
    for line in lines:
        if line.startswith("@"):
            headers.extend(parse_headers(_header_file(Path(line[1:]).expanduser())))
        elif line.strip():
            headers.append(_header(line))
    return tuple(headers)


def split_list(value: object) -> tuple[str, ...]:
    """Read `a,b` or a list of such texts as one tuple, without blanks and repetitions."""
    texts = [value] if isinstance(value, str) else _texts(value)
    return tuple(dict.fromkeys(part.strip() for text in texts for part in text.split(",") if part.strip()))


def parse_conditions(value: object) -> tuple[str, ...]:
    """Read one expression on each line, or a list of them, as the qualifiers that `Preferences` wants."""
    from hlsdl.planning.qualifiers import where_texts  # what reads expressions is loaded when there is one

    texts = [line for line in value.splitlines() if line.strip()] if isinstance(value, str) else _texts(value)
    try:
        return where_texts(texts)
    except UsageError as error:
        raise ValueError(error.message) from error


def existing_file(value: object) -> Path:
    """Read a path whose file must be there and readable."""
    path = Path(str(value)).expanduser()
    if not path.is_file():
        raise ValueError(f"there is no file `{path}`")
    if not os.access(path, os.R_OK):
        raise ValueError(f"`{path}` is not readable")
    return path


def folder(value: object) -> Path:
    """Read the path of a folder, which need not be there yet."""
    path = Path(str(value)).expanduser()
    if path.exists() and not path.is_dir():
        raise ValueError(f"`{path}` is not a folder")
    return path


def _quantity(value: object, units: Mapping[str, int], what: str) -> int:
    return math.ceil(_amount(value, units, what))


def _amount(value: object, units: Mapping[str, int], what: str) -> Decimal:
    match = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)\s*([A-Za-z]*)", str(value).strip())
    if match is None or isinstance(value, bool) or match[2].lower() not in units or len(match[1]) > 18:
        raise ValueError(f"`{value}` is not {what}")
    try:
        amount = Decimal(match[1]) * units[match[2].lower()]
    except InvalidOperation as error:
        raise ValueError(f"`{value}` is not {what}") from error
    if amount <= 0:
        raise ValueError(f"`{value}` must be more than 0")
    return amount


def _texts(value: object) -> list[str]:
    if not isinstance(value, Iterable) or isinstance(value, Mapping):
        raise ValueError("it must be a text or a list of texts")
    return [str(item) for item in value]


def _header_file(path: Path) -> list[str]:
    try:
        text = existing_file(path).read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise ValueError(f"`{path}` is not UTF-8 text") from error
    return [line for line in text.splitlines() if line.strip() and not line.startswith(("#", "@"))]


def _header(line: str) -> tuple[str, str]:
    name, colon, value = line.partition(":")
    name, value = name.strip(), value.strip()
    if not colon:
        raise ValueError("a header is written `Name: value`, or `@file`")
    if HEADER_NAME.fullmatch(name) is None:
        raise ValueError("a header's name has characters that HTTP does not allow")
    if any((ord(character) < 0x20 and character != "\t") or ord(character) == 0x7F for character in value):
        raise ValueError(f"the value of header `{name}` has control characters")
    return name, value


Count = Annotated[int, BeforeValidator(parse_count)]
Bitrate = Annotated[int, BeforeValidator(parse_bitrate)]
Rate = Annotated[int, BeforeValidator(parse_rate)]
Size = Annotated[int, BeforeValidator(parse_size)]
Seconds = Annotated[float, BeforeValidator(parse_time)]
FrameSize = Annotated[tuple[int, int], BeforeValidator(parse_frame_size)]
Languages = Annotated[tuple[str, ...], BeforeValidator(parse_languages)]
Names = Annotated[tuple[str, ...], BeforeValidator(split_list)]
Conditions = Annotated[tuple[str, ...], BeforeValidator(parse_conditions)]
Headers = Annotated[tuple[tuple[str, str], ...], BeforeValidator(parse_headers)]
ReadableFile = Annotated[Path, BeforeValidator(existing_file)]
Folder = Annotated[Path, BeforeValidator(folder)]
Program = Annotated[Path, BeforeValidator(lambda value: Path(str(value)).expanduser())]
ProgressMode = Literal["auto", "bar", "lines", "json", "none"]


class Settings(BaseModel):
    """Everything that flags, variables and the file can set, with the defaults of `hlsdl fetch`.

    A field `max_bitrate` is the flag `--max-bitrate`, the variable `HLSDL_MAX_BITRATE` and the key `max-bitrate`.
    Defaults that belong to a room below (retries, timeouts …) are None here, so that they are written down once.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    min_bitrate: Bitrate | None = None
    max_bitrate: Bitrate | None = None
    bitrate_basis: Literal["peak", "average"] = "peak"
    min_size: FrameSize | None = None
    max_size: FrameSize | None = None
    hdr: bool = True
    multichannel: bool = True
    lossless: bool = False
    codec: Names = ()
    where: Conditions = ()
    variants: Literal["one", "all"] = "one"
    audio: Languages = (DEFAULT,)
    subs: Languages = (DEFAULT,)
    iframes: bool = False
    dir: Folder = Path()
    allow_gaps: bool = False
    keep_protected: bool = False
    connections: Annotated[Count, Field(ge=1, le=256)] | None = None
    limit_rate: Rate | None = None
    retries: Annotated[Count, Field(ge=0, le=1000)] | None = None
    timeout: Seconds | None = None
    stall_timeout: Seconds | None = None
    header: Headers = Field(default=(), repr=False)
    cookies: ReadableFile | None = None
    user_agent: str | None = None
    referer: str | None = Field(default=None, repr=False)
    proxy: str | None = Field(default=None, repr=False)
    cacert: ReadableFile | None = None
    client_cert: ReadableFile | None = None
    insecure: bool = False
    require_https: bool = False
    allow_private: bool = False
    http2: bool = False
    http3: bool = False
    trust_origin: Names = ()
    quota: Size | None = None
    ffmpeg: Program | None = None
    player: str | None = None
    port: Annotated[Count, Field(ge=0, le=65535)] = 0
    progress: ProgressMode = "auto"
    quiet: bool = False
    verbose: Count = 0

    def preferences(self, *, variant: str | None = None) -> Preferences:
        """Return the part that selection understands; `variant` names one of one stream, so it is no setting."""
        return Preferences(
            min_bitrate=self.min_bitrate,
            max_bitrate=self.max_bitrate,
            bitrate_basis=self.bitrate_basis,
            min_size=self.min_size,
            max_size=self.max_size,
            hdr=self.hdr,
            multichannel=self.multichannel,
            lossless=self.lossless,
            codecs=self.codec,
            where=self.where,
            variant=variant,
            variants=self.variants,
            audio=self.audio,
            subtitles=self.subs,
            iframes=self.iframes,
        )

    def transfer_options(self) -> TransferOptions:
        """Return the part that the network understands."""
        given: dict[str, Any] = {
            "connections": self.connections,
            "retries": self.retries,
            "timeout": self.timeout,
            "stall_timeout": self.stall_timeout,
        }
        return TransferOptions(
            **{name: value for name, value in given.items() if value is not None},
            limit_rate=self.limit_rate,
            headers=self.header,
            cookies_file=self.cookies,
            user_agent=self.user_agent,
            referer=self.referer,
            proxy=self.proxy,
            cacert=self.cacert,
            client_cert=self.client_cert,
            insecure=self.insecure,
            require_https=self.require_https,
            allow_private=self.allow_private,
            http2=self.http2,
            http3=self.http3,
            trusted_origins=self.trust_origin,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """The settings of one run and where each came from."""

    settings: Settings
    origins: Mapping[str, str]
    """For each field: `flag --x`, `variable HLSDL_X`, `file PATH` or `default`."""
    file: Path | None
    """The configuration file that was read, if any."""


def default_config_file() -> Path:
    """Return where the configuration file is looked for when `--config` does not say."""
    import platformdirs

    return platformdirs.user_config_path("hlsdl", appauthor=False) / "config.toml"


def load_settings(flags: Mapping[str, object], *, config: Path | None = None, use_file: bool = True) -> Loaded:
    """Join flags (those that were given), variables and the file into `Settings`.

    Raises:
        UsageError: a value makes no sense, a key is unknown, or the file named by `config` cannot be read.
    """
    path = _file_to_read(config) if use_file else None
    from_file = _read_file(path) if path is not None else {}
    from_variables = _read_variables()
    origins = dict.fromkeys(Settings.model_fields, "default")
    origins |= dict.fromkeys(from_file, f"file {path}")
    origins |= {name: f"variable {ENV_PREFIX}{name.upper()}" for name in from_variables}
    origins |= {name: f"flag {flag_of(name)}" for name in flags}
    values: dict[str, object] = {**from_file, **from_variables, **flags}
    try:
        settings = Settings(**values)  # type: ignore[arg-type]  # raw values: the validators give them their types
    except ValidationError as error:
        raise _usage_error(error, origins) from None
    return Loaded(settings=settings, origins=origins, file=path)


def unknown_variables(environment: Mapping[str, str]) -> tuple[str, ...]:
    """Name the `HLSDL_*` variables that set nothing: most likely they are misspelt."""
    known = {f"{ENV_PREFIX}{name}".upper() for name in (*Settings.model_fields, "config", "data", "debug")}
    return tuple(sorted(name for name in environment if name.startswith(ENV_PREFIX) and name not in known))


def flag_of(field: str) -> str:
    """Return the long flag that sets `field`."""
    return "--" + field.replace("_", "-")


def _file_to_read(config: Path | None) -> Path | None:
    named = config or (Path(os.environ["HLSDL_CONFIG"]) if os.environ.get("HLSDL_CONFIG") else None)
    if named is not None:
        named = named.expanduser()
        if not named.is_file():
            raise UsageError(f"there is no configuration file `{named}`")
        return named
    usual = default_config_file()
    return usual if usual.is_file() else None


def _read_variables() -> dict[str, object]:
    """Read the `HLSDL_*` variables as texts; empty ones say nothing."""
    if not any(name.upper().startswith(ENV_PREFIX) for name in os.environ):
        return {}  # pydantic-settings takes a tenth of a second to start with, and most runs have nothing for it
    from pydantic_settings import BaseSettings, EnvSettingsSource, SettingsConfigDict

    class Variables(Settings, BaseSettings):
        model_config = SettingsConfigDict(env_prefix=ENV_PREFIX, env_ignore_empty=True, enable_decoding=False)

    return EnvSettingsSource(Variables)()


def _read_file(path: Path) -> dict[str, object]:
    import tomllib

    from pydantic_settings import BaseSettings, TomlConfigSettingsSource

    try:
        written: dict[str, object] = TomlConfigSettingsSource(BaseSettings, toml_file=path).toml_data
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"`{path}` is not valid TOML: {str(error).rstrip('.')}") from error
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"the configuration file `{path}` cannot be read") from error
    for key in written:
        if key.replace("-", "_") not in Settings.model_fields:
            import difflib

            near = difflib.get_close_matches(key, [flag_of(name)[2:] for name in Settings.model_fields], n=1)
            hint = f"did you mean `{near[0]}`?" if near else "`hlsdl doctor --no-config` lists the settings there are"
            raise UsageError(f"`{path}` sets `{key}`, which is no setting", hint=hint)
    return {key.replace("-", "_"): value for key, value in written.items()}


def _usage_error(error: ValidationError, origins: Mapping[str, str]) -> UsageError:
    """Say what the first wrong value is, by the name its author wrote, without repeating values that may be secret."""
    first = error.errors(include_url=False, include_input=False)[0]
    field = str(first["loc"][0])
    kind, _, name = origins.get(field, "default").partition(" ")
    written = f"`{flag_of(field)[2:]}` in `{name}`" if kind == "file" else f"`{name}`"
    cause = first.get("ctx", {}).get("error")
    reason = str(cause) if cause is not None else first["msg"][:1].lower() + first["msg"][1:]
    return UsageError(f"{written}: {reason}", hint=getattr(cause and cause.__cause__, "hint", None))
