"""The words in which a family is written down: where its sublayers stand, what they read and write, which norms are around them.

A family is data. Paths of sublayers are relative to the block, paths of projections relative to their sublayer. What is written here is a
claim about somebody else's code: the self-check proves it on the weights at hand, a test on a tiny random model of each family.

The stream's rule, for each sublayer of a block in turn
    stream <- norm_after(stream + norm_out(sublayer(norm_in(stream))))
where a norm that the family does not have is the identity: pre-norm has `norm_in`, post-norm `norm_after`, sandwich norms (Gemma) `norm_in`
and `norm_out`. In a parallel block all sublayers read what the block read.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeVar

from transformers import PretrainedConfig

from interp.core.sites import Stack


@dataclass(frozen=True, kw_only=True)
class Attention:
    """An attention sublayer.

    Attributes:
        at: its module.
        call: the module inside it that calls the attention function; "" when it does so itself.
        reads: projections of the stream (cross-attention: the query's only).
        memory: cross-attention: projections of the encoder's output.
        out: W_O.
    """

    at: str
    reads: tuple[str, ...]
    out: str
    memory: tuple[str, ...] = ()
    call: str = ""
    norm_in: str = ""
    norm_out: str = ""
    norm_after: str = ""


@dataclass(frozen=True, kw_only=True)
class FFN:
    """A feed-forward sublayer; in a layer where `experts` exists, a mixture of experts.

    Attributes:
        at: its module; "" where its projections stand in the block itself.
        up: the projection into the neurons; gated: the one that is multiplied by the gate.
        gate: the gate's projection; the same as `up` where one matrix holds both, the gate first.
        out: the projection back into the stream.
        experts: what a mixture of experts has in the place of these, e.g. "experts".
    """

    at: str
    up: str
    out: str
    gate: str = ""
    experts: str = ""
    norm_in: str = ""
    norm_out: str = ""
    norm_after: str = ""


Sub = TypeVar("Sub", Attention, FFN)


def normed(sublayer: Sub, norm: str, *, before: bool) -> Sub:
    """The sublayer with one norm, before it or after."""
    return replace(sublayer, norm_in=norm) if before else replace(sublayer, norm_after=norm)


@dataclass(frozen=True, kw_only=True)
class Blocks:
    """One stack of blocks.

    Attributes:
        path: of a block; "{layer}" stands for its number.
        n_layers, n_heads: names of the config's attributes.
        causal: a position sees only those before it.
    """

    path: str
    sublayers: tuple[Attention | FFN, ...]
    causal: bool
    stack: Stack = ""
    ln_final: str = ""
    n_layers: str = "num_hidden_layers"
    n_heads: str = "num_attention_heads"


@dataclass(frozen=True, kw_only=True)
class Family:
    """One family of transformers.

    Attributes:
        name: as people say it.
        stacks: a family whose form depends on its config gives a function of it.
        unembed: the matrix that writes the logits; "" where the head is more than a matrix.
        verified: option of the config -> the only values that were verified; others are refused by name.
        parallel: whether attention and FFN read the same stream.
        positions: tokens that the context holds.
        readout_scale: factor on the stream before it is read out.
    """

    name: str
    stacks: Sequence[Blocks] | Callable[[PretrainedConfig], Sequence[Blocks]]
    unembed: str = "lm_head"
    verified: Mapping[str, tuple] = field(default_factory=dict)
    parallel: Callable[[PretrainedConfig], bool] = lambda config: False
    positions: Callable[[PretrainedConfig], int] = lambda config: config.max_position_embeddings
    readout_scale: Callable[[PretrainedConfig], float] = lambda config: 1.0

    def stacks_of(self, config: PretrainedConfig) -> Sequence[Blocks]:
        """The stacks of a model with this config."""
        return self.stacks(config) if callable(self.stacks) else self.stacks
