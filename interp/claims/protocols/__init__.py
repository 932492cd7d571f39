"""Test designs, a file each; the docstring of each is the design.

exact       `positionwise`, `wiring`, `arithmetic`, `published_number`, `cost_scaling`, `linearity`
heads       `relation`, `attends`, `positional`, `induction`, `head_subspaces`, `head_diversity`
layers      `layer_probe`, `disambiguation`
neurons     `neuron_selectivity`, `key_value`
causes      `importance`, `division_of_labour`

`protocol` says what one is, `registry` lists them, `finding` is what one hands to the judge, `parts` what they are made of.
"""
