"""Tests of the bridge, over real MQTT brokers."""
