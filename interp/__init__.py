"""interp: a laboratory for claims about transformers.

Load a trained transformer, look at what its heads, neurons and residual stream do on a text, measure that over a corpus, test a claim
about it until there is a verdict, take the figure away. The public functions are in `interp.api`; they are loaded when first used, so that
`import interp` is quick.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from interp.api import (
        Model,
        Report,
        ablate,
        across,
        atlas,
        attends,
        bridge,
        capture,
        check,
        compare,
        constructed,
        continued,
        direct_logit_attribution,
        disambiguation,
        effect,
        figure,
        hierarchy,
        judge,
        judge_many,
        knock_out,
        load,
        logit_lens,
        patch,
        patch_grid,
        plan,
        profile,
        read,
        read_texts,
        read_treebank,
        read_verdict,
        relations,
        replicated,
        report,
        save,
        side_by_side,
        training,
        untrained,
        word_lines,
    )

__version__ = "0.1.0"
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


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'interp' has no attribute {name!r}; it has: {', '.join(__all__)}")
    from interp import api

    return getattr(api, name)


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
