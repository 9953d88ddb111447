"""The command line as a whole: help, version, wrong usage, and how an error ends the process."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

import hlsdl as package
from cli.commands import hlsdl
from hlsdl import errors
from hlsdl.cli import app, downloads
from hlsdl.cli.app import main, tree
from hlsdl.config import NAMES

COMMANDS = ("fetch", "plan", "inspect", "info", "verify", "repair", "play", "doctor")
ROOT = Path(app.__file__).parent.parent.parent
USUAL = errors.UsageError.usual_hint
HEAVY = ("httpx", "rich", "pydantic", "starlette", "uvicorn", "asyncio", "m3u8", "cryptography", "webbrowser")


@pytest.fixture(autouse=True)
def no_settings_of_this_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No variable and no file of the person who runs the tests takes part."""
    import os

    for name in [name for name in os.environ if name.startswith("HLSDL_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("COLUMNS", "100")


class TestHelp:
    def test_every_command_is_listed(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["--help"]) == 0
        shown = capsys.readouterr()
        assert [
            line.split()[0] for line in shown.out.splitlines() if line.startswith("  ") and line.split()[0] in COMMANDS
        ] == list(COMMANDS)
        assert shown.err == ""

    @pytest.mark.parametrize("command", COMMANDS)
    def test_every_command_has_groups_and_examples_and_fits_the_terminal(
        self, command: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert main([command, "--help"]) == 0
        text = capsys.readouterr().out
        assert text.startswith(f"Usage: hlsdl {command} [OPTIONS]")
        assert "Everywhere:" in text
        about, examples = text.split("Examples:")
        assert f"hlsdl {command}" in examples
        assert max(len(line) for line in about.splitlines()) <= 100

    def test_help_works_after_other_flags(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["fetch", "--json", "https://a.example/", "--help"]) == 0
        assert "Usage: hlsdl fetch" in capsys.readouterr().out

    def test_no_heavy_room_is_imported_for_help(self, tmp_path: Path) -> None:
        program = "import sys\nfrom hlsdl.cli.app import main\nmain(['--help'])\nprint(*sys.modules, file=sys.stderr)"
        done = subprocess.run(
            [sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=ROOT, timeout=60
        )
        assert {name.split(".")[0] for name in done.stderr.split()}.isdisjoint(HEAVY)

    def test_a_bare_command_shows_what_it_can_do_as_wrong_usage(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert main([]) == 2
        shown = capsys.readouterr()
        assert shown.out == ""
        assert "fetch" in shown.err

    @pytest.mark.parametrize("line", [["--version"], ["fetch", "--version"], ["--json", "--version"]])
    def test_the_version_is_told_everywhere(self, line: list[str], capsys: pytest.CaptureFixture[str]) -> None:
        assert main(line) == 0
        assert capsys.readouterr().out == f"hlsdl {package.__version__}\n"


class TestUsage:
    @pytest.mark.parametrize(
        ("line", "message", "hint"),
        [
            (["fetch", "--forc", "x"], "there is no flag `--forc`", "did you mean `--force`?"),
            (["fetsh"], "no such command `fetsh`", "did you mean `fetch`?"),
            (["fetch"], "missing argument `SOURCE…`", "`hlsdl fetch --help` shows how it is used"),
            (["fetch", "-N"], "option `-N` requires an argument", "`hlsdl fetch --help` shows how it is used"),
            (["info", "a", "b"], "too many arguments: `b`", "`hlsdl info --help` shows how it is used"),
            (["fetch", "x", "--retries", "many"], "`--retries`: `many` is not a whole number", USUAL),
            (["fetch", "x", "--connections", "0"], "`--connections`: `0` is not between 1 and 256", USUAL),
            (["plan", "x", "--max-size", "720p"], "`--max-size`: `720p` is not a size such as `1280x720`", USUAL),
            (["plan", "x", "--audio", "all,en"], "`--audio`: `all` stands alone, without other languages", USUAL),
            (["fetch", "x", "-H", "nothing"], "`--header`: a header is written `Name: value`, or `@file`", USUAL),
            (
                ["fetch", "x", "--progress", "loud"],
                "invalid value for `--progress`: `loud` is not one of `auto`, `bar`, `lines`, `json`, `none`",
                "`hlsdl fetch --help` shows how it is used",
            ),
            (
                ["fetch", "x", "y", "-o", "z"],
                "`-o` names one bundle, and there are several sources",
                "`-P` names their folder",
            ),
            (["fetch", "x", "--config", "none.toml"], "there is no configuration file `none.toml`", USUAL),
        ],
    )
    def test_wrong_usage_is_a_sentence_a_hint_and_2(
        self, line: list[str], message: str, hint: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert main(line) == 2
        shown = capsys.readouterr()
        assert shown.out == ""
        assert shown.err == f"error: {message}\nhint: {hint}\n"

    @pytest.mark.parametrize(
        "line", [["--json", "fetch"], ["fetch", "--json"], ["fetch", "--json", "--max-size", "1", "x"]]
    )
    def test_wrong_usage_with_json_is_a_document(self, line: list[str], capsys: pytest.CaptureFixture[str]) -> None:
        assert main(line) == 2
        document = json.loads(capsys.readouterr().out)
        assert (document["schema"], document["code"], document["kind"]) == ("hlsdl.error/1", 2, "usage")

    def test_a_word_after_two_dashes_is_no_flag(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["info", "--", "--json"]) == 2
        assert capsys.readouterr().out == ""

    def test_flags_before_and_after_the_command_mean_the_same(self, capsys: pytest.CaptureFixture[str]) -> None:
        for line in (["--json", "doctor"], ["doctor", "--json"]):
            assert main(line) == 0
            assert json.loads(capsys.readouterr().out)["schema"] == "hlsdl.doctor/1"


class TestEndings:
    @pytest.fixture
    def failing(self, monkeypatch: pytest.MonkeyPatch) -> list[BaseException]:
        """`hlsdl doctor` raises what is put into this list."""
        to_raise: list[BaseException] = []

        def load(*_: object, **__: object) -> None:
            raise to_raise[0]

        monkeypatch.setattr("hlsdl.cli.doctor.load", load)
        return to_raise

    def every_error() -> list[type[errors.HlsdlError]]:
        kinds: list[type[errors.HlsdlError]] = [errors.HlsdlError]
        return [*kinds, *errors.HlsdlError.__subclasses__()]

    @pytest.mark.parametrize("kind", every_error(), ids=lambda kind: kind.__name__)
    def test_each_error_ends_with_its_own_code(
        self, kind: type[errors.HlsdlError], failing: list[BaseException], capsys: pytest.CaptureFixture[str]
    ) -> None:
        failing.append(kind("it went wrong", hint="do something"))
        assert main(["doctor", "--json"]) == kind.code
        shown = capsys.readouterr()
        assert shown.err == "error: it went wrong\nhint: do something\n"
        document = json.loads(shown.out)
        assert (document["code"], document["kind"], document["resumable"]) == (kind.code, kind.kind, kind.resumable)

    def test_a_defect_is_one_sentence_and_1(
        self, failing: list[BaseException], capsys: pytest.CaptureFixture[str]
    ) -> None:
        failing.append(ZeroDivisionError("secret"))
        assert main(["doctor"]) == 1
        shown = capsys.readouterr().err
        assert shown.startswith("error: hlsdl has a defect: `ZeroDivisionError` in `")
        assert "Traceback" not in shown
        assert "secret" not in shown

    def test_ctrl_c_outside_of_a_download_is_130(
        self, failing: list[BaseException], capsys: pytest.CaptureFixture[str]
    ) -> None:
        failing.append(KeyboardInterrupt())
        assert main(["doctor"]) == 130
        assert capsys.readouterr().err == "error: interrupted\n"

    def test_a_traceback_needs_a_variable_and_two_flags(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        def broken(*_: object) -> None:
            raise ZeroDivisionError

        monkeypatch.setattr("hlsdl.cli.doctor.diagnosis", broken)
        assert main(["doctor", "-vv"]) == 1
        assert "Traceback" not in capsys.readouterr().err
        monkeypatch.setenv("HLSDL_DEBUG", "1")
        assert main(["doctor", "-v", "-v"]) == 1
        assert "Traceback" in capsys.readouterr().err

    def test_a_reader_that_leaves_early_is_no_error(self, tmp_path: Path) -> None:
        command = f"{sys.executable} -m hlsdl doctor | true; exit ${{PIPESTATUS[0]}}"
        done = subprocess.run(
            ["bash", "-c", command], capture_output=True, text=True, cwd=ROOT, timeout=60, check=False
        )
        assert (done.returncode, done.stderr) == (0, "")

    def test_closed_standard_streams_are_no_error(self, tmp_path: Path) -> None:
        for closed in (">&-", "2>&-", ">&- 2>&- <&-"):
            command = f"{sys.executable} -m hlsdl doctor {closed}"
            done = subprocess.run(["bash", "-c", command], capture_output=True, cwd=ROOT, timeout=60, check=False)
            assert (done.returncode, done.stderr) == (0, b"")


class TestDocuments:
    def test_the_generated_page_is_fresh(self) -> None:
        tool = ROOT / "tools" / "write_cli_docs"
        done = subprocess.run(
            [sys.executable, tool, "--check"], capture_output=True, text=True, timeout=60, check=False
        )
        assert (done.returncode, done.stderr) == (0, "")

    def test_every_exit_code_is_documented_with_its_kind(self) -> None:
        text = (ROOT / "docs" / "exit-codes.md").read_text()
        for kind in (errors.HlsdlError, *errors.HlsdlError.__subclasses__()):
            assert f"| {kind.code} | `{kind.kind}` |" in text

    def test_every_setting_is_documented_and_has_a_flag(self) -> None:
        text = (ROOT / "docs" / "configuration.md").read_text()
        flags = {option for command in tree().commands.values() for one in command.params for option in one.opts}
        for name in NAMES:
            written = name.replace("_", "-")
            assert f"`{written}`" in text
            assert f"--{written}" in flags or name == "ffmpeg"

    def test_flags_that_are_no_settings_are_flags_of_one_stream(self) -> None:
        wishes = downloads.Wishes.__dataclass_fields__
        assert {"selection", "source", "plan", "store", "transfer", "common"} == set(wishes)


def test_a_file_turns_progress_off_and_a_flag_turns_it_on_again(tmp_path: Path) -> None:
    (tmp_path / ".config" / "hlsdl").mkdir(parents=True)
    (tmp_path / ".config" / "hlsdl" / "config.toml").write_text('progress = "none"\nplayer = "mpv"\n')
    document = hlsdl("doctor", "--json", "--progress", "lines", home=tmp_path).document
    origins = {one["name"]: (one["value"], one["origin"].split(" ")[0]) for one in document["settings"]}
    assert origins["progress"] == ("lines", "flag")
    assert origins["player"] == ("mpv", "file")
    assert origins["hdr"] == (True, "default")


def test_doctor_shows_no_secret_and_names_misspelt_variables(tmp_path: Path) -> None:
    environment = {
        "HLSDL_HEADER": "X-Token: s3cret",
        "HLSDL_PROXY": "http://me:s3cret@proxy.example:3128",
        "HLSDL_PROXI": "s3cret",
    }
    shown = hlsdl("doctor", home=tmp_path, environment=environment)
    assert shown.code == 0
    assert "s3cret" not in shown.out + shown.err
    for part in ("X-Token: …", "http://proxy.example:3128", "variable HLSDL_PROXY", "`HLSDL_PROXI` is no setting"):
        assert part in shown.out
    assert "a proxy resolves names by itself" in shown.out
