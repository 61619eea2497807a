"""The broker's side of the link: socket, connections, dispatch. It holds no rule of the post office."""
