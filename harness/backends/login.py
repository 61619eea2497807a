"""With which login an agent's program runs: its environment and its configuration folder (DESIGN 8).

Credentials are never copied or linked: refresh tokens are good once, and a copy logs the others out.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from harness.backends.protocol import NotStartedError
from wire.errors import QueenpostError
from wire.logins import KEYS
from wire.private_files import read_secret
from wire.settings import DEFAULT_ACCOUNT, AccountSettings, AgentSettings, Auth

_SUBSCRIPTION = "sk-ant-oat"
"""How a token of `claude setup-token` begins."""


@dataclass(frozen=True, slots=True)
class Login:
    """The login of one agent."""

    account: str
    """Who shares its limits."""
    auth: Auth
    max_running: int | None
    token_file: Path | None = None
    token_variable: str | None = None
    folder: Path | None = None
    """Configuration folder; None: the user's own."""
    max_warm: int | None = None
    """How many programs of the account stay between turns; None: see `harness.warmth`."""

    def environment(self, backend: str) -> dict[str, str]:
        """Give the variable that holds the key; read for every start, so that a new one needs no restart.

        Raises:
            NotStartedError: the file cannot be read.
        """
        if self.token_file is None:
            return {}
        try:
            token = read_secret(self.token_file).strip()
        except QueenpostError as exc:
            raise NotStartedError("auth", f"the token of account {self.account}: {exc.message}") from None
        return {self.token_variable or _variable(backend, token): token}


def login_of(
    agent: str,
    settings: AgentSettings,
    account: AccountSettings | None,
    own: Mapping[str, str],
    *,
    private: Path,
    shared: Path,
) -> Login:
    """Say with which login an agent runs.

    `own` is what its settings add to the environment; `private` is its own folder, `shared` that of accounts.
    """
    if settings.backend not in KEYS:
        return Login(f"agent {agent}", "inherit", None)
    has_key = any(own.get(name) for name in KEYS[settings.backend])
    if settings.account is None and has_key:
        return Login(f"agent {agent}", "token", None, folder=private)
    name = settings.account or DEFAULT_ACCOUNT
    account = account or AccountSettings()
    match account.kind:
        case "token":
            file = Path(account.token_file or "")
            return Login(name, "token", account.running, file, account.token_variable, private, account.max_warm)
        case "own":
            folder = shared / name / settings.backend
            return Login(name, "own", account.running, folder=folder, max_warm=account.max_warm)
        case "inherit":
            return Login(name, "inherit", account.running, max_warm=account.max_warm)


def _variable(backend: str, token: str) -> str:
    if backend == "claude" and token.startswith(_SUBSCRIPTION):
        return "CLAUDE_CODE_OAUTH_TOKEN"
    return KEYS[backend][0]
