"""The desired state of a fleet: what `queenpost.toml` may say, as models.

Reading the file, with errors by file and line, is in `wire.settings_file`. Nothing here touches a disk.
"""

from typing import Annotated, Literal, cast

from pydantic import BaseModel, BeforeValidator, Field, model_validator

from wire.ids import AGENT_NAME_PATTERN, RESERVED_NAMES
from wire.settings_model import SettingsModel
from wire.settings_own import DelegateRules, Part, problem_of_delegates, problem_of_own
from wire.settings_pty import PtySettings

Role = Literal["agent", "manager"]
Backend = Literal["none", "command", "scripted", "claude", "codex", "gemini", "opencode", "pty"]
Auth = Literal["token", "inherit", "own"]
Permissions = Literal["ask", "edits", "deny", "bypass"]

DEFAULT_ACCOUNT = "default"
"""The account of an agent that names none; it needs no table."""

AgentNameField = Annotated[str, Field(pattern=AGENT_NAME_PATTERN)]


class AccountSettings(SettingsModel):
    """One `[accounts.NAME]` table: a login at a provider, which agents share."""

    auth: Auth | None = None
    """`token`: a key or token from a file, with a configuration folder for each agent; `inherit`: the login of the
    user who runs the harness; `own`: a folder in the home, logged in once. Unset: `token` where there is a
    `token_file`, else `inherit`."""
    token_file: str | None = None
    """File with the key or token, mode 0600."""
    token_variable: Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,99}$")] | None = None
    """The variable of the program's environment that it goes into; unset: the one that the program is known for."""
    max_running: Annotated[int, Field(ge=1, le=10_000)] | None = None
    """Turns at once; unset: 1 for `inherit`, else any number."""
    max_warm: Annotated[int, Field(ge=0, le=10_000)] | None = None
    """Programs that stay between turns; unset: one for each 400 MB of memory, over all accounts of a harness."""

    @model_validator(mode="after")
    def _token_is_there(self) -> "AccountSettings":
        if self.auth == "token" and self.token_file is None:
            raise ValueError('auth = "token" needs token_file = "secrets/…"')
        if self.auth in ("inherit", "own") and self.token_file is not None:
            raise ValueError(f'auth = "{self.auth}" uses no token_file; take one of them out')
        return self

    @property
    def kind(self) -> Auth:
        """How it logs in."""
        return self.auth or ("inherit" if self.token_file is None else "token")

    @property
    def running(self) -> int | None:
        """How many turns run at once; None: any number."""
        return self.max_running or (1 if self.kind == "inherit" else None)


