"""The pages of the atlas: a run over a corpus, looked up. No model is loaded; nothing is measured.

overview    a statistic of all heads as a map, two against each other, ranked lists; of neurons and experts as well
head        a head: its numbers, its examples by tenths, its distances, what its OV circuit writes
neuron      a neuron: its numbers, its top texts, how its activations are spread, what it promotes
layer       a layer: its heads, neurons and experts beside those of other layers
run         which run, and what is behind its numbers; parts that all of these pages have
excerpts    places of the corpus and lists of tokens, as HTML with every character escaped
"""
