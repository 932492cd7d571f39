"""Nulls of the protocols that read something of words: probes, senses, neurons and their values."""

from interp.claims.calibration.cases import Case, Known, claim_of, loaded, newborn, whole
from interp.claims.calibration.nulls_of_heads import MARGIN
from interp.claims.calibration.world import class_sentences, sense_world, with_coins, with_random_tags, world
from interp.models.constructed import scrambled

PROBE = {**MARGIN, "n_items": 1000}
SELECTIVE = {"label": "upos=NOUN", "at_least": 0.8, "at_least_source": "ours", "margin": 0.1, "lost_nats": 0.2}
MEMORIES = {"label": "upos", "key_nats": 0.1, "agreement": 0.05, "source_of_effects": "ours"}


def _probe_untrained(seed: int) -> Case:
    claim = claim_of("layer_probe", asks="some_layer", tasks=["head_distance"], **PROBE)
    return Case(claim=claim, model=newborn(seed), data=world(seed))


def _probe_coins(seed: int) -> Case:
    claim = claim_of("layer_probe", asks="last_layer", tasks=["upos"], **PROBE)
    return Case(claim=claim, model=newborn(seed), data=with_coins(world(seed), seed))


def _expansion_untrained(seed: int) -> Case:
    claim = claim_of("expansion_probe", task="head_distance", **PROBE)
    return Case(claim=claim, model=newborn(seed), data=world(seed))


def _expansion_coins(seed: int) -> Case:
    claim = claim_of("expansion_probe", task="upos", **PROBE)
    return Case(claim=claim, model=newborn(seed, layers=1), data=with_coins(world(seed), seed))


def _senses_untrained(seed: int) -> Case:
    claim = claim_of("disambiguation", asks="sublayer_adds", sublayer="attention", **MARGIN)
    return Case(claim=claim, model=newborn(seed), data=sense_world(seed, cue=True))


def _senses_coins(seed: int) -> Case:
    claim = claim_of("disambiguation", asks="read_at", layer=1, **MARGIN)
    return Case(claim=claim, model=newborn(seed), data=sense_world(seed, cue=False))


def _neurons_untrained(seed: int) -> Case:
    return Case(claim=claim_of("neuron_selectivity", **SELECTIVE), model=newborn(seed), data=world(seed))


def _neurons_shuffled(seed: int) -> Case:
    claim = claim_of("neuron_selectivity", **SELECTIVE)
    return Case(claim=claim, model=loaded(whole("class-neuron")), data=with_random_tags(class_sentences(seed), seed))


def _neurons_scrambled(seed: int) -> Case:
    claim = claim_of("neuron_selectivity", **SELECTIVE, top_k=1)
    return Case(claim=claim, model=loaded(scrambled(whole("class-neuron"), seed)), data=class_sentences(seed))


def _memories_untrained(seed: int) -> Case:
    return Case(claim=claim_of("key_value", **MEMORIES), model=newborn(seed), data=world(seed))


def _memories_shuffled(seed: int) -> Case:
    return Case(claim=claim_of("key_value", **MEMORIES), model=loaded(whole("class-neuron")), data=with_random_tags(world(seed), seed))


OF_WORDS: tuple[Known, ...] = (
    Known(protocol="layer_probe", what="some layer, untrained models", make=_probe_untrained),
    Known(protocol="layer_probe", what="the last layer, labels by coins", make=_probe_coins, exchangeable=(0,)),
    Known(protocol="expansion_probe", what="untrained models", make=_expansion_untrained),
    Known(protocol="expansion_probe", what="labels by coins", make=_expansion_coins, exchangeable=(0,)),
    Known(protocol="disambiguation", what="attention adds, untrained models", make=_senses_untrained),
    Known(protocol="disambiguation", what="read at a layer, senses by coins", make=_senses_coins, exchangeable=(0,)),
    Known(protocol="neuron_selectivity", what="untrained models", make=_neurons_untrained),
    Known(protocol="neuron_selectivity", what="shuffled parts of speech", make=_neurons_shuffled),
    Known(protocol="neuron_selectivity", what="scrambled twins of the constructed neuron", make=_neurons_scrambled),
    Known(protocol="key_value", what="untrained models", make=_memories_untrained),
    Known(protocol="key_value", what="shuffled parts of speech", make=_memories_shuffled),
)