class AgentSettings(SettingsModel):
    """One `[agents.NAME]` table."""

    role: Role = "agent"
    backend: Backend = "none"
    """`none`: no harness hosts it; it is a plain MCP client or a person at a command line."""
    command: list[str] = []
    """Executable and leading arguments; needed by `command` and `pty`, for others where it is not on PATH."""
    args: list[str] = []
    """Further arguments, for the command or the script."""
    script: str | None = None
    """Name of the script that the `scripted` backend follows."""
    pty: PtySettings | None = None
    """What the program of the `pty` backend shows at its terminal."""
    prompt: str | None = None
    """File with the role prompt, put before the mail of every turn."""
    workdir: str | None = None
    """Where the program runs; relative to the file that declares it."""
    worktree: bool = False
    """Work in a checkout of one's own, on a branch `queenpost/NAME`, of the git repository that `workdir` is in."""
    env: dict[str, str] = {}
    """Added to the program's environment. Not for secrets: listings mask it, but it is stored."""
    env_file: str | None = None
    """File of NAME=VALUE lines that only the harness opens."""
    allowed_recipients: list[str] | None = None
    """Unset: may write to anyone. Empty: only to the manager and the operator."""
    uid: Annotated[int | None, Field(ge=0, le=2**31)] = None
    """On the socket its token is good only from this user id; unset: from any."""
    batch_max: Annotated[int, Field(ge=1, le=32)] = 32
    """Messages handed over when a turn opens; 1 gives one message per wake."""
    model: Annotated[str | None, Field(pattern=r"^[!-~]{1,200}$")] = None
    """The model, in the program's own words; unset: the program's choice."""
    account: Annotated[str | None, Field(pattern=AGENT_NAME_PATTERN)] = None
    """One of `[accounts.…]`; unset: `default`, or one of its own where `env` or `env_file` holds a key."""
    permissions: Permissions = "ask"
    """What becomes of a tool call that nothing allows yet: `ask` the operator, `edits` in the workdir go through and
    the rest is asked, `deny` it, or `bypass` every check."""
    allowed_tools: list[Annotated[str, Field(pattern=r"^[ -~]{1,1000}$")]] = []
    """Tools that need no permission, in the program's own grammar; those of Queenpost never do."""
    warm: bool = True
    """The program stays between turns, where it can; false: a new process for each turn."""
    daily_budget_tokens: Annotated[int | None, Field(ge=1, le=2**53)] = None
    """Tokens, in and out, after which no more turns open until 00:00 UTC; the operator is asked. Unset: any number."""
    daily_budget_usd: Annotated[float | None, Field(gt=0, le=1_000_000)] = None
    """The same in US dollars, by the program's own figures."""
    delegate: dict[AgentNameField, DelegateRules] = {}
    """Who decides what this agent wants allowed: `{manager = ["Bash(npm test*)"]}`. The rest is asked the operator."""
    mcp: str | None = None
    """JSON file with further MCP servers of its own, in the form `{"mcpServers": {…}}`; only the harness opens it."""
    inherit: list[Part] = []
    """Parts of the user's own configuration that its program gets where it has a configuration folder of its own."""
    notes_max_bytes: Annotated[int, Field(ge=0, le=2**30)] = 32 * 1024
    """Notes (`notes.md`) larger than this are made shorter between turns, by a session of their own; 0: never."""
    silence_s: Annotated[float, Field(gt=0, le=86_400)] = 900.0
    """A turn without output for this long is told to finish, interrupted, at last killed."""

    @model_validator(mode="after")
    def _backend_has_its_program(self) -> "AgentSettings":
        if self.backend == "command" and not self.command:
            raise ValueError("backend 'command' needs command = [\"program\", …]")
        if self.backend == "scripted" and not self.script:
            raise ValueError("backend 'scripted' needs script = \"name\"")
        if (problem := self._pty_problem()) is not None:
            raise ValueError(problem)
        if self.worktree and self.workdir is None:
            raise ValueError('worktree = true needs workdir = "…", a folder of a git repository')
        own = problem_of_own(
            self.backend, self.permissions, delegate=self.delegate, mcp=self.mcp, inherit=self.inherit
        )  # fmt: skip
        if own is not None:
            raise ValueError(own)
        return self

    def _pty_problem(self) -> str | None:
        """Say what does not go with a program whose screen is all that is known of it."""
        if self.backend != "pty":
            return None if self.pty is None else f"backend {self.backend!r} uses no pty table; take it out"
        if not self.command:
            return "backend 'pty' needs command = [\"program\", …]"
        if self.pty is None:
            return "backend 'pty' needs a table [agents.NAME.pty] with ready = 'how its prompt looks'"
        unknown = ["model"] if self.model is not None else []
        unknown += ["allowed_tools"] if self.allowed_tools else []
        unknown += ['permissions = "edits"'] if self.permissions == "edits" else []
        return f"backend 'pty' knows no {unknown[0]}; name it to the program in args" if unknown else None


def _known_only(model: type[BaseModel]) -> BeforeValidator:
    """Leave out what a newer broker knows of settings and this side does not."""

    def known(value: object) -> object:
        if not isinstance(value, dict):
            return value
        return {key: item for key, item in cast("dict[str, object]", value).items() if key in model.model_fields}

    return BeforeValidator(known)


AppliedSettings = Annotated[AgentSettings, _known_only(AgentSettings)]
"""Settings as they come back from the broker, where unknown fields are ignored."""

AppliedAccount = Annotated[AccountSettings, _known_only(AccountSettings)]


class Limits(SettingsModel):
    """The `[limits]` table: what one agent may do before it is told to wait."""

    send_burst: Annotated[int, Field(ge=1, le=1_000_000)] = 120
    send_per_minute: Annotated[float, Field(gt=0, le=10_000_000)] = 60.0
    inbox_messages: Annotated[int, Field(ge=1, le=1_000_000)] = 1000
    inbox_bytes: Annotated[int, Field(ge=1024, le=2**40)] = 16 * 1024 * 1024
    body_bytes: Annotated[int, Field(ge=256, le=512 * 1024)] = 24 * 1024
    disk_headroom_bytes: Annotated[int, Field(ge=0, le=2**40)] = 32 * 1024 * 1024
    """Sends from agents are refused with `full` while the disk has less free space than this."""
    storm_messages: Annotated[int, Field(ge=2, le=1_000_000)] = 30
    """Causal messages (sent in a turn that held a peer's mail) of a pair or a cycle within `storm_window_s`."""
    storm_window_s: Annotated[float, Field(gt=0, le=86_400)] = 300.0
    storm_per_day: Annotated[int, Field(ge=2, le=10_000_000)] = 400
    """The same within 24 hours."""
    storm_depth: Annotated[int, Field(ge=2, le=1_000_000)] = 256
    """Mail this deep in a chain of causes is held, however slow the chain is."""


