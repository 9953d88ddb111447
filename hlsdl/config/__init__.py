"""Settings: what flags, `HLSDL_*` variables and the TOML file say, made into the values that rooms below understand.

Flags beat variables, variables beat the file, the file beats the defaults; `load_settings` remembers which of them
won for each value (`hlsdl doctor` shows it). Every value goes through the same reader (`values`) wherever it was
written, so a wrong one is reported by the name its author used. pydantic-settings, which finds variables, is loaded
when there are some. Rooms below receive `Preferences` and `TransferOptions`, never this.
"""

# ruff: noqa: RUF009 - `_setting` is `dataclasses.field` with its reader

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Literal

from hlsdl.config.values import (
    cookie_file,
    count_in,
    existing_file,
    folder,
    home_expanded,
    one_of,
    parse_bitrate,
    parse_conditions,
    parse_count,
    parse_frame_size,
    parse_headers,
    parse_languages,
    parse_rate,
    parse_size,
    parse_switch,
    parse_text,
    parse_time,
    read_given,
    split_list,
)
from hlsdl.errors import UsageError
from hlsdl.planning.preferences import DEFAULT, Preferences
from hlsdl.transfer.options import MOST_CONNECTIONS, MOST_RETRIES, TransferOptions

ENV_PREFIX = "HLSDL_"


