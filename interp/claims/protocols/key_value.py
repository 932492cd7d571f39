"""Do FFN neurons work as key-value memories: does each fire on a pattern, and does its value vector say what comes next?

Design. For neurons of every layer (at most `n_neurons` each, drawn) the twenty words are taken on which each fires most, at most one from
a text, on either half of the documents (see `triggers`).
  keys      how many nats better the label of a trigger on the confirmation half (part of speech, lemma, or lemma with the one before) is
            known from the same neuron's triggers on the selection half than from the labels' frequencies. So a pattern counts only where it
            holds for triggers that it was not read from. A neuron without a pattern gives less than 0
  values    how often the token that a neuron's value vector raises most, through the final norm and the unembedding, is the one behind its
            trigger; against what it would be if triggers' next tokens were dealt anew over all neurons of the model (that share is exact:
            the token's frequency among them)
Both must reach their smallest effect, as means over neurons and triggers. Unit: the document of the trigger. Told beside them, by layer:
the entropy of a neuron's labels on the selection half, with activations as they are and dealt anew, and Geva's pattern: the label that is
most common there comes back on three triggers or more.

Controls. Null: activations dealt anew over the words of each half must show no keys; value vectors exchanged among the neurons of a layer
must show no values; untrained twins must not pass both. Positive: while the model runs, the neuron whose value vector raises a frequent
next token is made to fire on the most frequent label (a planted key), and before that token (a planted value); read as all are, it must
show both.
Assumptions: a value vector is read by itself, as if later layers added nothing; of an early layer that is the smaller part. A neuron's
activation at its triggers is above 0: those that are not on twenty texts of each half are left out. In a gated FFN the side below 0 is not
looked at.
Source: Geva et al. (2021), Transformer Feed-Forward Layers Are Key-Value Memories: there people named the patterns of 160 keys, here labels
of a treebank stand for them; agreement there is that of the value's top token with the next token of the top trigger.
What it does not tell: that a neuron does nothing else than at its triggers; that the model uses the value (an ablation would); patterns
that are none of these labels. An untrained network fires on patterns, too: keys alone are no work of training.
"""

from math import log
from typing import Literal

import numpy as np
from pydantic import Field

from interp.claims.plan import Plan, Step, sampled_plan
from interp.claims.protocols.finding import Finding, halves, sampled_evidence
from interp.claims.protocols.parts.neurons_on_words import PlantedNeuron, Words, at_words, neurons_in_layers, without_neurons, words_of
from interp.claims.protocols.parts.triggers import (
    N_TRIGGERS,
    Label,
    Triggers,
    entropy_nats,
    gain,
    labels_of,
    most_said,
    top_triggers,
    triggers_of,
)
from interp.claims.protocols.protocol import Case, Parameters, Protocol
from interp.claims.rule import decide, passes
from interp.claims.verdict import Badges, Control, Evidence
from interp.core.errors import ClaimError
from interp.models.anatomy import Anatomy
from interp.models.untrained import untrained

PIECES = 2  # keys and values


class KeyValue(Parameters):
    """Parameters of "key_value"."""

    protocol: Literal["key_value"]
    label: Label = Field(description="what a pattern is a pattern of")
    key_nats: float = Field(gt=0, description="smallest gain over the labels' frequencies that matters, nats per trigger")
    agreement: float = Field(gt=0, lt=1, description="smallest gain over chance in agreement with the next token that matters")
    source_of_effects: str
    n_neurons: int = Field(default=256, ge=1, description="of each layer, at most")
    n_untrained: int = Field(default=5, ge=5)


def _why_not(anatomy: Anatomy) -> str:
    if anatomy.encoder_decoder or (anatomy.lm_head and anatomy.linear_readout) or without_neurons(anatomy):
        return without_neurons(anatomy)
    return "has logits that are more than norms and a matrix away from the stream, so that value vectors cannot be read as tokens"


def _words(case: Case[KeyValue]) -> tuple[Words, np.ndarray]:
    """The words, and which are on the selection half. Raises: ClaimError where a half has too few texts."""
    words = words_of(case.examples, case.id)
    choose, confirm = halves(words.document, case.seed)
    texts = [len(np.unique(words.text[half])) for half in (choose, confirm)]
    if min(texts) < N_TRIGGERS:
        raise ClaimError(
            f"{case.id}: the halves have {texts[0]} and {texts[1]} sentences; expected {N_TRIGGERS} triggers from as many in each"
        )
    return words, choose


