"""Topics: nothing but a checked id gets into one."""

import pytest

from wire.topics import DEFAULT_PREFIX, BadTopic, check_job_id, events_filter, events_topic, job_of, prefix_of

WRONG_IDS = [
    "",
    "A",
    "a+b",
    "a#",
    "a/b",
    "a\0b",
    "$sys",
    "-a",
    "a" * 65,
    "a b",
    "a\n",
    "\u0430",
    "a\u0301",
    "..",
    "a.b",
]


@pytest.mark.parametrize("text", WRONG_IDS)
def test_an_id_that_could_leave_its_level_is_refused(text: str) -> None:
    """[X03] Reliability 4.2: wildcards, separators, NUL and look-alikes never reach an MQTT client."""
    with pytest.raises(BadTopic):
        check_job_id(text)
    with pytest.raises(BadTopic):
        events_topic("queenpost/fleet", text)
    with pytest.raises(BadTopic):
        job_of("queenpost/fleet", f"queenpost/fleet/jobs/{text}/events")


def test_the_topic_of_a_job_names_its_fleet() -> None:
    """[X03] DESIGN 7."""
    prefix = prefix_of(DEFAULT_PREFIX, "demo")
    assert events_topic(prefix, "k3-a") == "queenpost/demo/jobs/k3-a/events"
    assert events_filter(prefix) == "queenpost/demo/jobs/+/events"
    assert job_of(prefix, "queenpost/demo/jobs/k3-a/events") == "k3-a"


def test_the_older_prefix_can_be_had() -> None:
    """[X03] Programs that listen on python/mqtt/jobs go on listening there."""
    assert events_topic(prefix_of("python/mqtt", "demo"), "a1") == "python/mqtt/jobs/a1/events"


@pytest.mark.parametrize(
    "template", ["", "/", "a//b", "a/", "/a", "a/+", "#", "$SYS/a", "a\0", "a b", "x" * 65, "{other}"]
)
def test_a_prefix_that_is_no_topic_is_refused(template: str) -> None:
    """Ours: the wildcard of a subscription is ours alone."""
    with pytest.raises(BadTopic):
        prefix_of(template, "demo")


@pytest.mark.parametrize(
    "topic",
    [
        "queenpost/other/jobs/a/events",
        "queenpost/demo/jobs/events",
        "queenpost/demo/jobs//events",
        "queenpost/demo/jobs/a/b/events",
        "queenpost/demo/jobs/a/state",
        "x/queenpost/demo/jobs/a/events",
        "queenpost/demo/jobs/a/events/",
    ],
)
def test_a_topic_of_somebody_else_is_not_read(topic: str) -> None:
    """Ours: what is retained under a neighbouring topic is not a job of this fleet."""
    with pytest.raises(BadTopic):
        job_of("queenpost/demo", topic)
