"""What installing or uninstalling means for the files of a client: every edit is known before the first is made."""

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from console.mcp_install import hooks, json_config, toml_config
from console.mcp_install.clients import Client, Place, Scope
from console.mcp_install.files import Edit, Source, read
from console.mcp_install.json_text import JsonText
from console.mcp_install.refusals import NotEditable
from wire.errors import Invalid
from wire.home import Home

EMPTY = "{}\n"


@dataclass(frozen=True, slots=True)
class Wish:
    """What the caller wants to be true."""

    client: Client
    scope: Scope
    agent: str
    where: Sequence[str]
    """Which fleet, as options of the server's command line."""
    home: Home | None
    """None for a fleet on another machine."""
    hooks: bool
    """False: hooks that are there are kept in step, but none are made."""

    @property
    def command(self) -> list[str]:
        """The command line of the server. No token is in it: the server reads that from a file."""
        return [sys.executable, "-P", "-m", "mcp_tools", "--agent", self.agent, *self.where]


def scope_of(client: Client, wanted: Scope | None) -> Scope:
    """Give the scope that is meant.

    Raises:
        Invalid: this client has no such.
    """
    if wanted is not None and wanted not in client.files:
        only = " or ".join(client.files)
        raise Invalid(f"{client.title} is set up here per {only} only; use --scope {only}")
    return wanted or next(iter(client.files))


def install(wish: Wish, place: Place) -> list[Edit]:
    """Plan to make the server known, and its hooks.

    Raises:
        Invalid: a file is not what the client could read, or no hooks of the client are known; no file was touched.
    """
    client = wish.client
    if wish.hooks and wish.home is None:
        raise Invalid("hooks speak to a broker on this machine only; install without --hooks")
    if wish.hooks and not client.hook_files:
        raise Invalid(
            f"no hooks of {client.title} are known here that say when a turn ends; install without --hooks: the agent "
            "says what is handled by answering it, by done=ID, or by waiting for more"
        )
    entry = client.entry(wish.command)
    if client.form == "toml":
        edits = [_edit_toml(wish, place, lambda text: toml_config.with_server(text, client.table, entry))]
    else:
        edits = [_edit_json(wish, place, lambda text: json_config.with_server(text, client.table, entry))]
    if client.hook_files:
        edit = _edit_hooks(wish, place, lambda text: _kept_in_step(text, wish))
        edits += [edit] if edit.changes or edit.source.data is not None else []
    return edits


def uninstall(wish: Wish, place: Place) -> list[Edit]:
    """Plan to take the server and every hook of ours out again.

    Raises:
        Invalid: a file is not what the client could read; no file was touched.
    """
    client = wish.client
    if client.form == "toml":
        edits = [_edit_toml(wish, place, lambda text: toml_config.without_server(text, client.table))]
    else:
        edits = [_edit_json(wish, place, lambda text: json_config.without_server(text, client.table))]
    if client.hook_files:
        edits.append(_edit_hooks(wish, place, hooks.without_hooks))
    return edits


def _kept_in_step(text: JsonText, wish: Wish) -> JsonText:
    if wish.home is None:
        return hooks.without_hooks(text)
    return hooks.with_hooks(text, wish.agent, wish.home) if wish.hooks or hooks.are_in(text) else text


def _edit_toml(wish: Wish, place: Place, change: Callable[[str], str]) -> Edit:
    source = read(wish.client.files[wish.scope](place))
    return _told(source, lambda: Edit(source, change(source.text)))


def _edit_json(wish: Wish, place: Place, change: Callable[[JsonText], JsonText]) -> Edit:
    return _edited(wish.client.files[wish.scope](place), change, comments=wish.client.form == "jsonc")


def _edit_hooks(wish: Wish, place: Place, change: Callable[[JsonText], JsonText]) -> Edit:
    return _edited(wish.client.hook_files[wish.scope](place), change, comments=False)


def _edited(path: Path, change: Callable[[JsonText], JsonText], *, comments: bool) -> Edit:
    source = read(path)
    is_empty = not source.text.strip()

    def edit() -> Edit:
        before = JsonText(EMPTY if is_empty else source.text, comments=comments)
        after = change(before)
        return Edit(source, source.text if after.text == before.text else after.text)

    return _told(source, edit)


def _told(source: Source, edit: Callable[[], Edit]) -> Edit:
    try:
        return edit()
    except NotEditable as exc:
        where = f"{source.path}:{exc.line}" if exc.line else str(source.path)
        raise Invalid(f"{where}: {exc.why.rstrip('.')} (the file was left as it is)") from None
