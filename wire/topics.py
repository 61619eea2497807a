"""MQTT topics of jobs: made from a checked id, and read back. Pure; nothing here talks to a broker of messages."""

import re

from wire.errors import Invalid

JOB_ID_PATTERN = r"^[a-z0-9][a-z0-9-]{0,63}$"
DEFAULT_PREFIX = "queenpost/{fleet}"
MAX_TOPIC_BYTES = 1024

_JOB_ID = re.compile(JOB_ID_PATTERN[1:-1])
_LEVEL = re.compile(r"[A-Za-z0-9_.-]{1,64}")


class BadTopic(Invalid):
    """Not a topic of this fleet; it was not published, or what came over it is not looked at."""


def check_job_id(text: str) -> str:
    """Give the id back if it is one.

    Raises:
        BadTopic: anything else; `+ # / NUL $`, an empty one, capitals and look-alikes never reach an MQTT client.
    """
    if not _JOB_ID.fullmatch(text):
        raise BadTopic(f"{text[:80]!r} is no job id: small letters, digits and '-', at most 64 of them")
    return text


def prefix_of(template: str, fleet: str) -> str:
    """Give the topic prefix of a fleet from its setting; `{fleet}` stands for the fleet's name.

    Raises:
        BadTopic: an empty level, a wildcard, or a level that begins with '$'.
    """
    prefix = template.replace("{fleet}", fleet)
    if len(prefix) > MAX_TOPIC_BYTES // 2 or not all(_LEVEL.fullmatch(level) for level in prefix.split("/")):
        raise BadTopic(f"topic_prefix {template[:80]!r} needs levels of letters, digits and '_ . -', with '/' between")
    return prefix


def events_topic(prefix: str, job_id: str) -> str:
    """Give the topic of a job's events."""
    return f"{prefix}/jobs/{check_job_id(job_id)}/events"


def events_filter(prefix: str) -> str:
    """Give the subscription that matches the events of every job under a prefix."""
    return f"{prefix}/jobs/+/events"


def job_of(prefix: str, topic: str) -> str:
    """Read the job id out of a topic; `events_topic` gives the topic back.

    Raises:
        BadTopic: a topic of somebody else.
    """
    head, tail = f"{prefix}/jobs/", "/events"
    if not (topic.startswith(head) and topic.endswith(tail)) or len(topic) <= len(head) + len(tail):
        raise BadTopic(f"{topic[:80]!r} is no topic of this fleet's jobs")
    return check_job_id(topic[len(head) : -len(tail)])
