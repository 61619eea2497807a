"""Who calls: always from the credential of the connection, never from an argument."""

from dataclasses import dataclass, field

from wire import topics
from wire.fleet import PrincipalKind
from wire.settings import Limits, RetentionSettings

OPERATOR = "operator"
SYSTEM = "system"


@dataclass(frozen=True, slots=True)
class Caller:
    """The principal for which one request is made."""

    kind: PrincipalKind
    name: str
    """`operator`, `harness`, or the agent that acts."""
    epoch: int | None = None
    """What `agents.attach` granted on this connection; turns are bound to it."""
    instance: str | None = None
    attended: bool = False

    @property
    def principal(self) -> str:
        """Name it for the audit trail and for keys."""
        return f"agent:{self.name}" if self.kind == "agent" else self.kind


@dataclass(frozen=True, slots=True)
class Rules:
    """What the fleet allows at this moment; given to every command that has to ask."""

    limits: Limits = field(default_factory=Limits)
    disk_free_bytes: int | None = None
    """Free space under the home, measured at most a few seconds ago; None where it is unknown."""
    retention: RetentionSettings = field(default_factory=RetentionSettings)
    fleet: str = "fleet"
    """The name that the fleet's events carry."""
    topic_prefix: str = "queenpost/fleet"
    """What the topics of its jobs begin with; checked when the settings were read."""

    def events_topic(self, job: str) -> str:
        """Give the topic of a job's events."""
        return topics.events_topic(self.topic_prefix, job)

    @property
    def disk_is_low(self) -> bool:
        """Say whether only acks, closes and the operator are still admitted."""
        return self.disk_free_bytes is not None and self.disk_free_bytes < self.limits.disk_headroom_bytes
