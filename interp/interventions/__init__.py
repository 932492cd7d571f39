"""Change a running model and see what follows: `with ablate(...)`, `effect(...)`. Always undone, never silent."""
