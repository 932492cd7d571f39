"""Anatomy: which sublayers the model at hand has, where they stand, and what they add to the residual stream.

`dissect.anatomy_of` reads it off a model. The load-time self-check proves it on the weights at hand.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from interp.core.errors import SiteError
from interp.core.sites import Site, Stack


@dataclass(frozen=True, kw_only=True)
class Sublayer:
    """One attention or FFN of one layer, with the names of its modules; "" for what it does not have.

    Attributes:
        kind: "attn", "cross" (attention to the encoder) or "mlp".
        stack: of its points; cross-attention is the stack "X".
        module: attention: the one that calls the attention function; FFN: its own, "" for a block's loose projections.
        reads: projections of the stream.
        memory: cross-attention: projections of the encoder's output.
        out: the projection that writes into the stream; "" in a mixture of experts.
        gate: FFN: the gate's projection; the same as `reads` where one matrix holds gate and up, the gate first.
        experts: a mixture's experts.
        n_neurons: of the FFN, or of one of its experts.
    """

    kind: Literal["attn", "cross", "mlp"]
    stack: Stack
    layer: int
    module: str
    reads: tuple[str, ...] = ()
    memory: tuple[str, ...] = ()
    out: str = ""
    gate: str = ""
    experts: str = ""
    n_neurons: int = 0
    norm_in: str = ""
    norm_out: str = ""
    norm_after: str = ""

    @property
    def writes(self) -> str:
        """The module whose output is what the sublayer adds to the stream."""
        return self.norm_out or self.out or self.module


@dataclass(frozen=True, kw_only=True)
class StackAnatomy:
    """One stack of blocks: a decoder, or an encoder.

    Attributes:
        blocks: the modules, one for each layer.
        layers: the sublayers of each layer, in the order in which they write.
        d_head: width of what a head hands to W_O.
        d_mlp: neurons of an FFN (of one expert in a mixture); the widest where layers differ.
        ln_final: the norm after the last block, "" without one.
    """

    stack: Stack
    causal: bool
    parallel: bool
    blocks: tuple[str, ...]
    layers: tuple[tuple[Sublayer, ...], ...]
    n_heads: int
    n_key_value_heads: int
    d_head: int
    d_mlp: int
    ln_final: str

    @property
    def n_layers(self) -> int:
        return len(self.layers)


@dataclass(frozen=True, kw_only=True)
class Anatomy:
    """The parts of a model.

    Attributes:
        family: transformers' model type, "gpt2".
        stacks: one, named "", or an encoder "E" and a decoder "D".
        gated: the FFN multiplies its neurons by a gate: three matrices instead of two.
        n_experts: of a mixture; 0 otherwise.
        lm_head: the model predicts tokens with trained weights.
        unembed: module of the matrix that writes the logits; "" where the head is more than a matrix and a norm.
        readout_scale: factor on the stream between the two.
        softcapped: the logits are bent by a soft cap.
    """

    family: str
    stacks: Mapping[Stack, StackAnatomy]
    gated: bool
    n_experts: int
    lm_head: bool
    unembed: str
    readout_scale: float
    softcapped: bool
    activation: str
    n_ctx: int
    d_model: int
    d_vocab: int

    def __str__(self) -> str:
        """Layers, heads, what its FFNs are, norms, and what sees what; stack by stack."""
        norms = {"none": "no norms", "sandwich": "norms before and after"}.get(self.norms, f"{self.norms}-norm")
        if self.encoder_decoder:
            names = {"E": "an encoder of", "D": "a decoder with cross-attention of"}
            return "; ".join([*(f"{names[name]} {self._told(stack)}" for name, stack in self.stacks.items()), norms])
        sees = f"; each token sees {'those before it' if self.causal else 'all others'}" if self.attentions() else ""
        return f"{self._told(self.main)}; {norms}{', parallel blocks' if self.parallel else ''}{sees}"

    def _told(self, stack: StackAnatomy) -> str:
        heads = f" × {stack.n_heads} heads" if stack.n_heads else " without attention"
        kinds = Counter(self._ffn_told(sub) for layer in stack.layers for sub in layer if sub.kind == "mlp")
        each = [f"{kind} in {'each layer' if len(kinds) == 1 else f'{n} of them'}" for kind, n in kinds.items()]
        return f"{stack.n_layers} layers{heads}, {', '.join(each) or 'no FFN'}"

    def _ffn_told(self, ffn: Sublayer) -> str:
        neurons = f"{ffn.n_neurons} {'gated ' if self.gated else ''}neurons"
        return f"{self.n_experts} experts of {neurons}" if ffn.experts else neurons

    @property
    def main(self) -> StackAnatomy:
        """The stack that writes the answer: the only one, or the decoder."""
        return self.stacks["D"] if "D" in self.stacks else self.stacks[""]

    @property
    def encoder_decoder(self) -> bool:
        """True when the model reads one text and writes another."""
        return "D" in self.stacks

    @property
    def causal(self) -> bool:
        """True when a position of the main stack sees only those before it."""
        return self.main.causal

    @property
    def n_layers(self) -> int:
        """Layers of the main stack."""
        return self.main.n_layers

    @property
    def n_heads(self) -> int:
        """Heads in each layer of the main stack."""
        return self.main.n_heads

    @property
    def n_key_value_heads(self) -> int:
        """Heads of keys and values in each layer of the main stack."""
        return self.main.n_key_value_heads

    @property
    def d_head(self) -> int:
        """Width of what a head of the main stack hands to W_O."""
        return self.main.d_head

    @property
    def d_mlp(self) -> int:
        """Neurons in an FFN of the main stack (in a mixture: in an expert)."""
        return self.main.d_mlp

    @property
    def parallel(self) -> bool:
        """True when attention and FFN read the same stream."""
        return self.main.parallel

    @property
    def norms(self) -> Literal["pre", "post", "sandwich", "none"]:
        """Where the main stack's norms stand: before its sublayers, after them, both, or nowhere."""
        first = self.main.layers[0][0]
        if first.norm_after:
            return "post"
        return "sandwich" if first.norm_out else "pre" if first.norm_in else "none"

    @property
    def linear_readout(self) -> bool:
        """True when logits are a norm and a matrix away from the stream, so that contributions add up."""
        return self.lm_head and bool(self.unembed) and not self.softcapped

    def stack(self, stack: Stack) -> StackAnatomy:
        """A stack by its letter; that of cross-attention is the decoder.

        Raises: SiteError for a stack that this model does not have.
        """
        found = self.stacks.get("D" if stack == "X" else stack)
        if found is None:
            have = ", ".join(repr(name) for name in [*self.stacks, *(["X"] if self.encoder_decoder else [])])
            raise SiteError(f"stack {stack!r}: this model has {have} (E: encoder, D: decoder, X: cross-attention, '': the only one)")
        return found

    def head(self, written: object) -> Site:
        """A head by its written name: "L2H3"; in an encoder-decoder "EL2H3", "DL2H3" or "XL2H3" (cross-attention).

        Raises: SiteError for what is not a head, or does not exist here.
        """
        site = self.part(written)
        if site.kind != "head":
            raise SiteError(f"{written} is a {site.kind}; expected a head such as {'DL0H0' if self.encoder_decoder else 'L0H0'}")
        return site

    def part(self, written: object) -> Site:
        """A head, neuron, expert or sublayer by its written name, "L2H3", "L2N100", "L2E1", "L2 attention", "L2 FFN", or as a `Site`.

        Raises: SiteError for what is none of these, or does not exist here.
        """
        site = written if isinstance(written, Site) else Site.parse(written)
        stack = self.stack(site.stack)
        if site.kind == "layer":
            expected = f"expected a head, neuron, expert or sublayer, such as {written}H0 or {written} FFN"
            raise SiteError(f"{written} is a whole layer; {expected}")
        if not 0 <= site.layer < stack.n_layers:
            raise SiteError(f"{written}: this model has layers 0-{stack.n_layers - 1}")
        if site.index is None:
            return self._sublayer(site)
        ffn = None if site.stack == "X" else self.ffn(site.layer, site.stack)
        mixed = ffn is not None and bool(ffn.experts)
        neurons = 0 if ffn is None or mixed else ffn.n_neurons
        size = {"head": stack.n_heads, "neuron": neurons, "expert": self.n_experts if mixed else 0}[site.kind]
        if not 0 <= site.index < size:
            raise SiteError(
                f"{written}: this model has " + (f"{site.kind}s 0-{size - 1} in each layer" if size else f"no {site.kind}s in that layer")
            )
        return site

    def _sublayer(self, site: Site) -> Site:
        attention, ffn = self.attention(site.layer, site.stack), None if site.stack == "X" else self.ffn(site.layer, site.stack)
        if (attention if site.kind == "attention" else ffn) is None:
            raise SiteError(f"{site}: this model has no {'FFN' if site.kind == 'ffn' else 'attention'} there")
        return site

    def parts(self, written: object) -> list[Site]:
        """Several heads, neurons, experts and sublayers, each once; one by itself is as good. Raises: SiteError as `part`."""
        one = isinstance(written, str | Site) or not isinstance(written, Iterable)
        return list(dict.fromkeys(self.part(name) for name in ([written] if one else written)))  # type: ignore[attr-defined]

    def heads(self, written: object) -> list[Site]:
        """Several heads, each once; one by itself is as good. Raises: as `parts`, and SiteError for what is not a head."""
        return [self.head(site) for site in self.parts(written)]

    def sublayers(self) -> Iterator[Sublayer]:
        """All sublayers, stack by stack, layer by layer, in the order in which they write."""
        return (sublayer for stack in self.stacks.values() for layer in stack.layers for sublayer in layer)

    def attentions(self) -> list[Sublayer]:
        """All attention sublayers."""
        return [sublayer for sublayer in self.sublayers() if sublayer.kind != "mlp"]

    def ffn(self, layer: int, stack: Stack = "") -> Sublayer | None:
        """The FFN of a layer; None in a model without."""
        return next((sublayer for sublayer in self.stack(stack).layers[layer] if sublayer.kind == "mlp"), None)

    def attention(self, layer: int, stack: Stack = "") -> Sublayer | None:
        """The attention of a layer, for "X" its cross-attention; None in a model without."""
        kind = "cross" if stack == "X" else "attn"
        return next((sublayer for sublayer in self.stack(stack).layers[layer] if sublayer.kind == kind), None)
