"""The public functions, put together from the rooms: what the dashboard, the command line and a script all call.

A room is imported when something of it is first used: who looks at one text does not wait for the claims and their statistics.
"""

from collections.abc import Callable, Iterable, Sequence
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from interp.captures.corpus.shards import CHARACTERS

if TYPE_CHECKING:
    import torch

    from interp.captures.atlas.opened import open_atlas as atlas
    from interp.captures.compared import compare
    from interp.captures.corpus.run import Progress
    from interp.captures.corpus.work import OnBad
    from interp.captures.prompt import capture
    from interp.checks.report import Report
    from interp.claims.across import across
    from interp.claims.claim import Claim
    from interp.claims.hierarchy import hierarchy
    from interp.claims.judge import judge, plan
    from interp.claims.judge_many import Judged
    from interp.claims.kept import read_verdict
    from interp.claims.own import attends
    from interp.claims.relation_table import relations
    from interp.claims.replication import replicated
    from interp.claims.senses_by_layer import disambiguation_by_layer as disambiguation
    from interp.core.results import Dataset, read, save
    from interp.figures.make import figure, word_lines
    from interp.interventions.ablate import ablate
    from interp.interventions.effects import effect
    from interp.interventions.knock_out import knock_out
    from interp.interventions.patch import patch
    from interp.interventions.patch_grid import patch_grid
    from interp.interventions.side_by_side import side_by_side
    from interp.lab.dynamics import training
    from interp.lens.bridge import bridge
    from interp.lens.views import direct_logit_attribution, logit_lens
    from interp.models.constructed import constructed
    from interp.models.continuation import continued
    from interp.models.devices import DeviceMap
    from interp.models.model import Model
    from interp.models.untrained import untrained
    from interp.reports.write import report
    from interp.texts.plain import read_texts
    from interp.texts.treebank import read_treebank

__all__ = [
    "Model",
    "Report",
    "ablate",
    "across",
    "atlas",
    "attends",
    "bridge",
    "capture",
    "check",
    "compare",
    "constructed",
    "continued",
    "direct_logit_attribution",
    "disambiguation",
    "effect",
    "figure",
    "hierarchy",
    "judge",
    "judge_many",
    "knock_out",
    "load",
    "logit_lens",
    "patch",
    "patch_grid",
    "plan",
    "profile",
    "read",
    "read_texts",
    "read_treebank",
    "read_verdict",
    "relations",
    "replicated",
    "report",
    "save",
    "side_by_side",
    "training",
    "untrained",
    "word_lines",
]

ROOMS = {
    "Model": "models.model",
    "Report": "checks.report",
    "ablate": "interventions.ablate",
    "across": "claims.across",
    "atlas": "captures.atlas.opened:open_atlas",
    "attends": "claims.own",
    "bridge": "lens.bridge",
    "capture": "captures.prompt",
    "compare": "captures.compared",
    "constructed": "models.constructed",
    "continued": "models.continuation",
    "direct_logit_attribution": "lens.views",
    "disambiguation": "claims.senses_by_layer:disambiguation_by_layer",
    "effect": "interventions.effects",
    "figure": "figures.make",
    "hierarchy": "claims.hierarchy",
    "judge": "claims.judge",
    "knock_out": "interventions.knock_out",
    "logit_lens": "lens.views",
    "patch": "interventions.patch",
    "patch_grid": "interventions.patch_grid",
    "plan": "claims.judge",
    "read": "core.results",
    "read_texts": "texts.plain",
    "read_treebank": "texts.treebank",
    "read_verdict": "claims.kept",
    "relations": "claims.relation_table",
    "replicated": "claims.replication",
    "report": "reports.write",
    "save": "core.results",
    "side_by_side": "interventions.side_by_side",
    "training": "lab.dynamics",
    "untrained": "models.untrained",
    "word_lines": "figures.make",
}
"""Where each function lies that is handed on as it is: its module, and its name there where that is another."""


def __getattr__(name: str) -> Any:
    if name not in ROOMS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}; it has: {', '.join(__all__)}")
    module, _, called = ROOMS[name].partition(":")
    return getattr(import_module(f"interp.{module}"), called or name)


def __dir__() -> list[str]:
    return __all__


def load(
    source: Any = None,
    tokenizer: Any = None,
    *,
    dtype: "str | torch.dtype | None" = None,
    device: "str | torch.device | None" = None,
    device_map: "DeviceMap | None" = None,
    trust_remote_code: bool = False,
) -> "Model":
    """A model under the instrument, self-checked: what a check found wrong is refused by name from then on.

    A check that passed is remembered for these very weights, on this kind of device, with these versions (see `checks.cache`).

    Args:
        source: a bundled model ("tales", the default), "minilm" with the extra [minilm], a folder, a hub name, or a transformers
            model (then with its tokenizer).
        tokenizer: the fast tokenizer of a transformers model; nothing else needs one.
        dtype: float32, bfloat16 or float16. None: the type that a transformers model has; float32 for all else.
        device: "cpu", "cuda", "cuda:1", "mps". None: where a transformers model is; the CPU for all else. A transformers model of another
            type, or elsewhere, is not changed: a copy is.
        device_map: for a model larger than one device: "auto", or module -> device, as transformers and TransformerLens take it.
        trust_remote_code: run code that a hub repository brings along; never by default.
    Returns: the model; `interp.check(model)` gives the self-check's figures.
    Raises: ModelNotFound, ModelDamaged, ModelUnsupported; ModelError for a type, a device or an argument that does not fit.

    Example:
        >>> import interp
        >>> interp.load().anatomy.n_layers > 0
        True
    """
    from interp.checks.cache import with_cached_checks
    from interp.models.load import load_model

    model = load_model(source, tokenizer, dtype=dtype, device=device, device_map=device_map, trust_remote_code=trust_remote_code)
    return with_cached_checks(model)


