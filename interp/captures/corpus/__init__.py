"""A corpus, folded into statistics as it streams by: batches, what is taken from each, what is kept of all."""
