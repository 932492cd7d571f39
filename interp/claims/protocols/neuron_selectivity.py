"""Are there neurons that are selective for a kind of word, and does what the model says behind such words rest on them?

Design. A selector names words of a treebank ("upos=VERB"), of texts that are drawn where there are more than the claim asks for; every
other word is not of the label. Documents are split in two.
  selectivity   on the selection half the neuron, among all of all layers, whose activation behind a word tells the label best (AUROC, in
                either direction: a neuron may be silent on the label's words); on the other half that one choice, against the most
                selective neuron of an untrained twin, document by document (`auroc_by_document`). It must reach `at_least`, too. p by
                max-T over all neurons and both directions; refuting "there is one" takes the bound of the best of them
  ablation      the `top_k` most selective neurons of the selection half switched off together, by their mean and by what they are on
                another text: what the token behind a word of the label costs more, less what the token behind any other word costs more
                (a difference in differences, nats), over the same for as many other neurons of the same layers that write about as much
                (`n_draws` draws)
  sparsity      of the neurons behind a word (Hoyer), by layer: against the strongest of untrained twins and of the same FFN reading
                Gaussian vectors of the same mean and covariance. It decides only where the claim sets `sparser_by`; it is always told
All that decide must reach their smallest effect; one of them refutes, so that each has a share of alpha for that. Where the verdicts by
mean and by resample alone are not the same there is none ("methods_disagree"), neither for nor against.

Controls. Null: untrained twins, each with its own selection and against the others; the labels dealt anew within each document; other
neurons, of which 95 % of the draws must lose less. Twins and dealt labels are held to the unadjusted p of their own best neuron, which is
easier to pass. Positive: the neuron that tells least of the label is made 1 on it and 0 elsewhere while the model runs, at tokens found by
their characters; read as all are, it must tell the label.
Assumptions: words without a token behind them, and parts of multiword tokens, are left out; a word's neurons are those at its last token.
Source: the catalogue, S1-13; sparsity in trained FFNs: Li et al. (2023), The Lazy Neuron Phenomenon; matched random neurons are ours.
What it does not tell: that the neurons stand for the label rather than for what goes with it (a suffix, a frequent word), nor what they do
at other words; a large AUROC is not that the neuron fires on nothing else.
"""

from dataclasses import replace
from math import log
from typing import Literal

import numpy as np
from pydantic import Field

from interp.claims.plan import Plan, Step, sampled_plan
from interp.claims.protocols.finding import Finding, best_upper, halves, sampled_evidence
from interp.claims.protocols.parts.neurons_on_words import Words, neurons_in_layers, without_neurons, words_of
from interp.claims.protocols.parts.selective_neurons import (
    SPARSITY,
    Selective,
    dealt,
    draws_lose_less,
    gaussian_sparsity,
    like_neurons,
    planted,
    rows_by_layer,
    selective,
    site_of,
    strongest,
)
from interp.claims.protocols.parts.switched_off import kept_for_ablation, lost_by_document
from interp.claims.protocols.parts.without_parts import HOWS, How
from interp.claims.protocols.protocol import Case, Parameters, Protocol
from interp.claims.rule import decide, passes
from interp.claims.verdict import Badges, Control, Evidence, Outcome, Reason
from interp.core.errors import ClaimError
from interp.texts.example import Example
from interp.texts.selectors import parse_selector, select

FEWEST = 10  # words of a kind in each half
HOYER = SPARSITY.index("Hoyer")


class NeuronSelectivity(Parameters):
    """Parameters of "neuron_selectivity"."""

    protocol: Literal["neuron_selectivity"]
    label: str = Field(description="the words meant: 'upos=VERB', 'lemma=be|have' (see texts.selectors)")
    at_least: float = Field(gt=0.5, lt=1, description="smallest AUROC that makes a neuron selective")
    at_least_source: str
    margin: float = Field(gt=0, lt=0.5, description="smallest gain in AUROC over the best untrained neuron that matters")
    lost_nats: float = Field(gt=0, description="smallest difference in differences, over that of other neurons, that matters")
    sparser_by: float | None = Field(
        default=None, gt=0, lt=1, description="smallest gain in Hoyer's sparsity that matters; None: told only"
    )
    top_k: int = Field(default=10, ge=1)
    n_draws: int = Field(default=20, ge=20)
    n_words: int = Field(default=8000, ge=1000, description="words looked at, of texts that are drawn where there are more")
    n_untrained: int = Field(default=5, ge=5)


