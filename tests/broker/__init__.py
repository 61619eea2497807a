"""The broker: store, services, edge."""
