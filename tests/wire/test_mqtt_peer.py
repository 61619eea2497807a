"""Where an MQTT broker is: addresses that are none, and those over which everything can be read."""

import pytest

from wire.errors import Invalid
from wire.mqtt_peer import Transport


@pytest.mark.parametrize("url", ["mqtt://", "http://h", "mqtt://u:p@h", "mqtt://h/path", "mqtt://h:x", "mqtt://h?q=1"])
def test_an_address_that_is_none_is_refused(url: str) -> None:
    """[X17] Ours: no password in an address; how one is written is said."""
    with pytest.raises(Invalid, match="write mqtt://host:1883"):
        _ = Transport(url).address


@pytest.mark.parametrize(
    ("url", "readable"),
    [
        ("mqtt://127.0.0.1", False),
        ("mqtt://localhost:1", False),
        ("mqtt://[::1]:1", False),
        ("mqtts://10.0.0.1", False),
        ("mqtt://10.0.0.1", True),
        ("mqtt://broker.example", True),
    ],
)
def test_what_can_be_read_on_the_way_is_known(url: str, readable: bool) -> None:
    """[X22] Never a public default; what leaves this machine in clear text is warned of."""
    assert Transport(url).readable_by_others is readable