def _drawn(case: Case[NeuronSelectivity]) -> list[Example]:
    """Texts with about as many words as the claim asks for, in their order."""
    drawn = np.random.default_rng(case.seed).permutation(len(case.examples))
    n_words = np.cumsum([len(case.examples[place].words) for place in drawn])
    return [case.examples[place] for place in sorted(drawn[: 1 + int(np.searchsorted(n_words, case.test.n_words))].tolist())]


def _labelled(case: Case[NeuronSelectivity]) -> tuple[Words, np.ndarray, np.ndarray]:
    """The words, which are of the label, and which are on the selection half. Raises: ClaimError where a half has too few of a kind."""
    words = words_of(_drawn(case), case.id)
    parts = parse_selector(case.test.label)
    meant = [{example.words[place].id for place in select(parts, example)} for example in words.examples]
    label = np.array([word.id in meant[text] for text, word in zip(words.text, words.word, strict=True)])
    choose, confirm = halves(words.document, case.seed)
    counts = [int((label[half] == kind).sum()) for half in (choose, confirm) for kind in (True, False)]
    if min(counts) < FEWEST:
        raise ClaimError(
            f"{case.id}: {case.test.label!r} is said of {counts[0]} and {counts[2]} words of the two halves, and not of {counts[1]} and "
            f"{counts[3]}; expected at least {FEWEST} of each: another label, or a larger treebank"
        )
    return words, label, choose


def _plan(case: Case[NeuronSelectivity]) -> Plan:
    words, _, choose = _labelled(case)
    test, half = case.test, words.part(~choose)
    steps = (
        Step(what="the model on the treebank", tokens=words.n_tokens),
        Step(what="the same with Gaussian vectors for its FFNs", tokens=2 * words.n_tokens),
        Step(what=f"{test.n_untrained} untrained twins", tokens=test.n_untrained * words.n_tokens),
        Step(what="a planted neuron", tokens=half.n_tokens),
        Step(what=f"{test.top_k} neurons and {test.n_draws} draws of others off", tokens=len(HOWS) * (test.n_draws + 2) * half.n_tokens),
    )
    documents, family = np.unique(half.document), 2 * sum(neurons_in_layers(case.model.anatomy))
    return sampled_plan(steps=steps, clusters=documents, family=family, smallest_effect=test.margin, unit="AUROC", alpha=case.alpha)


