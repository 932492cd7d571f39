"""Arrays in, numbers out: what a pattern, a neuron or a stream is like. Nothing here sees a model."""