class RetentionSettings(SettingsModel):
    """The `[retention]` table: how long what has ended is kept. The audit trail is kept for good."""

    handled_days: Annotated[float, Field(ge=7, le=36_500)] = 30.0
    """Mail that was handled or read; asks, reminders and jobs that are over; events; keys of sends. At least 7 days."""
    dead_days: Annotated[float, Field(ge=7, le=36_500)] = 30.0
    statistics_days: Annotated[float, Field(ge=1, le=36_500)] = 90.0


class LinkSettings(SettingsModel):
    """The `[link]` table: who may reach the broker beside its own user. Read at start only."""

    listen: str | None = None
    """`host:port` for TLS; unset: no port is opened."""
    certificate: str | None = None
    """PEM file with the certificate chain."""
    key: str | None = None
    """PEM file with its private key, mode 0600."""
    group: str | None = None
    """Group that may use the socket; unset: only the user that runs the broker."""

    @model_validator(mode="after")
    def _tls_is_whole(self) -> "LinkSettings":
        if self.listen is not None and (self.certificate is None or self.key is None):
            raise ValueError("listen needs certificate and key: the link is never open on a port without TLS")
        return self


class MqttSettings(SettingsModel):
    """The `[mqtt]` table: where events of jobs travel. Without a url the fleet has an MQTT broker of its own."""

    url: Annotated[str, Field(pattern=r"^mqtts?://[^\s@]+$")] | None = None
    """`mqtts://host:8883`, or `mqtt://` on a network that is trusted."""
    program: Literal["auto", "mosquitto", "amqtt"] = "auto"
    """Which one the fleet's own is; `auto`: mosquitto where it is installed."""
    topic_prefix: Annotated[str, Field(min_length=1, max_length=200)] = "queenpost/{fleet}"
    """What the topics begin with; `{fleet}` is the fleet's name. `python/mqtt` gives python/mqtt/jobs/ID/events."""
    user: Annotated[str | None, Field(pattern=r"^[!-~]{1,200}$")] = None
    password_file: str | None = None
    """File with the password, mode 0600."""
    ca_file: str | None = None
    """Certificates that are trusted instead of the system's."""
    cert_file: str | None = None
    """Certificate of this fleet, where the MQTT broker asks for one."""
    key_file: str | None = None

    @model_validator(mode="after")
    def _belongs_to_a_url(self) -> "MqttSettings":
        given = [name for name in ("user", "password_file", "ca_file", "cert_file", "key_file") if getattr(self, name)]
        if self.url is None and given:
            raise ValueError(f'{given[0]} needs url = "mqtts://…"; the fleet\'s own MQTT broker makes its own users')
        if (self.cert_file is None) != (self.key_file is None):
            raise ValueError("cert_file and key_file go together")
        if self.user is not None and self.password_file is None:
            raise ValueError('user needs password_file = "secrets/…"')
        return self


class FleetSettings(SettingsModel):
    """The `[fleet]` table."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,62}$")] | None = None
    """Unset: the folder that holds the home."""


class Settings(SettingsModel):
    """The whole file."""

    fleet: FleetSettings = FleetSettings()
    limits: Limits = Limits()
    retention: RetentionSettings = RetentionSettings()
    mqtt: MqttSettings = MqttSettings()
    link: LinkSettings = LinkSettings()
    accounts: dict[AgentNameField, AccountSettings] = {}
    agents: dict[AgentNameField, AgentSettings] = {}

    @model_validator(mode="after")
    def _names_and_roles_agree(self) -> "Settings":
        for name in self.agents:
            check_agent_name(name, self.agents[name].role)
        managers = [name for name, agent in self.agents.items() if agent.role == "manager"]
        if len(managers) > 1:
            raise ValueError(f'a fleet has at most one manager; these say role = "manager": {", ".join(managers)}')
        for name, agent in self.agents.items():
            if agent.account is not None and agent.account != DEFAULT_ACCOUNT and agent.account not in self.accounts:
                raise ValueError(f"agents.{name}.account is {agent.account!r}, which no [accounts.…] table declares")
            roles = {one: settings.role for one, settings in self.agents.items()}
            if (problem := problem_of_delegates(name, list(agent.delegate), roles)) is not None:
                raise ValueError(problem)
            for recipient in agent.allowed_recipients or []:
                if recipient not in self.agents and recipient not in {"manager", "operator"}:
                    raise ValueError(
                        f"agents.{name}.allowed_recipients names {recipient!r}, which no [agents.…] table declares"
                    )
        return self


def check_agent_name(name: str, role: str) -> None:
    """Refuse names that would be taken for somebody else.

    Raises:
        ValueError: a reserved name, or `manager` without the manager role.
    """
    if name in RESERVED_NAMES:
        raise ValueError(f"{name!r} is a reserved name; choose another")
    if name == "manager" and role != "manager":
        raise ValueError("only the agent with role = \"manager\" may be named 'manager'")
