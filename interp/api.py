"""The public functions, put together from the rooms: what the dashboard, the command line and a script all call."""

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import torch

from interp.captures.prompt import capture
from interp.captures.reducers import HeadMeans, NeuronMoments, Reducer
from interp.captures.stream import stream
from interp.checks.report import Report
from interp.checks.selfcheck import check, with_checks
from interp.claims.judge import judge
from interp.claims.own import attends
from interp.core.errors import TextTooLong
from interp.core.results import Dataset, read, save
from interp.figures.make import figure
from interp.interventions.ablate import ablate
from interp.interventions.effects import effect
from interp.lens.bridge import bridge
from interp.lens.views import direct_logit_attribution, logit_lens
from interp.measures.head_statistics import HEAD_STATISTICS
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
    "direct_logit_attribution",
    "effect",
    "figure",
    "judge",
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
    dtype: torch.dtype = torch.float32,
    device: str | torch.device = "cpu",
    trust_remote_code: bool = False,
) -> Model:
    """A model under the instrument, self-checked: what a check found wrong is refused by name from then on.

    Args:
        source: a bundled model ("tales", the default), "minilm" with the extra [minilm], a folder, a hub name, or a transformers
            model (then with its tokenizer).
        tokenizer: the fast tokenizer of a transformers model; nothing else needs one.
        dtype: float32, bfloat16 or float16.
        device: "cpu", "cuda", "mps"...
        trust_remote_code: run code that a hub repository brings along; never by default.
    Returns: the model; `interp.check(model)` gives the self-check's figures.
    Raises: ModelNotFound, ModelDamaged, ModelUnsupported.

    Example:
        >>> import interp
        >>> interp.load().anatomy.n_layers > 0
        True
    """
    return with_checks(load_model(source, tokenizer, dtype=dtype, device=device, trust_remote_code=trust_remote_code))


def profile(
    model: Model,
    corpus: str | Path | Iterable[str],
    *,
    statistics: tuple[str, ...] = tuple(HEAD_STATISTICS),
    neurons: bool = True,
    window: bool = False,
    progress: Callable[[int], None] = lambda n_tokens: None,
) -> Dataset:
    """Head and neuron statistics over a corpus, streaming: no pattern is kept, memory does not grow with the corpus.

    Args:
        model: from `load`.
        corpus: a .txt file (one text a line), a .conllu file, or texts.
        statistics: names of `measures.head_statistics.HEAD_STATISTICS`.
        neurons: neuron moments as well.
        window: cut texts that are longer than the context into windows; without it such a text is refused.
        progress: called with the tokens of each batch.
    Returns: a dataset: each statistic (layer, head), each neuron moment (layer, neuron); save it with `save`.
    Raises: TextTooLong, DataError; CheckFailed when the self-check disabled patterns or neurons.

    Example:
        >>> import interp
        >>> profile(load(), ["The old man looked at the sea.", "She said nothing."])["entropy"].dims
        ('layer', 'head')
    """
    texts = read_texts(corpus) if isinstance(corpus, str | Path) else corpus
    reducers: list[Reducer] = [*([HeadMeans(statistics)] if statistics else []), *([NeuronMoments()] if neurons else [])]
    return stream(model, _examples(model, texts, window), reducers, progress=progress)


def _examples(model: Model, texts: Iterable[str], window: bool) -> Iterator[Example]:
    for number, text in enumerate(texts, 1):
        if window:
            yield from windows(text, model.tokenizer, model.anatomy.n_ctx)
            continue
        try:
            yield tokenize(text, model.tokenizer, n_ctx=model.anatomy.n_ctx)
        except TextTooLong as error:
            raise TextTooLong(f"text {number} of the corpus: {error}") from error
