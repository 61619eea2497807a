"""Which account a name means, which program its agents run, and whether it is logged in."""

import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from console.logins.elsewhere import codex_needs_no_login, opencode_has_a_provider
from console.logins.programs import PROGRAMS, is_logged_in
from wire.errors import Invalid, QueenpostError
from wire.home import Home
from wire.logins import KEYS, mend_of
from wire.private_files import read_secret
from wire.settings import DEFAULT_ACCOUNT, AccountSettings, AgentSettings, Auth, Settings
from wire.settings_file import read_settings

STATUS_S = 20.0


@dataclass(frozen=True, slots=True)
class FoundAccount:
    """One account with one of the programs that use it."""

    name: str
    settings: AccountSettings
    backend: str
    folder: Path | None
    """Where the program keeps the login; None: where it does for the user."""

    @property
    def kind(self) -> Auth:
        """How it logs in."""
        return self.settings.kind

    @property
    def mend(self) -> str:
        """What logs it in."""
        return mend_of(self.backend, self.name, self.settings)


def account_named(name: str, config: Path | None, home: Home, backend: str | None) -> FoundAccount:
    """Find an account of the settings file.

    Raises:
        Invalid: there is none of that name, or it is not plain which program is meant.
    """
    settings = read_settings(config, home=home.root) if config else Settings()
    if name != DEFAULT_ACCOUNT and name not in settings.accounts:
        known = ", ".join(sorted(settings.accounts)) or "none"
        raise Invalid(f"queenpost.toml declares no account {name!r}; it declares: {known}")
    backends = {one.backend for one in accounts_of(settings, home) if one.name == name}
    if backend is None and len(backends) != 1:
        why = "no agent uses it yet" if not backends else f"agents use it with {' and '.join(sorted(backends))}"
        raise Invalid(f"which program is account {name} for? {why}; say --backend {'|'.join(sorted(PROGRAMS))}")
    return _found(name, settings, home, backend or backends.pop())


def accounts_of(settings: Settings, home: Home) -> Iterator[FoundAccount]:
    """Give each account with each program that an agent of the file runs with it."""
    used = {
        (agent.account or DEFAULT_ACCOUNT, agent.backend)
        for agent in settings.agents.values()
        if agent.backend in PROGRAMS and (agent.account or not _has_key_of_its_own(agent))
    }
    for name, backend in sorted(used):
        yield _found(name, settings, home, backend)


def _has_key_of_its_own(agent: AgentSettings) -> bool:
    """As the harness decides it; a file that only the harness opens is taken to hold a key."""
    return agent.env_file is not None or any(agent.env.get(name) for name in KEYS[agent.backend])


def _found(name: str, settings: Settings, home: Home, backend: str) -> FoundAccount:
    account = settings.accounts.get(name, AccountSettings())
    folder = home.accounts / name / backend if account.kind == "own" else None
    return FoundAccount(name, account, backend, folder)


def trouble_of(account: FoundAccount, environment: Mapping[str, str] = os.environ) -> str | None:
    """Say what is wrong with a login; None where the program says that it is there. The provider is not asked."""
    if account.kind == "token":
        try:
            read_secret(Path(account.settings.token_file or ""))
        except QueenpostError as exc:
            return exc.message
        return None
    program = PROGRAMS[account.backend]
    path = shutil.which(program.program, path=environment.get("PATH"))
    if path is None:
        return None  # agents may name another program; that they cannot start is said when they are hosted
    try:
        asked = subprocess.run(
            [path, *program.status], env=program.environment(account.folder, environment), stdin=subprocess.DEVNULL,
            capture_output=True, text=True, errors="replace", timeout=STATUS_S, check=False,
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError) as exc:
        return f"`{program.program} {' '.join(program.status)}` failed: {exc}"
    if is_logged_in(account.backend, asked.returncode, asked.stdout):
        return None
    if account.folder is None and _has_another_way(account.backend, environment):
        return None
    return f"{program.program} is not logged in{f' in {account.folder}' if account.folder else ''}"


def _has_another_way(backend: str, environment: Mapping[str, str]) -> bool:
    """Say whether the user has set the program up so that it needs no login of its own."""
    match backend:
        case "codex":
            return codex_needs_no_login(environment)
        case "opencode":
            return opencode_has_a_provider(environment)
        case _:
            return False
