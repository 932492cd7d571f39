"""TransformerLens's own analyses on our model, through its bridge."""
