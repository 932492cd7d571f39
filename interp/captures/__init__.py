"""Run a model and keep arrays: one prompt (`prompt`), or a corpus folded into statistics as it streams (`corpus`); look it up (`atlas`)."""
