"""The public functions, put together from the rooms: what the dashboard, the command line and a script all call."""

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import torch

from interp.captures.prompt import capture
from interp.captures.reducers import HeadMeans, NeuronMoments, Reducer
from interp.captures.stream import WHAT, cannot_stream, stream
from interp.checks.cache import fresh_check, with_cached_checks
from interp.checks.report import Report
from interp.claims.judge import judge
from interp.claims.own import attends
from interp.core.errors import TextTooLong
from interp.core.results import Dataset, read, save
from interp.figures.make import figure
from interp.interventions.ablate import ablate
from interp.interventions.effects import effect
from interp.interventions.knock_out import knock_out
from interp.lens.bridge import bridge
from interp.lens.views import direct_logit_attribution, logit_lens
from interp.measures.head_statistics import HEAD_STATISTICS
from interp.models.constructed import constructed
from interp.models.devices import DeviceMap
from interp.models.load import load_model
from interp.models.model import Model
from interp.models.untrained import untrained
from interp.texts.example import Example
from interp.texts.plain import read_texts
from interp.texts.tokens import tokenize, windows
from interp.texts.treebank import read_treebank

__all__ = [
    "Model",
    "Report",
    "ablate",
    "attends",
    "bridge",
    "capture",
    "check",
    "constructed",
    "direct_logit_attribution",
    "effect",
    "figure",
    "judge",
    "knock_out",
    "load",
    "logit_lens",
    "profile",
    "read",
    "read_texts",
    "read_treebank",
    "save",
    "untrained",
]


def load(
    source: Any = None,
    tokenizer: Any = None,
    *,
    dtype: str | torch.dtype | None = None,
    device: str | torch.device | None = None,
    device_map: DeviceMap | None = None,
    trust_remote_code: bool = False,
) -> Model:
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
    model = load_model(source, tokenizer, dtype=dtype, device=device, device_map=device_map, trust_remote_code=trust_remote_code)
    return with_cached_checks(model)


def check(model: Model) -> Report:
    """Check the instrument on a model, afresh: a figure and a tolerance for each check.

    Example:
        >>> import interp
        >>> check(load()).passed
        True
    """
    return fresh_check(model)


def profile(
    model: Model,
    corpus: str | Path | Iterable[str],
    *,
    statistics: tuple[str, ...] | None = None,
    neurons: bool | None = None,
    window: bool = False,
    progress: Callable[[int], None] = lambda n_tokens: None,
) -> Dataset:
    """Head and neuron statistics over a corpus, streaming: no pattern is kept, memory does not grow with the corpus.

    Args:
        model: from `load`.
        corpus: a .txt file (one text a line), a .conllu file, or texts.
        statistics: names of `measures.head_statistics.HEAD_STATISTICS`; None: all of them, where the model has attention.
        neurons: neuron moments as well; None: where each layer has a dense FFN. What the model lacks is said in the attribute `left_out`.
        window: cut texts that are longer than the context into windows; without it such a text is refused.
        progress: called with the tokens of each batch.
    Returns: a dataset: each statistic (layer, head), each neuron moment (layer, neuron); save it with `save`.
    Raises: TextTooLong, DataError; ModelUnsupported for an encoder-decoder; CheckFailed when the self-check disabled patterns or neurons,
        or when what was asked for is not there, such as neuron moments in a mixture of experts.

    Example:
        >>> import interp
        >>> profile(load(), ["The old man looked at the sea.", "She said nothing."])["entropy"].dims
        ('layer', 'head')
    """
    texts = read_texts(corpus) if isinstance(corpus, str | Path) else corpus
    missing = cannot_stream(model.anatomy)
    asked = {"patterns": statistics, "neurons": neurons}
    left_out = "; ".join(f"{WHAT[feature]}: {why}" for feature, why in missing.items() if asked[feature] is None)
    names = statistics if statistics is not None else () if "patterns" in missing else tuple(HEAD_STATISTICS)
    moments = "neurons" not in missing if neurons is None else neurons
    reducers: list[Reducer] = [*([HeadMeans(names)] if names else []), *([NeuronMoments()] if moments else [])]
    found = stream(model, _examples(model, texts, window), reducers, progress=progress)
    return found.assign_attrs(left_out=left_out) if left_out else found


def _examples(model: Model, texts: Iterable[str], window: bool) -> Iterator[Example]:
    for number, text in enumerate(texts, 1):
        if window:
            yield from windows(text, model.tokenizer, model.anatomy.n_ctx)
            continue
        try:
            yield tokenize(text, model.tokenizer, n_ctx=model.anatomy.n_ctx)
        except TextTooLong as error:
            raise TextTooLong(f"text {number} of the corpus: {error}") from error
