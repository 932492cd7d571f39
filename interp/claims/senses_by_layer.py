"""At which layer does an ambiguous word's sense become readable, and what do attention and FFN each add? As labelled results.

All of it is the protocol "disambiguation" (`protocols.disambiguation`, where the design, the controls and the sources stand): its
occurrences, its two ways of reading, its twins. Here its curves are handed on with intervals:

    accuracy        in each state of the stream: before the first layer, after each attention, after each FFN
    exchanged       the same with the senses exchanged among a word's occurrences: what reading gets of nothing
    untrained       mean over the untrained twins
    added           by each sublayer, after it less before it, on the same occurrences
    added_by_noise  by a step as long in a random direction
    attention_adds, ffn_adds, ffn_rather    all attentions together, all FFNs, and the one less the other

Intervals are 95 % over documents; single sublayers are not corrected for their number: the verdicts are. What none of it tells: that the
model uses the sense.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from interp.claims.claim import Claim, parse_claim
from interp.claims.hierarchy import N_ITEMS, N_UNTRAINED, with_intervals
from interp.claims.judge import verdict_of
from interp.claims.protocols import disambiguation
from interp.claims.protocols.disambiguation import Disambiguation, Looked
from interp.claims.protocols.parts.layer_curves import curve_of
from interp.claims.protocols.parts.sense_items import readers
from interp.claims.protocols.protocol import Case
from interp.claims.stages import Stages
from interp.claims.tested_on import Data, examples_for
from interp.claims.verdict import Verdict
from interp.core.errors import ClaimError
from interp.core.provenance import Provenance
from interp.core.results import DataArray, Dataset, labelled
from interp.models.model import Model

SUBLAYERS = ("attention", "ffn")
MARGIN, MARGIN_SOURCE = 0.02, "the catalogue's: a gain of two points"


@dataclass(frozen=True, kw_only=True)
class SensesByLayer:
    """Senses by state of the stream.

    Attributes:
        probes: the variables of this module's docstring, axes (reader, state), (reader, sublayer) and (reader,), with "_low" and "_high"
            beside those that have intervals; coordinates `stands` (a state in words) and `depth` (in layers, halves after an attention);
            attributes `majority` (accuracy of the most frequent sense), `bag` (of the sentence's other words), n.
        verdicts: "attention" and "ffn": that some such sublayer adds to it.
        elapsed_s: seconds for all of it.
    """

    probes: Dataset
    verdicts: dict[str, Verdict]
    elapsed_s: float

    def __str__(self) -> str:
        """What attention and FFN add, by either way of reading; then the verdicts."""
        lines = [f"{'reader':10} {'first':>7} {'last':>7} {'by attention':>26} {'by FFN':>26}"]
        for reader in self.probes.reader.values:
            one = self.probes.sel(reader=reader)
            ends = f"{float(one.accuracy[0]):7.3f} {float(one.accuracy[-1]):7.3f}"
            lines.append(f"{reader:10} {ends} {_told(one, 'attention_adds'):>26} {_told(one, 'ffn_adds'):>26}")
        without = f"Without a model: the most frequent sense {self.probes.majority:.3f}, a bag of the other words {self.probes.bag:.3f}."
        return "\n".join([*lines, without, "", *map(str, self.verdicts.values())])


def _told(one: Dataset, name: str) -> str:
    return f"{float(one[name]):+.3f} [{float(one[f'{name}_low']):+.3f}, {float(one[f'{name}_high']):+.3f}]"


def disambiguation_by_layer(
    model: Model,
    data: Data,
    *,
    n_items: int = N_ITEMS,
    n_untrained: int = N_UNTRAINED,
    seed: int = 0,
    stages: Stages | None = None,
    progress: Callable[[str], None] | None = None,
) -> SensesByLayer:
    """Where in the model the sense of ambiguous words can be read, and which sublayers bring it.

    Args:
        model: from `interp.load`; of one stack, attention and FFN in each layer, one after the other.
        data: "grammar" for generated sentences, a folder of CoarseWSD-20, or annotated sentences with links Sense:NAME.
        n_items: occurrences drawn.
        n_untrained: untrained twins, 5 or more.
        seed: of the draw, the split and the resamples.
        stages: keeps the finished parts, so that a run that was stopped goes on behind them.
        progress: called with what is being done.
    Raises: ClaimError for a model of another shape, or data that mark no sense.

    Example:
        >>> import interp
        >>> interp.disambiguation(interp.load(), "grammar").probes["added"].dims  # doctest: +SKIP
        ('reader', 'sublayer')
    """
    began = time.perf_counter()
    claims = {sublayer: _claim(sublayer, n_items, n_untrained) for sublayer in SUBLAYERS}
    first = claims["attention"]
    if outside := first.why_not(model):
        raise ClaimError(f"{model.name} {outside}")
    model.require("capture")
    examples, hashes = examples_for(first, model, data)
    cases = {
        sublayer: Case[Disambiguation](
            id=claim.id, test=_test(claim), alpha=claim.alpha, model=model, examples=examples, seed=seed,
            tell=progress or (lambda what: None), stages=stages or Stages(),
        )
        for sublayer, claim in claims.items()
    }  # fmt: skip
    case = cases["attention"]
    looked = disambiguation.look(case)
    case.tell("intervals over documents")
    made = Provenance(model=model.name, fingerprint=model.fingerprint, data=hashes["sentences"], seed=seed)
    probes = _probes(looked, case, made).assign_attrs(data=hashes["name"])
    findings = {sublayer: disambiguation.found_on(one, looked) for sublayer, one in cases.items()}
    elapsed_s = time.perf_counter() - began
    verdicts = {name: verdict_of(claims[name], model, one, hashes, seed=seed, elapsed_s=elapsed_s) for name, one in findings.items()}
    return SensesByLayer(probes=probes, verdicts=verdicts, elapsed_s=elapsed_s)


def why_not(model: Model) -> str:
    """Why senses are not followed through a model, as the rest of a sentence on it; "" where they are."""
    return _claim("attention", N_ITEMS, N_UNTRAINED).why_not(model)


def _test(claim: Claim) -> Disambiguation:
    assert isinstance(claim.test, Disambiguation)
    return claim.test


def _claim(sublayer: str, n_items: int, n_untrained: int) -> Claim:
    what = {"attention": "attention", "ffn": "FFN"}[sublayer]
    test = {"protocol": "disambiguation", "asks": "sublayer_adds", "sublayer": sublayer, "margin": MARGIN, "margin_source": MARGIN_SOURCE}
    fields = {
        "id": f"senses:{sublayer}", "statement": f"Some {what} makes the sense of ambiguous words more readable.", "kind": ["obs"],
        "quantifier": "some", "scope": "every transformer of one stack whose attention and FFN stand one behind the other",
        "test": {**test, "n_items": n_items, "n_untrained": n_untrained},
        "does_not_show": "that the model uses the sense, nor what this sublayer could add without those before it.",
    }  # fmt: skip
    return parse_claim(fields, f"disambiguation({sublayer})")


def _probes(looked: Looked, case: Case[Disambiguation], made: Provenance) -> Dataset:
    names = list(readers(case.test.strength))
    rows = [_of_reader(looked, case, name) for name in names]
    found = {name: _labelled(np.stack([row[name] for row in rows]), name, names, made) for name in rows[0]}
    n_layers = case.model.anatomy.n_layers
    stands = ["before L0", *(f"after {what} of L{layer}" for layer in range(n_layers) for what in ("the attention", "the FFN"))]
    coords: dict[str, Any] = {"stands": ("state", stands), "depth": ("state", np.arange(len(stands)) / 2)}
    documents = looked.senses.documents
    return (
        Dataset(found)
        .assign_coords(coords)
        .assign_attrs(
            majority=float(looked.majority.test.mean()),
            bag=float(looked.bag.test.mean()),
            n=len(documents),
            n_documents=len(set(documents.tolist())),
        )
    )


def _of_reader(looked: Looked, case: Case[Disambiguation], name: str) -> dict[str, np.ndarray]:
    read = looked.read(case.test, name, alpha=case.alpha, seed=case.seed)
    hits, documents = read.curve.test, read.documents
    steps = np.diff(hits, axis=0)
    by_attention, by_ffn = steps[0::2].sum(0), steps[1::2].sum(0)
    noise = np.zeros(len(steps)) if read.noise is None else (read.noise - hits[:-1]).mean(1)
    layers = float(len(steps) // 2)
    found = {
        **with_intervals("accuracy", hits, documents, 0.0, case.seed),
        "exchanged": curve_of(looked.nothing, f"shuffled {name}").test.mean(1),
        "untrained": np.mean([rival.test.mean(1) for rival in read.rivals], axis=0),
        **with_intervals("added", steps, documents, -1.0, case.seed),
        "added_by_noise": noise,
    }
    for what, values in {"attention_adds": by_attention, "ffn_adds": by_ffn, "ffn_rather": by_ffn - by_attention}.items():
        # scaled to at most 1 in size, as the interval of a constant difference wants it
        scaled = with_intervals(what, (values / (2 * layers))[None], documents, -1.0, case.seed)
        found |= {end: one[0] * 2 * layers for end, one in scaled.items()}
    return found


_ABOUT: dict[str, tuple[str, str]] = {
    "accuracy": ("accuracy of the sense", "state"),
    "exchanged": ("accuracy of exchanged senses", "state"),
    "untrained": ("accuracy of the sense in untrained twins", "state"),
    "added": ("accuracy that the sublayer adds", "sublayer"),
    "added_by_noise": ("accuracy that a random step as long adds", "sublayer"),
    "attention_adds": ("accuracy that all attentions add", ""),
    "ffn_adds": ("accuracy that all FFNs add", ""),
    "ffn_rather": ("accuracy that FFNs add, less what attentions add", ""),
}


def _labelled(values: np.ndarray, name: str, names: Sequence[str], made: Provenance) -> DataArray:
    stem, _, end = name.rpartition("_") if name.endswith(("_low", "_high")) else (name, "", "")
    long_name, axis = _ABOUT[stem]
    coords: dict[str, Any] = {"reader": list(names)}
    if axis == "sublayer":
        coords["sublayer"] = [f"L{layer} {what}" for layer in range(values.shape[1] // 2) for what in ("attention", "FFN")]
    told = f"{long_name}, {end} end of its interval" if end else long_name
    source = "Loureiro et al. (2021), the nearest mean; the states between sublayers are ours"
    dims = ["reader", *([axis] if axis else [])]
    return labelled(values, dims, name=name, long_name=told, units="share of words", source=source, provenance=made, coords=coords)