def _setting(read: Callable[[object], Any], default: Any = None, *, secret: bool = False) -> Any:
    """A field of `Settings`; `read` understands what anybody wrote for it, or raises a ValueError that says why not."""
    return field(default=default, metadata={"read": read}, repr=not secret)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Everything that flags, variables and the file can set, with the defaults of `hlsdl fetch`.

    A field `max_bitrate` is the flag `--max-bitrate`, the variable `HLSDL_MAX_BITRATE` and the key `max-bitrate`.
    Defaults that belong to a room below (retries, timeouts …) are None here, so that they are written down once.
    """

    min_bitrate: int | None = _setting(parse_bitrate)
    max_bitrate: int | None = _setting(parse_bitrate)
    bitrate_basis: Literal["peak", "average"] = _setting(one_of("peak", "average"), "peak")
    min_size: tuple[int, int] | None = _setting(parse_frame_size)
    max_size: tuple[int, int] | None = _setting(parse_frame_size)
    hdr: bool = _setting(parse_switch, True)
    multichannel: bool = _setting(parse_switch, True)
    lossless: bool = _setting(parse_switch, False)
    codec: tuple[str, ...] = _setting(split_list, ())
    where: tuple[str, ...] = _setting(parse_conditions, ())
    variants: Literal["one", "all"] = _setting(one_of("one", "all"), "one")
    audio: tuple[str, ...] = _setting(parse_languages, (DEFAULT,))
    subs: tuple[str, ...] = _setting(parse_languages, (DEFAULT,))
    iframes: bool = _setting(parse_switch, False)
    dir: Path = _setting(folder, Path())
    allow_gaps: bool = _setting(parse_switch, False)
    keep_protected: bool = _setting(parse_switch, False)
    connections: int | None = _setting(count_in(1, MOST_CONNECTIONS))
    limit_rate: int | None = _setting(parse_rate)
    retries: int | None = _setting(count_in(0, MOST_RETRIES))
    timeout: float | None = _setting(parse_time)
    stall_timeout: float | None = _setting(parse_time)
    header: tuple[tuple[str, str], ...] = _setting(parse_headers, (), secret=True)
    cookies: Path | str | None = _setting(cookie_file, secret=True)
    """The path of a cookie file; a text: what came through a pipe in place of one."""
    user_agent: str | None = _setting(parse_text)
    referer: str | None = _setting(parse_text, secret=True)
    proxy: str | None = _setting(parse_text, secret=True)
    cacert: Path | None = _setting(existing_file)
    client_cert: Path | None = _setting(existing_file)
    insecure: bool = _setting(parse_switch, False)
    require_https: bool = _setting(parse_switch, False)
    allow_private: bool = _setting(parse_switch, False)
    http2: bool = _setting(parse_switch, False)
    http3: bool = _setting(parse_switch, False)
    trust_origin: tuple[str, ...] = _setting(split_list, ())
    quota: int | None = _setting(parse_size)
    ffmpeg: Path | None = _setting(lambda value: home_expanded(parse_text(value)))
    player: Literal["browser", "mpv", "vlc", "ffplay", "none"] | None = _setting(
        one_of("browser", "mpv", "vlc", "ffplay", "none")
    )
    port: int = _setting(count_in(0, 65535), 0)
    progress: Literal["auto", "bar", "lines", "json", "none"] = _setting(
        one_of("auto", "bar", "lines", "json", "none"), "auto"
    )
    quiet: bool = _setting(parse_switch, False)
    verbose: int = _setting(parse_count, 0)

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
            cookies_file=self.cookies if isinstance(self.cookies, Path) else None,
            cookies_text=self.cookies if isinstance(self.cookies, str) else None,
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


NAMES = tuple(one.name for one in fields(Settings))
"""Of all settings."""


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
    origins = dict.fromkeys(NAMES, "default")
    origins |= dict.fromkeys(from_file, f"file {path}")
    origins |= {name: f"variable {ENV_PREFIX}{name.upper()}" for name in from_variables}
    origins |= {name: f"flag {flag_of(name)}" for name in flags}
    settings = Settings(**_understood({**from_file, **from_variables, **flags}, origins))
    return Loaded(settings=settings, origins=origins, file=path)


def unknown_variables(environment: Mapping[str, str]) -> tuple[str, ...]:
    """Name the `HLSDL_*` variables that set nothing: most likely they are misspelt."""
    known = {f"{ENV_PREFIX}{name}".upper() for name in (*NAMES, "config", "data", "debug")}
    return tuple(sorted(name for name in environment if name.startswith(ENV_PREFIX) and name not in known))


def flag_of(field: str) -> str:
    """Return the long flag that sets `field`."""
    return "--" + field.replace("_", "-")


def _file_to_read(config: Path | None) -> Path | None:
    named = config or (Path(os.environ["HLSDL_CONFIG"]) if os.environ.get("HLSDL_CONFIG") else None)
    if named is not None:
        try:
            named = home_expanded(str(named))
        except ValueError as error:
            raise UsageError(f"the configuration file cannot be found: {error}") from error
        if not named.exists():
            raise UsageError(f"there is no configuration file `{named}`")
        return named
    usual = default_config_file()
    return usual if usual.is_file() else None


def _read_variables() -> dict[str, object]:
    """Read the `HLSDL_*` variables as texts; empty ones say nothing."""
    if {f"{ENV_PREFIX}{name}".upper() for name in NAMES}.isdisjoint(name.upper() for name in os.environ):
        return {}  # pydantic-settings takes a tenth of a second to start with, and most runs have nothing for it
    from pydantic import create_model
    from pydantic_settings import BaseSettings, EnvSettingsSource

    texts: dict[str, Any] = dict.fromkeys(NAMES, (str | None, None))
    variables = create_model("Variables", __base__=BaseSettings, **texts)
    return EnvSettingsSource(variables, env_prefix=ENV_PREFIX, env_ignore_empty=True)()


def _read_file(path: Path) -> dict[str, object]:
    import tomllib

    try:
        written: dict[str, object] = tomllib.loads(read_given(path).decode())
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"`{path}` is not valid TOML: {str(error).rstrip('.')}") from error
    except UnicodeDecodeError as error:
        raise UsageError(f"`{path}` is not UTF-8 text") from error
    except ValueError as error:
        raise UsageError(f"the configuration file cannot be read: {error}") from error
    spelt: dict[str, str] = {}
    for key in written:
        if (other := spelt.setdefault(key.replace("-", "_"), key)) != key:
            raise UsageError(f"`{path}` sets `{other}` and `{key}`, which are one", hint="leave one of them out")
        if key.replace("-", "_") not in NAMES:
            import difflib

            near = difflib.get_close_matches(key, [flag_of(name)[2:] for name in NAMES], n=1)
            hint = f"did you mean `{near[0]}`?" if near else "`hlsdl doctor --no-config` lists the settings there are"
            raise UsageError(f"`{path}` sets `{key}`, which is no setting", hint=hint)
    return {key.replace("-", "_"): value for key, value in written.items()}


def _understood(values: Mapping[str, object], origins: Mapping[str, str]) -> dict[str, Any]:
    """Read every value; UsageError names the first wrong one as its author did, without secrets."""
    read: dict[str, Any] = {}
    for one in fields(Settings):
        if one.name in values:
            try:
                read[one.name] = one.metadata["read"](values[one.name])
            except ValueError as error:
                kind, _, name = origins[one.name].partition(" ")
                written = f"`{flag_of(one.name)[2:]}` in `{name}`" if kind == "file" else f"`{name}`"
                raise UsageError(f"{written}: {error}", hint=getattr(error.__cause__, "hint", None)) from None
    return read