def run(case: Case[NeuronSelectivity]) -> Finding:
    """Judge "there are neurons selective for this label, and what follows such words rests on them"."""
    test, d_mlp = case.test, neurons_in_layers(case.model.anatomy)
    words, label, choose = _labelled(case)
    ours = _found(case, words, label, choose, None)
    twins = [_found(case, words, label, choose, number) for number in range(test.n_untrained)]
    by_chance = _found(case, words, dealt(label, words.document, case.seed), choose, None, "the model and labels dealt anew")
    member, n = ours.member(), len(ours.selection)
    site = site_of(member % n, d_mlp)
    told = _selectivity(case, ours.both(), member, strongest(twins), f"{site} tells {test.label} from other words")
    top = ours.top(test.top_k)
    lost = {how: _lost(case, words, label, choose, [top, *like_neurons(ours, top, d_mlp, test.n_draws, case.seed)], how) for how in HOWS}
    causal = tuple(_causal(case, how, lost[how]) for how in HOWS)
    gaussian = _gaussian(case, words, choose)
    sparser = _sparser(case, words, choose, ours, [*(twin.sparsity for twin in twins), gaussian])
    evidence = (told, *causal, *((sparser,) if test.sparser_by else ()))
    controls = (
        *_twins(case, twins),
        _dealt_control(case, by_chance),
        *(draws_lose_less(how, lost[how]) for how in HOWS),
        planted(case.model, words.part(~choose), label[~choose], ours, d_mlp),
    )
    outcome, reason = _decide(evidence, controls, case.alpha)
    direction = "larger" if member < n else "smaller"
    return Finding(
        outcome=outcome,
        reason=reason,
        summary=(
            f"{site} is {direction} behind {test.label} (AUROC {told.estimate:.3f}; {told.baseline:.3f} for the best untrained neuron). "
            f"Without the {test.top_k} most selective neurons what follows such words costs {causal[0].estimate:+.3f} nats (mean), "
            f"{causal[1].estimate:+.3f} (resample) more than what follows others; {causal[0].baseline:+.3f} and {causal[1].baseline:+.3f} "
            f"without as many like them. Hoyer's sparsity is {sparser.effect:+.3f} over that of untrained and Gaussian-fed FFNs in layer "
            f"{sparser.name.split()[-1]}."
        ),
        site=site,
        badges=Badges(
            observational=passes(told, case.alpha),
            causal=all(passes(one, case.alpha) for one in causal) and all(one.passed for one in controls if one.name.startswith("other")),
        ),
        evidence=evidence,
        controls=controls,
        rows=rows_by_layer(ours, twins, gaussian, ~choose, d_mlp),
    )


def _found(
    case: Case[NeuronSelectivity], words: Words, label: np.ndarray, choose: np.ndarray, twin: int | None, name: str = "the model"
) -> Selective:
    name = name if twin is None else f"untrained twin {twin}"

    def arrays() -> dict[str, np.ndarray]:
        case.tell(f"{name}: {len(words)} words")
        return selective(case.model if twin is None else case.twin(twin), words, label, choose)

    return Selective(**case.stages.get(name, arrays))


def _gaussian(case: Case[NeuronSelectivity], words: Words, choose: np.ndarray) -> np.ndarray:
    """Sparsity of the model's FFNs on Gaussian vectors. Axes: (measure, layer, word)."""
    case.tell("Gaussian vectors for the FFNs")
    return case.stages.get("gaussian", lambda: {"sparsity": gaussian_sparsity(case.model, words, choose, case.seed)})["sparsity"]


def _selectivity(case: Case[NeuronSelectivity], values: np.ndarray, member: int, baseline: np.ndarray, name: str) -> Evidence:
    """ "Below `at_least`" is said of the AUROC itself, so its own bound counts too."""
    documents = np.arange(values.shape[1])
    evidence = sampled_evidence(
        name=name,
        unit="AUROC",
        values=values,
        baseline=baseline,
        baseline_name="best untrained neuron",
        clusters=documents,
        member=member,
        smallest_effect=max(case.test.margin, case.test.at_least - float(baseline.mean())),
        alpha=case.alpha,
        seed=case.seed,
        highest=1.0,
        pieces=_pieces(case.test),
    )
    bound = best_upper(values, documents, alpha=case.alpha / _pieces(case.test)) - float(baseline.mean())
    return replace(evidence, upper=max(evidence.upper, bound))


def _lost(
    case: Case[NeuronSelectivity],
    words: Words,
    label: np.ndarray,
    choose: np.ndarray,
    sets: list[np.ndarray],
    how: How,
) -> np.ndarray:
    """Axes: (set, document of the confirmation half), the selective neurons first."""

    def arrays() -> dict[str, np.ndarray]:
        case.tell(f"selective neurons switched off ({how})")
        confirm, d_mlp = words.part(~choose), neurons_in_layers(case.model.anatomy)
        every = [f"L{layer}N0" for layer in range(case.model.anatomy.n_layers)]
        over = kept_for_ablation(case.model, every, words.part(choose).examples, max(map(len, confirm.examples)), case.seed)
        sites = [[site_of(neuron, d_mlp) for neuron in each.tolist()] for each in sets]
        return {"lost": lost_by_document(case.model, confirm, label[~choose], sites, over, how, case.seed)}

    return case.stages.get(f"switched off {how}", arrays)["lost"]


