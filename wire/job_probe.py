"""A probe of what carries the events of jobs: a signed event there and back, and what the MQTT broker promises."""

from typing import Literal

from wire.model import Request, Result


class JobsProbe(Request):
    """Publish signed events of no job and hear them; nothing is recorded, nothing stays behind."""

    op: Literal["jobs.probe"] = "jobs.probe"
    start: bool = False
    """Start the fleet's own MQTT broker for it, where no job has done so yet."""


class JobsProbed(Result):
    """What came of it. Times in milliseconds; without `heard_ms` the event went in and did not come out."""

    kind: Literal["mosquitto", "amqtt", "external", "asleep"]
    """`asleep`: no job was registered yet, so there is none; nothing else is told."""
    url: str = ""
    topics: str = ""
    """The filter of all topics of jobs."""
    user: str | None = None
    connected_ms: float | None = None
    accepted_ms: float | None = None
    heard_ms: float | None = None
    retained: bool = False
    """Who subscribes later hears the end of a job."""
    resumed: bool = False
    """It keeps for the bridge what comes while the bridge is away."""
    whole: bool = False
    """An event as long as any may be came through."""
    strangers: bool = False
    """It lets in whoever comes."""
    readable: bool = False
    """What is sent crosses a network without encryption."""
