"""What installing or uninstalling means for the files of a client: every edit is known before the first is made."""

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from console.mcp_install import hooks, json_config, toml_config
from console.mcp_install.clients import Client, Place, Scope
from console.mcp_install.files import Edit, Source, read
from console.mcp_install.json_text import JsonText
from console.mcp_install.refusals import NotEditable
from wire.errors import Invalid
from wire.home import Home

EMPTY = "{}\n"

Change = Callable[[JsonText], JsonText]


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
        Invalid: a file is not what the client could read, or its hooks are not installed here; no file was touched.
    """
    client = wish.client
    if wish.hooks and wish.home is None:
        raise Invalid("hooks speak to a broker on this machine only; install without --hooks")
    if wish.hooks and client.hooks is None:
        raise Invalid(
            f"no hooks of {client.title} are installed here: {client.without_hooks}; install without --hooks: the "
            "agent says what is handled by answering it, by done=ID, or by waiting for more"
        )
    entry = client.entry(wish.command)
    if client.form == "toml":
        server = _edit_toml(wish, place, lambda text: toml_config.with_server(text, client.table, entry))
        hooked = _edit_hooks(wish, place, partial(_kept_in_step, wish))
    else:
        server, hooked = _edit_json(
            wish, place, lambda text: json_config.with_server(text, client.table, entry), partial(_kept_in_step, wish)
        )
    is_needed = hooked is not None and (hooked.changes or hooked.source.data is not None)
    return [server, hooked] if hooked is not None and is_needed else [server]


def uninstall(wish: Wish, place: Place) -> list[Edit]:
    """Plan to take the server and every hook of ours out again.

    Raises:
        Invalid: a file is not what the client could read; no file was touched.
    """
    client = wish.client
    if client.form == "toml":
        server = _edit_toml(wish, place, lambda text: toml_config.without_server(text, client.table))
        hooked = _edit_hooks(wish, place, hooks.without_hooks)
    else:
        server, hooked = _edit_json(
            wish, place, lambda text: json_config.without_server(text, client.table), hooks.without_hooks
        )
    return [server] if hooked is None else [server, hooked]


def _kept_in_step(wish: Wish, text: JsonText) -> JsonText:
    if wish.home is None:
        return hooks.without_hooks(text)
    if wish.client.hooks is None or not (wish.hooks or hooks.are_in(text)):
        return text
    return hooks.with_hooks(text, wish.client.hooks, wish.agent, wish.home)


def _edit_toml(wish: Wish, place: Place, change: Callable[[str], str]) -> Edit:
    source = read(wish.client.files[wish.scope](place))
    return _told(source, lambda: Edit(source, change(source.text)))


def _edit_json(wish: Wish, place: Place, change: Change, hooks_change: Change) -> tuple[Edit, Edit | None]:
    """Edit the file of the servers, and that of the hooks; the latter is None where the two are one."""
    client = wish.client
    file, comments = client.files[wish.scope](place), client.form == "jsonc"
    if client.hooks is not None and client.hooks.files[wish.scope](place) == file:
        return _edited(file, lambda text: hooks_change(change(text)), comments=comments), None
    return _edited(file, change, comments=comments), _edit_hooks(wish, place, hooks_change)


def _edit_hooks(wish: Wish, place: Place, change: Change) -> Edit | None:
    if wish.client.hooks is None:
        return None
    return _edited(wish.client.hooks.files[wish.scope](place), change, comments=False)


def _edited(path: Path, change: Change, *, comments: bool) -> Edit:
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
