"""What is there, whole and weakened: what the protocols make of it, by how strong it is."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial

import numpy as np
import torch

from interp.claims.calibration.cases import Case, Known, claim_of, edited, loaded, newborn, whole
from interp.claims.calibration.labour import labour
from interp.claims.calibration.nulls_of_heads import APART, COPYING, MANY_HEADS, PREVIOUS, SUBJECT, SUBSPACES
from interp.claims.calibration.nulls_of_parts import MATTERS, NONLINEAR, bent, compared, copied, echoes
from interp.claims.calibration.nulls_of_words import SELECTIVE
from interp.claims.calibration.world import class_sentences, random_texts, world
from interp.models.constructed.circuits import NEURON
from interp.models.constructed.weakening import weakened
from interp.models.constructed.words import CLASSES, ids_of
from interp.models.model import Model
from interp.models.transformer import DecoderAttention, DecoderForCausalLM, DecoderMLP


def planted() -> Iterator[Known]:
    """Everything that is planted, at every strength. A head's strength: its query so many times as loud as it was written."""
    for (protocol, what), (make, strengths) in PLANTED.items():
        for strength in strengths:
            weight = 1 if protocol in ("induction_head", "division_of_labour") else 2  # the longest runs
            yield Known(protocol=protocol, what=f"{what} {strength:g}", make=partial(make, strength=strength), weight=weight)


def _soft(name: str, strength: float) -> Model:
    return loaded(weakened(whole(name), strength))


def _positional(seed: int, strength: float) -> Case:
    return Case(claim=claim_of("positional_head", **PREVIOUS), model=_soft("previous-token", strength), data=random_texts(seed))


def _induction(seed: int, strength: float) -> Case:
    return Case(claim=claim_of("induction_head", **COPYING), model=_soft("induction", strength))


def _subject(seed: int, strength: float) -> Case:
    """The head is whole; "it" means the subject in a share of the sentences, in the others any word before."""
    rng, found = np.random.default_rng(seed), []
    for sentence in world(seed):
        ((name, it, _),) = sentence.links
        meant = sentence.links if rng.random() < strength else ((name, it, int(rng.integers(it))),)
        found.append(replace(sentence, links=meant))
    return Case(claim=claim_of("attends", **SUBJECT), model=loaded(whole("subject-copy")), data=found)


def _roles(seed: int, strength: float) -> Case:
    """Four heads look elsewhere each; the weaker the previous-token head asks, the more it is like the one that looks everywhere."""
    claim = claim_of("head_diversity", claimed="roles", **APART)
    return Case(claim=claim, model=_soft("previous-token", strength), data=random_texts(seed))


def _subspaces(seed: int, strength: float) -> Case:
    model = edited(newborn(seed, **MANY_HEADS), partial(_move_apart, strength=strength), f"moved apart by {strength:g}")
    return Case(claim=claim_of("head_subspaces", claimed="less than random", **SUBSPACES), model=model)


def _move_apart(hf: DecoderForCausalLM, strength: float) -> None:
    """Each head's directions moved towards directions of its own, orthogonal to all others' where the strength is 1."""
    for block in hf.model.blocks:
        attn = block.attn
        assert isinstance(attn, DecoderAttention)
        for weight in (attn.q.weight, attn.o.weight):
            own = torch.eye(len(weight)) * weight.norm() / len(weight) ** 0.5
            weight.copy_((1 - strength) * weight + strength * own)


def _neuron(seed: int, strength: float) -> Case:
    """The neuron fires on a share of its class."""
    claim, n = claim_of("neuron_selectivity", **SELECTIVE, top_k=1), round(strength * len(CLASSES["animal"]))
    deaf = ids_of(*CLASSES["animal"])[n:]

    def edit(hf: DecoderForCausalLM) -> None:
        mlp = hf.model.blocks[1].mlp
        assert isinstance(mlp, DecoderMLP)
        mlp.fc_in.weight[NEURON, deaf] = 0.0

    return Case(claim=claim, model=edited(loaded(whole("class-neuron")), edit, f"fires on {n} animals"), data=class_sentences(seed))


def _important(seed: int, strength: float) -> Case:
    claim = claim_of("importance", claimed="some", named=["L0H1"], **MATTERS)
    return Case(claim=claim, model=edited(loaded(whole("previous-token")), partial(_says, strength=strength), "says"), data=echoes(seed))


def _says(hf: DecoderForCausalLM, strength: float) -> None:
    """What the head says counts for so much of what it was written to."""
    attn = hf.model.blocks[0].attn
    assert isinstance(attn, DecoderAttention)
    attn.o.weight.mul_(strength)


def _nonlinear(seed: int, strength: float) -> Case:
    return Case(claim=claim_of("linearity", **NONLINEAR), model=bent(seed, strength), data=random_texts(seed))


def _without(seed: int, strength: float) -> Case:
    return compared(seed, edited(copied(10_000 + seed), partial(_says, strength=strength), "without"))


Make = Callable[..., Case]
PLANTED: dict[tuple[str, str], tuple[Make, tuple[float, ...]]] = {
    ("positional_head", "strength"): (_positional, (0.06, 0.1, 0.12, 0.14, 0.2, 1.0)),
    ("induction_head", "strength"): (_induction, (0.1, 0.14, 0.18, 1.0)),
    ("attends", "share of the sentences"): (_subject, (0.0, 0.1, 0.2, 0.4, 1.0)),
    ("head_diversity", "strength"): (_roles, (0.03, 0.06, 0.1, 0.2, 1.0)),
    ("head_subspaces", "moved apart by"): (_subspaces, (0.3, 0.45, 0.5, 0.55, 0.65, 1.0)),
    ("neuron_selectivity", "share of its class"): (_neuron, (0.5, 0.6, 0.7, 0.8, 1.0)),
    ("importance", "says"): (_important, (0.003, 0.005, 0.006, 0.007, 0.01, 0.1)),
    ("linearity", "bent by"): (_nonlinear, (0.3, 0.5, 0.6, 0.7, 1.0)),
    ("division_of_labour", "share of the FFN"): (labour, (0.2, 0.35, 0.5, 1.0)),
    ("models_compared", "says"): (_without, (0.9, 0.75, 0.7, 0.65, 0.5)),
}