def _plan(case: Case[KeyValue]) -> Plan:
    words, choose = _words(case)
    steps = (
        Step(what="the model on the treebank", tokens=words.n_tokens),
        Step(what=f"{case.test.n_untrained} untrained twins", tokens=case.test.n_untrained * words.n_tokens),
    )
    n_neurons = sum(min(n, case.test.n_neurons) for n in neurons_in_layers(case.model.anatomy))
    each = np.unique(words.document[~choose])
    clusters = np.resize(each, max(len(each), n_neurons * N_TRIGGERS))
    return sampled_plan(
        steps=steps,
        clusters=clusters,
        family=1,
        smallest_effect=case.test.key_nats,
        unit="nats per trigger",
        alpha=case.alpha,
        shares=False,
    )


def run(case: Case[KeyValue]) -> Finding:
    """Judge "neurons fire on patterns, and their value vectors say what comes next"."""
    words, choose = _words(case)
    labels = labels_of(words, case.test.label)
    ours = _triggers(case, words, choose, None)
    keys = _keys(case, words, labels, ours.choose, ours.confirm)
    values = _values(case, words, ours.confirm, ours.token)
    controls = (
        _dealt(case, words, labels, ours),
        _exchanged(case, words, ours),
        *(_twin(case, words, labels, _triggers(case, words, choose, number), number) for number in range(case.test.n_untrained)),
        *_planted(case, words, labels, choose),
    )
    outcome, reason = decide((keys, values), controls, case.alpha)
    rows = _rows(words, labels, ours)
    shares = np.array(list(rows.values())).T
    return Finding(
        outcome=outcome,
        reason=reason,
        summary=(
            f"A trigger's {case.test.label} is {keys.effect:+.2f} nats better known from the neuron's other triggers than from frequencies "
            f"(by layer {shares[2].min():+.2f} to {shares[2].max():+.2f}); {shares[3].mean():.0%} of {len(ours.layer)} neurons have one. "
            f"The value vector's top token is the next one after {values.estimate:.2%} of the triggers, by chance after "
            f"{values.baseline:.2%} (at most {shares[4].max():.2%}, in layer {list(rows)[int(shares[4].argmax())]})."
        ),
        badges=Badges(observational=outcome == "supported"),
        evidence=(keys, values),
        controls=controls,
        rows=rows,
    )


def _triggers(case: Case[KeyValue], words: Words, choose: np.ndarray, twin: int | None) -> Triggers:
    name = "the model" if twin is None else f"untrained twin {twin}"

    def arrays() -> dict[str, np.ndarray]:
        case.tell(f"{name}: triggers among {len(words)} words")
        model = case.model if twin is None else untrained(case.model, seed=twin)
        return triggers_of(model, words, choose, case.test.n_neurons, case.seed)

    found = Triggers(**case.stages.get(name, arrays))
    if not len(found.layer):
        raise ClaimError(f"{case.id}: no neuron of {name} is above 0 on {N_TRIGGERS} texts of each half; expected a larger treebank")
    return found


def _frequency(labels: np.ndarray) -> np.ndarray:
    """Of each label, over all words."""
    return np.bincount(labels) / len(labels)


def _keys(case: Case[KeyValue], words: Words, labels: np.ndarray, train: np.ndarray, test: np.ndarray) -> Evidence:
    frequency = _frequency(labels)
    gains = gain(labels[train], labels[test], frequency).ravel()
    return sampled_evidence(
        name=f"keys: a trigger's {case.test.label} known from other triggers",
        unit="nats per trigger",
        values=gains[None],
        baseline=np.zeros_like(gains),
        baseline_name="frequencies of the labels",
        clusters=words.document[test].ravel(),
        member=0,
        smallest_effect=case.test.key_nats,
        alpha=case.alpha,
        seed=case.seed,
        largest=log((1 / frequency.min() + 1) / 2),
        pieces=PIECES,
    )


def _values(case: Case[KeyValue], words: Words, triggers: np.ndarray, token: np.ndarray) -> Evidence:
    hits, chance = agreement(words.next_token[triggers], token)
    return sampled_evidence(
        name="values: the top token of the value vector is the next one",
        unit="of the triggers",
        values=hits.ravel()[None],
        baseline=chance.ravel()[None],
        baseline_name="next tokens dealt anew over all triggers",
        clusters=words.document[triggers].ravel(),
        member=0,
        smallest_effect=case.test.agreement,
        alpha=case.alpha,
        seed=case.seed,
        highest=1.0,
        pieces=PIECES,
    )


