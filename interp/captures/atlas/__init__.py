"""A run over a corpus, looked up: what its profile says of a head, a neuron, a layer, and of all of them.

    opened      the run's folder: opened lazily, with its provenance; a wrong, unfinished or damaged one is refused
    statistics  which numbers there are of all heads, neurons or experts; maps of them, ranked lists
    excerpts    places of the corpus that the profile kept, with the tokens around
    heads, neurons, layers      what there is of one of them
    missing     what a run lacks, and how to get it

Nothing here needs the model, nor torch: it reads `profile.nc`, and of it no more than is asked for.
"""