def _causal(case: Case[NeuronSelectivity], how: str, lost: np.ndarray) -> Evidence:
    return sampled_evidence(
        name=f"lost behind {case.test.label} over other words without the {case.test.top_k} most selective neurons ({how})",
        unit="nats per token",
        values=lost[:1],
        baseline=lost[1:].mean(0)[None],
        baseline_name="other neurons that write as much",
        clusters=np.arange(lost.shape[1]),
        member=0,
        smallest_effect=case.test.lost_nats,
        alpha=case.alpha,
        seed=case.seed,
        largest=log(case.model.anatomy.d_vocab),
        pieces=_pieces(case.test),
    )


def _sparser(case: Case[NeuronSelectivity], words: Words, choose: np.ndarray, ours: Selective, others: list[np.ndarray]) -> Evidence:
    """The layer that gains most in Hoyer's sparsity over the strongest of the others, both by the selection half."""
    mine, theirs = ours.sparsity[HOYER], np.stack([one[HOYER] for one in others])
    which = theirs[:, :, choose].mean(2).argmax(0)
    baseline = theirs[which, np.arange(len(which))]
    layer = int((mine - baseline)[:, choose].mean(1).argmax())
    return sampled_evidence(
        name=f"Hoyer's sparsity of layer {layer}",
        unit="Hoyer",
        values=mine[:, ~choose],
        baseline=baseline[:, ~choose],
        baseline_name="strongest of untrained and Gaussian-fed",
        clusters=words.document[~choose],
        member=layer,
        smallest_effect=case.test.sparser_by or case.test.margin,
        alpha=case.alpha,
        seed=case.seed,
        highest=1.0,
        pieces=_pieces(case.test),
    )


def _pieces(test: NeuronSelectivity) -> int:
    """Selectivity, the loss by each way of switching off, and sparsity where it decides."""
    return 1 + len(HOWS) + (test.sparser_by is not None)


def _decide(evidence: tuple[Evidence, ...], controls: tuple[Control, ...], alpha: float) -> tuple[Outcome, Reason]:
    """As every sampled claim, but that one way of switching off alone decides nothing, neither for nor against."""
    told, mean, resample, *sparser = evidence
    found = [decide((told, way, *sparser), controls, alpha) for way in (mean, resample)]
    if len({outcome for outcome, _ in found}) > 1:
        return "inconclusive", "methods_disagree"
    return decide(evidence, controls, alpha)


def _twins(case: Case[NeuronSelectivity], twins: list[Selective]) -> list[Control]:
    found = []
    for number, twin in enumerate(twins):
        others = [other for place, other in enumerate(twins) if place != number]
        best = twin.both()[twin.member()][None]
        evidence = _selectivity(case, best, 0, strongest(others), "its best neuron")
        passed = not passes(evidence, case.alpha)
        found.append(Control(name=f"untrained twin {number}", kind="null", value=evidence.estimate, unit="AUROC", passed=passed))
    return found


def _dealt_control(case: Case[NeuronSelectivity], by_chance: Selective) -> Control:
    best = by_chance.both()[by_chance.member()][None]
    evidence = _selectivity(case, best, 0, np.full(best.shape[1], 0.5), "the best neuron for labels dealt anew")
    passed = not passes(evidence, case.alpha)
    return Control(name="labels dealt anew", kind="null", value=evidence.estimate, unit="AUROC", passed=passed)


PROTOCOL = Protocol(
    parameters=NeuronSelectivity,
    needs="treebank",
    requires=("neurons", "ablation"),
    family="every neuron in both directions",
    controls=(
        "untrained twins",
        "labels dealt anew",
        "as many neurons that write as much switched off, 20 times drawn",
        "a planted neuron",
    ),
    why_not=without_neurons,
    plan=_plan,
    run=run,
)