def agreement(following: np.ndarray, token: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Whether each trigger's next token is its neuron's, and how likely that is for a next token drawn from all triggers.

    Args: following: axes (neuron, rank); token: (neuron,).
    Returns: axes (neuron, rank) both.

    Example:
        >>> hits, chance = agreement(np.array([[7, 8], [9, 9]]), np.array([7, 9]))
        >>> hits.tolist(), chance.tolist()
        ([[1.0, 0.0], [1.0, 1.0]], [[0.25, 0.25], [0.5, 0.5]])
    """
    known, counts = np.unique(following, return_counts=True)
    place = np.searchsorted(known, token).clip(max=len(known) - 1)
    chance = np.where(known[place] == token, counts[place], 0) / following.size
    return (following == token[:, None]).astype(float), np.broadcast_to(chance[:, None], following.shape)


def _dealt(case: Case[KeyValue], words: Words, labels: np.ndarray, ours: Triggers) -> Control:
    evidence = _keys(case, words, labels, ours.dealt_choose, ours.dealt_confirm)
    passed = not passes(evidence, case.alpha)
    return Control(name="activations dealt anew, keys", kind="null", value=evidence.effect, unit="nats per trigger", passed=passed)


def _exchanged(case: Case[KeyValue], words: Words, ours: Triggers) -> Control:
    """Value vectors exchanged among the neurons of a layer."""
    rng, token = np.random.default_rng(case.seed), ours.token.copy()
    for layer in np.unique(ours.layer):
        mine = np.flatnonzero(ours.layer == layer)
        token[mine] = ours.token[rng.permutation(mine)]
    evidence = _values(case, words, ours.confirm, token)
    passed = not passes(evidence, case.alpha)
    return Control(name="value vectors exchanged", kind="null", value=evidence.effect, unit="of the triggers", passed=passed)


def _twin(case: Case[KeyValue], words: Words, labels: np.ndarray, twin: Triggers, number: int) -> Control:
    keys, values = _keys(case, words, labels, twin.choose, twin.confirm), _values(case, words, twin.confirm, twin.token)
    passed = not all(passes(one, case.alpha) for one in (keys, values))
    detail = f"keys {keys.effect:+.3f} nats per trigger"
    return Control(name=f"untrained twin {number}", kind="null", value=values.effect, unit="of the triggers", passed=passed, detail=detail)


def _planted(case: Case[KeyValue], words: Words, labels: np.ndarray, choose: np.ndarray) -> tuple[Control, Control]:
    """A neuron made to fire on one label, and made to fire before the token that its value vector raises, read as all neurons are."""
    following = words.next_token
    layer, neuron, token = most_said(case.model, following[choose])
    common = int(np.bincount(labels[choose]).argmax())
    train, test = _fired(case, words, choose, labels == common, (layer, neuron))
    known = float(gain(labels[train], labels[test], _frequency(labels)).mean())
    _, before = _fired(case, words, choose, following == token, (layer, neuron))
    n = min(N_TRIGGERS, len(np.unique(words.text[~choose & (following == token)])))  # texts of the half in which that token comes
    said = float((following[before[0, :n]] == token).mean() - (following[~choose] == token).mean()) if n else 0.0
    where = f"in L{layer}N{neuron}"
    return (
        Control(
            name="planted key", kind="positive", value=known, unit="nats per trigger", passed=known >= case.test.key_nats, detail=where
        ),
        Control(
            name="planted value", kind="positive", value=said, unit="of the triggers", passed=said >= case.test.agreement, detail=where
        ),
    )


def _fired(
    case: Case[KeyValue], words: Words, choose: np.ndarray, meant: np.ndarray, place: tuple[int, int]
) -> tuple[np.ndarray, np.ndarray]:
    """Triggers of one neuron on either half while the model runs with it made 1 behind some words; axes (1, rank) both."""
    layer, neuron = place
    post = at_words(case.model, words, "post", [layer], PlantedNeuron(words, meant, layer, neuron).of)[layer][:, [neuron]]
    first, second = (np.flatnonzero(half)[top_triggers(post[half], words.text[half])[1]] for half in (choose, ~choose))
    return first, second


def _rows(words: Words, labels: np.ndarray, ours: Triggers) -> dict[str, list[float]]:
    """By layer: entropy of the labels, the same dealt anew (nats); keys (nats); share with a pattern; agreement, and by chance."""
    train, test = labels[ours.choose], labels[ours.confirm]
    most_common = np.array([np.bincount(row).argmax() for row in train])
    hits, chance = agreement(words.next_token[ours.confirm], ours.token)
    told = {
        "entropy": entropy_nats(train),
        "dealt": entropy_nats(labels[ours.dealt_choose]),
        "keys": gain(train, test, _frequency(labels)).mean(1),
        "pattern": ((test == most_common[:, None]).sum(1) >= 3).astype(float),
        "agreement": hits.mean(1),
        "chance": chance.mean(1),
    }
    return {f"L{layer}": [float(one[ours.layer == layer].mean()) for one in told.values()] for layer in np.unique(ours.layer).tolist()}


PROTOCOL = Protocol(
    parameters=KeyValue,
    needs="treebank",
    requires=("neurons", "contributions"),
    family="all neurons that are looked at, as one mean",
    controls=("activations dealt anew", "value vectors exchanged", "untrained twins", "a planted key and a planted value"),
    why_not=_why_not,
    plan=_plan,
    run=run,
)
