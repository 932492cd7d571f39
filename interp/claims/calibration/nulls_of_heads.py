"""Nulls of the protocols on heads: what they look at, how they differ, in which subspaces they work."""

from interp.claims.calibration.cases import N_CTX, Case, Known, claim_of, edited, loaded, newborn, trained, whole
from interp.claims.calibration.world import random_texts, with_random_heads, with_random_tags, world
from interp.models.constructed import scrambled
from interp.models.transformer import DecoderAttention, DecoderForCausalLM

MARGIN = {"margin": 0.1, "margin_source": "Voita et al. (2019), section 5.2"}
TAGS = {"from_words": "upos=VERB", "to_words": "upos=NOUN", **MARGIN}
PREVIOUS = {"at_least": 0.5, "at_least_source": "Clark et al. (2019), section 3.1", "margin": 0.1}
COPYING = {"at_least": 0.4, "at_least_source": "ours", "margin": 0.1, "copying_nats": 2.0, "lost_nats": 1.0, "n_rows": 80}
APART = {"nats": 0.05, "nats_source": "ours", "n_tokens": N_CTX}
SUBSPACES = {"of": ["query", "output"], "margin": 0.25, "margin_source": "ours"}
MANY_HEADS = {"layers": 4, "heads": 12, "d_model": 48}  # 48 heads, each a unit of the protocol on subspaces
SUBJECT = {"from_words": "lemma=it", "to_words": "link=Antecedent", "head": "L1H2", **MARGIN}
HEAD = "L2H3"  # any one of a trained model: what it looks at has nothing to do with labels that mean nothing


def _relation_untrained(seed: int) -> Case:
    return Case(claim=claim_of("head_relation", relation="obj", **MARGIN), model=newborn(seed), data=world(seed))


def _relation_shuffled(seed: int) -> Case:
    claim = claim_of("head_relation", relation="obj", head=HEAD, direction="dependent", **MARGIN)
    return Case(claim=claim, model=trained(), data=with_random_heads(world(seed), seed))


def _attends_untrained(seed: int) -> Case:
    return Case(claim=claim_of("attends", **TAGS), model=newborn(seed), data=world(seed))


def _attends_shuffled(seed: int) -> Case:
    return Case(claim=claim_of("attends", head=HEAD, **TAGS), model=trained(), data=with_random_tags(world(seed), seed))


def _attends_scrambled(seed: int) -> Case:
    claim = claim_of("attends", **SUBJECT)
    return Case(claim=claim, model=loaded(scrambled(whole("subject-copy"), seed)), data=world(seed))


def _positional_untrained(seed: int) -> Case:
    return Case(claim=claim_of("positional_head", **PREVIOUS), model=newborn(seed), data=random_texts(seed))


def _positional_scrambled(seed: int) -> Case:
    model = loaded(scrambled(whole("previous-token"), seed))
    return Case(claim=claim_of("positional_head", **PREVIOUS), model=model, data=random_texts(seed))


def _induction_untrained(seed: int) -> Case:
    return Case(claim=claim_of("induction_head", **COPYING), model=newborn(seed))


def _induction_scrambled(seed: int) -> Case:
    return Case(claim=claim_of("induction_head", **COPYING), model=loaded(scrambled(whole("induction"), seed)))


def _alike_untrained(seed: int) -> Case:
    return Case(claim=claim_of("head_diversity", claimed="layers are alike", **APART), model=newborn(seed), data=random_texts(seed))


def _roles_repeated(seed: int) -> Case:
    """Two heads of the constructed model attend to all tokens alike, and two to the first."""
    return Case(claim=claim_of("head_diversity", claimed="roles", **APART), model=loaded(whole("induction")), data=random_texts(seed))


def _subspaces_untrained(seed: int) -> Case:
    return Case(claim=claim_of("head_subspaces", claimed="less than random", **SUBSPACES), model=newborn(seed, **MANY_HEADS))


def _subspaces_shared(seed: int) -> Case:
    model = edited(newborn(seed, **MANY_HEADS), _share_a_direction, f"shared direction, seed {seed}")
    return Case(claim=claim_of("head_subspaces", claimed="no more than random", **SUBSPACES), model=model)


def _share_a_direction(hf: DecoderForCausalLM) -> None:
    """All heads of a layer read one direction in common, and write one."""
    for block in hf.model.blocks:
        attn = block.attn
        assert isinstance(attn, DecoderAttention)
        width = attn.head_dim
        attn.q.weight.unflatten(0, (-1, width))[:, 0] = attn.q.weight[0].clone()
        attn.o.weight.unflatten(1, (-1, width))[:, :, 0] = attn.o.weight[:, :1].clone()


OF_HEADS: tuple[Known, ...] = (
    Known(protocol="head_relation", what="untrained models", make=_relation_untrained),
    Known(protocol="head_relation", what="shuffled heads of words", make=_relation_shuffled, exchangeable=(1,)),
    Known(protocol="attends", what="untrained models", make=_attends_untrained),
    Known(protocol="attends", what="shuffled parts of speech", make=_attends_shuffled, exchangeable=(1,)),
    Known(protocol="attends", what="scrambled twins of the constructed circuit", make=_attends_scrambled),
    Known(protocol="positional_head", what="untrained models", make=_positional_untrained),
    Known(protocol="positional_head", what="scrambled twins of the constructed circuit", make=_positional_scrambled),
    Known(protocol="induction_head", what="untrained models", make=_induction_untrained),
    Known(protocol="induction_head", what="scrambled twins of the constructed circuit", make=_induction_scrambled, weight=1),
    Known(protocol="head_diversity", what="alike within layers, untrained models", make=_alike_untrained),
    Known(protocol="head_diversity", what="each head a role, heads that are twice there", make=_roles_repeated),
    Known(protocol="head_subspaces", what="less than random, untrained models", make=_subspaces_untrained),
    Known(protocol="head_subspaces", what="no more than random, heads that share a direction", make=_subspaces_shared),
)
