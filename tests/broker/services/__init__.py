"""The services over a real store, command by command."""
