"""Settings: how values are written, who beats whom, and what is said about a wrong one."""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import Any

import pytest

from hlsdl.config import Settings, load_settings, unknown_variables
from hlsdl.config.values import (
    parse_bitrate,
    parse_count,
    parse_frame_size,
    parse_headers,
    parse_languages,
    parse_rate,
    parse_switch,
    parse_time,
    split_list,
)
from hlsdl.errors import UsageError
from hlsdl.player.handoff import PlayerName
from hlsdl.transfer.options import LONGEST_TIME


@pytest.fixture(autouse=True)
def no_settings_of_this_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No variable and no file of the person who runs the tests takes part."""
    import os

    for name in [name for name in os.environ if name.startswith("HLSDL_")]:
        monkeypatch.delenv(name)
    monkeypatch.setattr("hlsdl.config.default_config_file", lambda: tmp_path / "nowhere" / "config.toml")


class TestUnits:
    @pytest.mark.parametrize(
        ("written", "bits"),
        [
            ("500k", 500_000),
            ("2M", 2_000_000),
            ("2m", 2_000_000),
            ("1.5M", 1_500_000),
            ("64000", 64_000),
            (64000, 64_000),
        ],
    )
    def test_a_bitrate_is_bits_per_second_in_units_of_1000(self, written: object, bits: int) -> None:
        assert parse_bitrate(written) == bits

    @pytest.mark.parametrize("wrong", ["", "fast", "-1", "0", "2Mi", "1e6", "2 MB", "１２", True, None, "9" * 30])
    def test_what_is_no_bitrate_is_refused(self, wrong: object) -> None:
        with pytest.raises(ValueError, match=r"bitrate|more than 0"):
            parse_bitrate(wrong)

    @pytest.mark.parametrize(("written", "count"), [("5M", 5_000_000), ("512Ki", 524_288), ("0.5k", 500), ("1", 1)])
    def test_a_rate_is_bytes_per_second(self, written: str, count: int) -> None:
        assert parse_rate(written) == count

    @pytest.mark.parametrize(
        ("written", "seconds"), [("90", 90.0), ("90s", 90.0), ("5m", 300.0), ("1h", 3600.0), ("0.5", 0.5), (15, 15.0)]
    )
    def test_a_time_is_seconds(self, written: object, seconds: float) -> None:
        assert parse_time(written) == seconds

    @pytest.mark.parametrize("wrong", ["0", "soon", "1d", "-5s", "inf", "nan"])
    def test_what_is_no_time_is_refused(self, wrong: str) -> None:
        with pytest.raises(ValueError, match=r"time|more than 0"):
            parse_time(wrong)

    def test_a_time_has_an_end(self) -> None:
        assert parse_time("1000000s") == LONGEST_TIME
        with pytest.raises(ValueError, match="`300h` is more than 1000000 seconds"):
            parse_time("300h")

    def test_a_size_is_width_by_height(self) -> None:
        assert parse_frame_size("1280x720") == parse_frame_size("1280X720") == (1280, 720)

    @pytest.mark.parametrize("wrong", ["720p", "1280", "0x720", "1280x00", "x", "1280x-720"])
    def test_what_is_no_size_is_refused(self, wrong: str) -> None:
        with pytest.raises(ValueError, match="is not a size"):
            parse_frame_size(wrong)

    @pytest.mark.parametrize("wrong", ["-1", "1.5", "many", "", True, "1" * 10])
    def test_a_count_is_a_whole_number(self, wrong: object) -> None:
        assert parse_count(" 12 ") == parse_count(12) == 12
        with pytest.raises(ValueError, match="is not a whole number"):
            parse_count(wrong)

    @pytest.mark.parametrize(
        ("written", "meaning"), [(True, True), ("Yes", True), (" on", True), (1, True), ("0", False), ("FALSE", False)]
    )
    def test_a_switch_is_on_or_off(self, written: object, meaning: bool) -> None:
        assert parse_switch(written) is meaning

    @pytest.mark.parametrize("wrong", ["", "maybe", 2, None, [True], "truee"])
    def test_what_is_neither_on_nor_off_is_refused(self, wrong: object) -> None:
        with pytest.raises(ValueError, match="neither"):
            parse_switch(wrong)


class TestLists:
    def test_commas_and_repeated_flags_mean_the_same(self) -> None:
        assert split_list("a, b,,a") == split_list(["a", "b"]) == ("a", "b")

    @pytest.mark.parametrize(
        ("written", "languages"),
        [
            ("en,pt-BR", ("en", "pt-BR")),
            ("ALL", ("all",)),
            ("default", ("default",)),
            (["en", "fr,de"], ("en", "fr", "de")),
        ],
    )
    def test_languages_are_words_or_tags(self, written: object, languages: tuple[str, ...]) -> None:
        assert parse_languages(written) == languages

    @pytest.mark.parametrize("wrong", ["all,en", "", "en_US", "e", ["none", "de"]])
    def test_a_word_stands_alone_and_tags_are_well_formed(self, wrong: object) -> None:
        with pytest.raises(ValueError, match=r"stands alone|names no language|not a language tag"):
            parse_languages(wrong)


class TestHeaders:
    def test_headers_are_name_and_value_without_the_space_between(self) -> None:
        assert parse_headers(["X-Token:  a:b ", "Accept: */*"]) == (("X-Token", "a:b"), ("Accept", "*/*"))

    def test_a_variable_holds_one_header_a_line(self) -> None:
        assert parse_headers("X-One: 1\nX-Two: 2") == (("X-One", "1"), ("X-Two", "2"))

    def test_a_file_keeps_secrets_out_of_the_process_list(self, tmp_path: Path) -> None:
        path = tmp_path / "headers.txt"
        path.write_text("# for the film\n\nAuthorization: Bearer s3cret\r\nX-Two: 2\n")
        assert parse_headers([f"@{path}"]) == (("Authorization", "Bearer s3cret"), ("X-Two", "2"))

    @pytest.mark.parametrize("wrong", ["s3cret", "X Y: s3cret", ": s3cret", "X: s3cret\x00", "X: s3cret\x1b[2J"])
    def test_a_message_about_a_header_does_not_repeat_it(self, wrong: str) -> None:
        with pytest.raises(ValueError, match="header") as caught:
            parse_headers([wrong])
        assert "s3cret" not in str(caught.value)

    def test_a_line_break_in_a_header_of_the_command_line_is_refused(self) -> None:
        with pytest.raises(ValueError, match="control characters"):
            parse_headers(["X: a\r\nHost: other"])


class TestOrder:
    def test_flags_beat_variables_beat_the_file_beats_the_defaults(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        file = tmp_path / "config.toml"
        file.write_text('max-bitrate = "1M"\nmin_bitrate = 500000\naudio = ["en", "fr"]\n')
        monkeypatch.setenv("HLSDL_MAX_BITRATE", "2M")
        monkeypatch.setenv("HLSDL_SUBS", "de,fr")
        loaded = load_settings({"max_bitrate": "3M"}, config=file)
        settings = loaded.settings
        assert (settings.max_bitrate, settings.min_bitrate) == (3_000_000, 500_000)
        assert (settings.audio, settings.subs, settings.lossless) == (("en", "fr"), ("de", "fr"), False)
        assert loaded.origins["max_bitrate"] == "flag --max-bitrate"
        assert loaded.origins["subs"] == "variable HLSDL_SUBS"
        assert loaded.origins["min_bitrate"] == f"file {file}"
        assert loaded.origins["lossless"] == "default"

    def test_without_the_file_the_file_is_not_read(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        file = tmp_path / "config.toml"
        file.write_text("this is not TOML")
        monkeypatch.setattr("hlsdl.config.default_config_file", lambda: file)
        loaded = load_settings({}, use_file=False)
        assert (loaded.file, loaded.settings) == (None, Settings())

    def test_the_usual_file_is_read_when_it_is_there(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        file = tmp_path / "config.toml"
        file.write_text("hdr = false\n")
        monkeypatch.setattr("hlsdl.config.default_config_file", lambda: file)
        assert load_settings({}).settings.hdr is False

    def test_an_empty_variable_says_nothing(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("HLSDL_PROXY", "")
        assert load_settings({}).origins["proxy"] == "default"

    def test_a_flag_turns_off_what_the_file_turns_on(self, tmp_path: Path) -> None:
        file = tmp_path / "config.toml"
        file.write_text("lossless = true\n")
        assert load_settings({"lossless": False}, config=file).settings.lossless is False


class TestRefusals:
    def test_a_wrong_value_is_named_as_its_author_wrote_it(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        file = tmp_path / "config.toml"
        file.write_text('timeout = "soon"\n')
        with pytest.raises(UsageError, match=r"`timeout` in `.*config\.toml`: `soon` is not a time"):
            load_settings({}, config=file)
        monkeypatch.setenv("HLSDL_RETRIES", "many")
        with pytest.raises(UsageError, match=r"`HLSDL_RETRIES`: `many` is not a whole number"):
            load_settings({})
        with pytest.raises(UsageError, match=r"`--min-size`: `720p` is not a size"):
            load_settings({"min_size": "720p", "retries": 1})

    @pytest.mark.parametrize(
        ("flag", "value", "reason"),
        [
            ("connections", "257", "`257` is not between 1 and 256"),
            ("port", -1, "is not a whole number"),
            ("bitrate_basis", "mean", "it is none of `peak`, `average`"),
            ("proxy", ["s3cret"], "it must be a text"),
            ("hdr", "perhaps", "neither `true` nor `false`"),
        ],
    )
    def test_a_value_that_cannot_be_is_refused_with_the_reason(self, flag: str, value: object, reason: str) -> None:
        with pytest.raises(UsageError, match=reason) as caught:
            load_settings({flag: value})
        assert "s3cret" not in str(caught.value)

    def test_an_unknown_key_is_an_error_with_a_suggestion(self, tmp_path: Path) -> None:
        file = tmp_path / "config.toml"
        file.write_text("max-bitrat = 1\n")
        with pytest.raises(UsageError, match="is no setting") as caught:
            load_settings({}, config=file)
        assert caught.value.hint == "did you mean `max-bitrate`?"

    def test_one_setting_in_two_spellings_is_an_error(self, tmp_path: Path) -> None:
        file = tmp_path / "config.toml"
        file.write_text('max-bitrate = "2M"\nmax_bitrate = "1M"\n')
        with pytest.raises(UsageError, match="`max-bitrate` and `max_bitrate`, which are one"):
            load_settings({}, config=file)
        file.write_text('max_bitrate = "1M"\n')
        assert load_settings({}, config=file).settings.max_bitrate == 1_000_000

    @pytest.mark.parametrize("content", [b"a = \n", b"\xff\xfe", b"[proxy]\na = 1"])
    def test_a_broken_file_is_an_error(self, tmp_path: Path, content: bytes) -> None:
        file = tmp_path / "config.toml"
        file.write_bytes(content)
        with pytest.raises(UsageError):
            load_settings({}, config=file)

    def test_a_file_that_was_named_must_be_there(self, tmp_path: Path) -> None:
        with pytest.raises(UsageError, match="there is no configuration file"):
            load_settings({}, config=tmp_path / "none.toml")

    @pytest.mark.parametrize("field", ["cookies", "cacert", "client_cert"])
    def test_files_that_are_named_must_be_there(self, field: str, tmp_path: Path) -> None:
        with pytest.raises(UsageError, match="there is no file"):
            load_settings({field: str(tmp_path / "none.pem")})

    @pytest.mark.parametrize("field", ["dir", "cacert", "client_cert", "cookies", "header", "ffmpeg", "config"])
    def test_the_folder_of_nobody_is_named(self, field: str, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv(f"HLSDL_{field.upper()}", "@~nobody-here/x" if field == "header" else "~nobody-here/x")
        with pytest.raises(UsageError, match="somebody who has none here"):
            load_settings({}, use_file=field == "config")

    def test_a_player_is_one_that_is_known(self, monkeypatch: pytest.MonkeyPatch) -> None:
        for name in PlayerName:
            monkeypatch.setenv("HLSDL_PLAYER", name)
            assert load_settings({}, use_file=False).settings.player == name
        monkeypatch.setenv("HLSDL_PLAYER", "safari")
        with pytest.raises(UsageError, match="none of `browser`"):
            load_settings({}, use_file=False)

    def test_a_folder_for_bundles_is_no_file(self, tmp_path: Path) -> None:
        (tmp_path / "file").touch()
        assert load_settings({"dir": str(tmp_path / "new")}).settings.dir == tmp_path / "new"
        with pytest.raises(UsageError, match="is not a folder"):
            load_settings({"dir": str(tmp_path / "file")})

    def test_secrets_are_in_no_repr_and_no_message(self) -> None:
        loaded = load_settings({"header": ["X-Token: s3cret"], "proxy": "http://me:s3cret@proxy:1"})
        assert "s3cret" not in repr(loaded)
        with pytest.raises(UsageError) as caught:
            load_settings({"header": ["s3cret"]})
        assert "s3cret" not in str(caught.value)


class TestRooms:
    def test_preferences_carry_every_wish(self) -> None:
        settings = load_settings(
            {"min_bitrate": "1M", "max_size": "1280x720", "codec": ["hvc1,avc1"], "audio": ["en"], "subs": ["none"]}
        ).settings
        wishes = settings.preferences(variant="v1")
        assert (wishes.min_bitrate, wishes.max_size, wishes.codecs) == (1_000_000, (1280, 720), ("hvc1", "avc1"))
        assert (wishes.audio, wishes.subtitles, wishes.variant) == (("en",), ("none",), "v1")

    def test_expressions_are_a_list_or_one_on_each_line(self, tmp_path: Path) -> None:
        file = tmp_path / "config.toml"
        file.write_text('where = ["video_range==\'HLG\'", "height <= 720"]')
        both = ("video_range == 'HLG'", "height <= 720")
        assert load_settings({}, config=file).settings.preferences().where == both
        assert load_settings({"where": "video_range=='HLG'\n\nheight<=720"}).settings.where == both
        file.write_text('where = "hight > 1"')
        with pytest.raises(UsageError, match=r"`where` in `.*config\.toml`: there is no attribute `hight`") as caught:
            load_settings({}, config=file)
        assert "height" in str(caught.value.hint)

    def test_what_nobody_set_keeps_the_default_of_the_room_below(self) -> None:
        from hlsdl.planning.preferences import Preferences
        from hlsdl.transfer.options import TransferOptions

        settings = load_settings({}).settings
        assert settings.preferences() == Preferences()
        assert settings.transfer_options() == TransferOptions()

    def test_transfer_options_carry_every_flag(self, tmp_path: Path) -> None:
        pem = tmp_path / "a.pem"
        pem.write_text("x")
        options = load_settings(
            {
                "connections": "3",
                "retries": 0,
                "timeout": "5s",
                "stall_timeout": "1m",
                "limit_rate": "5M",
                "header": ["X-A: b"],
                "cookies": str(pem),
                "cacert": str(pem),
                "client_cert": str(pem),
                "user_agent": "me",
                "referer": "https://a/",
                "proxy": "http://p:1",
                "insecure": True,
                "require_https": True,
                "allow_private": True,
                "http2": True,
                "trust_origin": ["cdn.example.com"],
            }
        ).settings.transfer_options()
        assert (options.connections, options.retries, options.timeout, options.stall_timeout) == (3, 0, 5.0, 60.0)
        assert (options.limit_rate, options.headers, options.cookies_file) == (5_000_000, (("X-A", "b"),), pem)
        assert (options.cacert, options.client_cert, options.user_agent, options.referer) == (
            pem,
            pem,
            "me",
            "https://a/",
        )
        assert (options.proxy, options.trusted_origins) == ("http://p:1", ("cdn.example.com",))
        assert (options.insecure, options.require_https, options.allow_private, options.http2) == (True,) * 4


def test_misspelt_variables_are_found() -> None:
    known = {"HLSDL_PROXY": "x", "HLSDL_DEBUG": "1", "HLSDL_CONFIG": "y", "PATH": "z"}
    assert unknown_variables(known | {"HLSDL_PROXI": "x"}) == ("HLSDL_PROXI",)


def give(path: Path, text: str) -> threading.Thread:
    """A pipe at `path` that somebody writes `text` into, once, as a shell's `<(…)` does."""
    os.mkfifo(path)
    writer = threading.Thread(target=path.write_text, args=(text,))
    writer.start()
    return writer


