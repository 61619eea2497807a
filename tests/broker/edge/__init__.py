"""The edge against real sockets: connections, dispatch, errands, pushes."""
