"""The doctor's look at this machine's programs."""

from pathlib import Path

import pytest

from console.doctor import installation


def levels() -> dict[str, str]:
    """Give the level of each check."""
    return {verdict.check: verdict.level for verdict in installation.checks()}


def test_this_installation_is_sound() -> None:
    """[P10] Issue 3.5: every root package comes from one place, as a program that is started with -P would find it."""
    found = levels()
    assert (found["python"], found["packages"]) == ("ok", "ok")
    assert found["mosquitto"] in {"ok", "note"}


def test_a_package_that_something_else_shadows_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Issue 3.5: another `node` on PYTHONPATH would be started in place of ours."""
    (tmp_path / "node").mkdir()
    (tmp_path / "node" / "__init__.py").write_text("", encoding="utf-8")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    (verdict,) = [verdict for verdict in installation.checks() if verdict.check == "packages"]
    assert verdict.level == "error"
    assert f"node comes from {tmp_path}/node/__init__.py" in verdict.says
    assert "PYTHONPATH" in (verdict.mend or "")


def test_a_folder_of_the_same_name_where_one_works_shadows_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Issue 3.5: our programs are started with -P, in whatever project they are."""
    (tmp_path / "console").mkdir()
    (tmp_path / "console" / "__init__.py").write_text("", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    assert levels()["packages"] == "ok"


def test_an_interpreter_that_cannot_be_started_is_an_error(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Ours: it was moved or removed behind our back."""
    monkeypatch.setattr("sys.executable", str(tmp_path / "python"))
    assert levels()["packages"] == "error"


def test_mosquitto_is_looked_for_beside_path_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """DESIGN 2: distributions put it into sbin."""
    monkeypatch.setattr(installation, "MOSQUITTO_FOLDERS", (str(tmp_path),))
    monkeypatch.setenv("PATH", "/nowhere")
    assert levels()["mosquitto"] == "note"
    (tmp_path / "mosquitto").write_text("#!/bin/sh\n", encoding="utf-8")
    (tmp_path / "mosquitto").chmod(0o755)
    assert levels()["mosquitto"] == "ok"