def judge_many(
    claims: "Sequence[str | Claim]",
    models: Sequence[str],
    data: Sequence[str | Path] = (),
    *,
    out: str | Path,
    seed: int = 0,
    workers: int = 1,
    progress: Callable[[str], None] | None = None,
) -> "list[Judged]":
    """Judge claims on models, each verdict kept in a folder as soon as it is there; the same call goes on with a stopped one.

    Args:
        claims: ids of the catalogue, YAML files, or claims.
        models: names or folders, as `load` takes them.
        data: .conllu, .txt, a folder of CoarseWSD-20, or "grammar" for generated sentences; for each claim the first that serves.
        out: the folder: OUT/MODEL/CLAIM.json, and OUT/general for claims that are about no model at hand.
        seed: of splits, resamples and random tokens.
        workers: processes; each loads its models.
        progress: called with what was done.
    Raises: ClaimError for an unknown claim, data that are not there, a folder that is a file.

    Example:
        >>> import tempfile
        >>> found = judge_many(["S1-01", "S4-34"], ["tales"], out=tempfile.mkdtemp())
        >>> [(one.claim.id, one.model) for one in found]
        [('S1-01', 'tales'), ('S4-34', 'general')]
    """
    from interp.claims.claim import Claim
    from interp.claims.claim_files import find_claim
    from interp.claims.judge_many import judge_many as run

    chosen = [claim if isinstance(claim, Claim) else find_claim(claim) for claim in claims]
    read = [str(one) for one in data]
    return run(chosen, models, read, out=out, load=load, seed=seed, workers=workers, progress=progress)


def check(model: "Model") -> "Report":
    """Check the instrument on a model, afresh: a figure and a tolerance for each check.

    Example:
        >>> import interp
        >>> check(load()).passed
        True
    """
    from interp.checks.cache import fresh_check

    return fresh_check(model)


def profile(
    model: "Model",
    corpus: str | Path | Iterable[Any],
    *,
    statistics: Sequence[str] | None = None,
    out: str | Path | None = None,
    field: str | None = None,
    window: bool = False,
    on_bad: "OnBad" = "stop",
    workers: int = 1,
    threads: int | None = None,
    ray: str | None = None,
    shard: int = CHARACTERS,
    progress: "Callable[[Progress], object]" = lambda progress: None,
) -> "Dataset":
    """Head and neuron statistics over a corpus, streaming: no pattern is kept, memory does not grow with the corpus.

    With `out`, each part of the corpus that is finished is kept there. The same call again goes on from the last one, however the first
    ended, and gives the same bytes as a run that was never stopped; so does any number of workers, of as many threads each.

    Args:
        model: from `load`.
        corpus: a file (.txt, .jsonl, .conllu, .tsv for pairs; plain or .gz: see `texts.corpora`), a `datasets` data set, texts, sentences;
            for an encoder-decoder pairs (source, target), since what its decoder does depends on what it writes.
        statistics: names of groups ("heads", "neurons"...: `captures.corpus.registry.GROUPS`) and of single head statistics; None: all that
            the model allows, and the attribute `left_out` says the rest.
        out: a folder for the run: its finished shards, and the result, profile.nc.
        field: the name of the text in a row or a JSON object, "text"; for pairs "source,target".
        window: cut texts that are longer than the context into windows; without it such a text is a bad record.
        on_bad: at a record that cannot be read "stop", or "skip" it; the attributes `n_bad` and `bad` say how many, and where.
        workers: processes on this machine.
        threads: of the processor for each worker; None: those that torch uses, shared out, or what the run in `out` was begun with.
        ray: do the shards by Ray: "local", "auto", or a cluster's address; `workers` is then the number of actors, 1: as many as fit.
        shard: characters in a part.
        progress: called with how far the run is.
    Returns: a dataset: each head statistic (layer, head), over pairs (stack, layer, head); each neuron moment (layer, neuron).
    Raises: DataError for a bad record, another run in `out`, a full disk, a text where a pair is expected or a pair where a text is;
        ModelUnsupported for statistics that an encoder-decoder does not give; CheckFailed when the self-check disabled what was asked
        for, or it is not there.

    Example:
        >>> import interp
        >>> profile(load(), ["The old man looked at the sea.", "She said nothing."])["entropy"].dims
        ('layer', 'head')
    """
    import torch

    from interp.captures.cluster.on_ray import on_ray
    from interp.captures.corpus.registry import chosen
    from interp.captures.corpus.run import run
    from interp.captures.corpus.work import Plan
    from interp.captures.corpus.workers import in_processes
    from interp.core.errors import DataError
    from interp.texts.corpora import open_corpus

    if workers < 1 or shard < 1 or (threads is not None and threads < 1):
        raise DataError(f"workers={workers}, threads={threads}, shard={shard} came; expected 1 or more of each")
    names, left_out = chosen(model, statistics)
    records = open_corpus(corpus, paired=model.anatomy.encoder_decoder, field=field)
    shared = threads or max(1, torch.get_num_threads() // workers)
    plan = Plan(statistics=names, left_out=left_out, window=window, on_bad=on_bad, characters=shard, threads=shared)
    executor = on_ray(ray, actors=workers if workers > 1 else None) if ray else in_processes(workers) if workers > 1 else None
    return run(model, records, plan, out=out, executor=executor, tell=progress, any_threads=threads is None)