def test_what_comes_through_a_pipe_is_as_good_as_what_is_in_a_file(tmp_path: Path) -> None:
    cookies = "films.test\tFALSE\t/\tFALSE\t0\tsid\ts3cret\n"
    texts = {"config": "connections = 3\n", "headers": "X-Token: s3cret\n", "cookies": cookies}
    writers = [give(tmp_path / name, text) for name, text in texts.items()]
    loaded = load_settings(
        {"header": [f"@{tmp_path / 'headers'}"], "cookies": str(tmp_path / "cookies")}, config=tmp_path / "config"
    )
    for writer in writers:
        writer.join()
    options = loaded.settings.transfer_options()
    assert (options.connections, options.headers) == (3, (("X-Token", "s3cret"),))
    assert (options.cookies_file, options.cookies_text) == (None, cookies)
    assert "s3cret" not in repr(loaded) + repr(options)


def test_a_device_may_be_read_where_a_file_may() -> None:
    loaded = load_settings({"header": ["@/dev/null"], "cookies": "/dev/null"}, config=Path("/dev/null"))
    assert (loaded.settings.header, loaded.settings.cookies, loaded.file) == ((), "", Path("/dev/null"))


@pytest.mark.parametrize("flags", [{"header": ["@/dev/zero"]}, {"cookies": "/dev/zero"}, {"config": Path("/dev/zero")}])
def test_no_device_fills_the_memory(flags: dict[str, Any]) -> None:
    config = flags.pop("config", None)
    with pytest.raises(UsageError, match="`/dev/zero` has more than"):
        load_settings(flags, config=config)


@pytest.mark.parametrize("flags", [{"header": ["@."]}, {"cookies": "."}, {"cacert": "."}, {"config": Path()}])
def test_a_folder_is_not_called_a_file_that_is_not_there(flags: dict[str, Any]) -> None:
    config = flags.pop("config", None)
    with pytest.raises(UsageError) as caught:
        load_settings(flags, config=config)
    assert "there is no" not in caught.value.message
