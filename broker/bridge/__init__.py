"""The broker's side of MQTT: its own MQTT broker, and the one that hears what jobs say. It decides on no event."""
