"""A corpus run on many machines: the only room that imports Ray."""
