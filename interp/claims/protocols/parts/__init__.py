"""What protocols are made of: the measurements and statistics that several asks of one protocol, or several protocols, share.

pointing     `asked`, `looked_at`, `trial`, `relation_items`, `repeats`
probing      `probing`, `probe_tasks`, `layer_curves`, `layer_asks`, `sense_items`, `sense_curves`, `sense_asks`, `curve_evidence`
parts        `without_parts`, `part_evidence`, `pattern_distance`, `subspaces`, `sublayer_maps`, `sublayers_resampled`, `labour_tasks`
neurons      `neurons_on_words`, `selective_neurons`, `auroc_by_document`, `triggers`
exact        `exact`, `expression`, `shapes`, `model_shape`, `flops`, `timings`
"""
