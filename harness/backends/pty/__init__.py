"""An interactive program as the model: driven at a terminal of its own, and judged by its rendered screen."""
