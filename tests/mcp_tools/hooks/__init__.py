"""The hooks of an attended session, run as programs."""
