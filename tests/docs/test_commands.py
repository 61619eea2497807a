"""Every command of the README and of docs/ runs as it is written."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.docs.shell import Shell, Typed, commands_of

ROOT = Path(__file__).parents[2]
PLACE = "/tmp/my-fleet"  # where the documents make their fleet; a test has a folder of its own for it
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
WITH_COMMANDS = [path for path in DOCUMENTS if any(commands_of(path.read_text("utf-8")))]
NOT_HERE = ("make check", "make bench", "make torture", "make e2e")
"""Run by whoever runs this test, or for longer than it may take."""


@pytest.fixture
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Give a folder for the document's fleet; whatever still runs there afterwards is taken down."""
    folder = tmp_path_factory.mktemp("d") / "f"
    yield folder
    if folder.exists():
        shell = Shell(folder, _environment(folder))
        try:
            for command in commands_of("```sh\nqueenpost down\n```"):
                shell.type(command, command.text)
        finally:
            shell.close()


def _environment(folder: Path) -> dict[str, str]:
    home = folder.parent / "home"
    home.mkdir(exist_ok=True)
    return {"HOME": str(home), "XDG_RUNTIME_DIR": str(home), "TMPDIR": str(folder.parent)}


def test_the_readme_is_among_the_documents() -> None:
    """Issue 3, Shown by: an empty list would show nothing."""
    assert ROOT / "README.md" in WITH_COMMANDS


def test_a_command_that_fails_is_seen(tmp_path: Path) -> None:
    """Ours: what goes wrong in one line is not hidden by the next; folder and variables are kept."""
    text = '```sh\ncd .. && away=1\nfalse\n(exit 3)  # exits 3\necho "$away"\n```\n```text\nnot this\n```'
    shell = Shell(tmp_path, {})
    try:
        typed = [shell.type(command, command.text) for command in commands_of(text)]
    finally:
        shell.close()
    assert [one.code for one in typed] == [0, 1, 3, 0]
    assert [one.command.exits for one in typed] == [0, 0, 3, 0]
    assert typed[-1].output.split() == ["1"]


@pytest.mark.timeout(180)
@pytest.mark.parametrize("document", WITH_COMMANDS, ids=lambda path: path.name)
def test_every_command_runs_as_written(document: Path, place: Path) -> None:
    """Issue 3, Shown by: one shell, from the first command to the last, each with the exit code that is said."""
    commands = list(commands_of(document.read_text("utf-8")))
    if not shutil.which("openssl") and any(command.text.startswith("openssl ") for command in commands):
        pytest.skip(f"the commands of {document.name} were NOT RUN: openssl, which one of them uses, is not installed")
    shell = Shell(ROOT, _environment(place))
    wrong: list[Typed] = []
    try:
        for command in commands:
            if not command.text.startswith(NOT_HERE):
                typed = shell.type(command, command.text.replace(PLACE, str(place)))
                wrong += [typed] if typed.code != command.exits else []
    finally:
        shell.close()
    assert not wrong, "\n".join(f"{document.name}:{one.command.line}: {one}" for one in wrong)
