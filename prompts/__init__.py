"""Every word a model reads that is no tool description. Who gets which words is decided elsewhere."""
