"""What one prompt's run left behind, as labelled results.

Tensors are kept under TransformerLens's hook names with a batch axis of 1 (`arrays`); the methods label them: tokens as coordinates,
units, provenance.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, get_args

import torch

from interp.captures.components import contributions_toward
from interp.core.errors import SiteError, TextError
from interp.core.provenance import Provenance, text_hash
from interp.core.results import DataArray, labelled
from interp.core.sites import Stack
from interp.measures.attention import norm_weighted, without_first
from interp.measures.head_statistics import HEAD_STATISTICS, head_statistic
from interp.models import experts
from interp.models.model import Model
from interp.models.points import Kind, Point
from interp.models.watch import value_norms_name
from interp.texts.example import Example
from interp.texts.tokens import spelled

Form = Literal["raw", "moved", "without_first"]
_FORMS: Mapping[Form, str] = {
    "raw": "attention",
    "moved": "norm-weighted attention",
    "without_first": "attention without the first token",
}


_RESTS_ON: Mapping[str, str] = {  # all other kinds rest on "stream"
    "pattern": "patterns",
    "memory": "patterns",
    "post": "neurons",
    "up": "neurons",
    "gate": "neurons",
    "router_probs": "experts",
    "expert_weights": "experts",
}
_STREAMS: tuple[Kind, ...] = ("resid_pre", "resid_mid", "resid_post", "attn_out", "mlp_out")
_OF_CROSS: tuple[Kind, ...] = ("attn_in", "memory", "pattern", "z", "attn_out", "resid_mid")


@dataclass(frozen=True, kw_only=True, eq=False)
class Activations:
    """One run on one text, or on two: what an encoder-decoder's encoder reads, and what its decoder does.

    Attributes:
        example: the text; in an encoder-decoder the encoder's.
        target: the decoder's row in an encoder-decoder, its start token first; None otherwise.
        arrays: hook name -> tensor, batch axis of 1 first.
        logits: (pos, d_vocab), None for a model without a trained head.
        reconstruction_error: relative error of the stream rebuilt from what was written into it; None when too little was kept.
        windowed: True when only the beginning of a longer text was taken.

    Methods that take a `stack` mean, by default, the only one, or in an encoder-decoder the decoder; "E" is its encoder, "X" its
    cross-attention.
    """

    model: Model
    example: Example
    target: Example | None
    arrays: Mapping[str, torch.Tensor]
    logits: torch.Tensor | None
    reconstruction_error: float | None
    windowed: bool

    @property
    def provenance(self) -> Provenance:
        """Model, weights, text and versions behind every result of this run."""
        rows = [self.example] if self.target is None else [self.example, self.target]
        texts = [part for row in rows for part in (row.text, *map(str, row.ids))]
        return Provenance(model=self.model.name, fingerprint=self.model.fingerprint, data=text_hash(texts))

    def row(self, stack: Stack | None = None) -> Example:
        """The tokens whose positions a stack's stream has; for "X" those that attend."""
        return self.example if self.target is None or stack == "E" else self.target

    def tensor(self, kind: Kind, layer: int, stack: Stack | None = None) -> torch.Tensor:
        """The tensor seen at a point, without the batch axis.

        Raises: SiteError when the layer, the stack or the kind does not exist or was not kept; CheckFailed when what it rests on is
            disabled.
        """
        if kind not in get_args(Kind):
            raise SiteError(f"{kind!r} is no kind of point; expected one of: {', '.join(get_args(Kind))}")
        self.model.require(_RESTS_ON.get(kind, "stream"))
        stack = self._stack(stack)
        n_layers = self.model.anatomy.stack(stack).n_layers
        if not 0 <= layer < n_layers:
            raise SiteError(f"layer {layer}: this model has layers 0-{n_layers - 1}")
        if kind == "ln_final" and layer != n_layers - 1:
            raise SiteError(f"layer {layer}: 'ln_final' stands after the last block only; expected layer {n_layers - 1}")
        if stack == "X" and kind not in _OF_CROSS:
            raise SiteError(f"{kind!r} is the decoder's, not its cross-attention's; expected stack='D', or one of: {', '.join(_OF_CROSS)}")
        kept = self.arrays.get(Point(kind=kind, layer=layer, stack=stack).name)
        if kept is None:
            raise SiteError(
                f"{kind!r} of layer {layer} was not kept, or this family has none; ask for it: interp.capture(..., keep=[{kind!r}, ...])"
            )
        return kept[0]

    def _stack(self, stack: Stack | None) -> Stack:
        return self.model.anatomy.main.stack if stack is None else stack

    def value_norms(self, layer: int, stack: Stack | None = None) -> torch.Tensor:
        """||v_j W_O|| of each key. Axes: (head, key_pos)."""
        self.tensor("pattern", layer, stack)
        return self.arrays[value_norms_name(Point(kind="pattern", layer=layer, stack=self._stack(stack)))][0]

    def pattern(self, head: str, form: Form = "raw") -> DataArray:
        """A head's attention. Axes (query_pos, key_pos), tokens as coordinates; probability.

        Args:
            head: "L2H3"; in an encoder-decoder "EL2H3", "DL2H3", or "XL2H3" for cross-attention.
            form: "raw"; "moved": each weight times the norm of what it moves, rows made to sum to 1; "without_first".
        Raises: SiteError for a head that does not exist; CheckFailed when patterns are disabled for this model.
        """
        self.model.require("patterns")
        site = self.model.anatomy.head(head)
        pattern = self.tensor("pattern", site.layer, site.stack)[site.index]
        shown = {
            "raw": lambda: pattern,
            "moved": lambda: norm_weighted(pattern, self.value_norms(site.layer, site.stack)[site.index]),
            "without_first": lambda: without_first(pattern),
        }[form]()
        queries = self.row(site.stack)
        keys = self.example if site.stack == "X" else queries
        coords = {"query_token": ("query_pos", list(queries.tokens)), "key_token": ("key_pos", list(keys.tokens)), "site": head}
        return self._labelled(
            shown,
            ["query_pos", "key_pos"],
            name="pattern",
            long_name=_FORMS[form],
            units="share" if form == "moved" else "probability",
            coords=coords,
            row=queries,
        )

    def head_map(self, statistic: str, stack: Stack | None = None) -> DataArray:
        """A statistic of every head on this text. Axes (layer, head).

        Args:
            statistic: a name of `measures.head_statistics.HEAD_STATISTICS`.
            stack: whose heads; of cross-attention ("X") only the entropy, as its queries and keys are places in two texts.
        Raises: SiteError for an unknown statistic, or one that has no meaning across two texts.
        """
        self.model.require("patterns")
        stack = self._stack(stack)
        known = HEAD_STATISTICS.get(statistic)
        if known is None:
            raise SiteError(f"statistic {statistic!r} is not known; expected one of: {', '.join(HEAD_STATISTICS)}")
        if stack == "X" and statistic != "entropy":
            raise SiteError(f"{statistic!r} compares places in one text, and cross-attention has two; expected 'entropy'")
        ids = torch.tensor([self.row(stack).ids])
        rows = [
            head_statistic(statistic, self.tensor("pattern", layer, stack).cpu()[None], ids, self.value_norms(layer, stack).cpu()[None])
            for layer in range(self.model.anatomy.stack(stack).n_layers)
        ]
        return self._labelled(
            torch.stack(rows),
            ["layer", "head"],
            name=statistic,
            long_name=known.long_name,
            units=known.units,
            source=known.source,
            stack=stack,
            row=self.row(stack),
        )

    def neurons(self, layer: int, stack: Stack | None = None, *, part: Literal["post", "up", "gate"] = "post") -> DataArray:
        """What each FFN neuron of a layer was at each token. Axes (pos, neuron).

        Args:
            layer: from 0.
            stack: "E" or "D" in an encoder-decoder.
            part: "post": the neuron, act(up), gated act(gate) * up; "up" and "gate": what the input projections wrote.
        Raises: SiteError in a layer of experts, whose neurons `expert_neurons` gives.
        """
        self.model.require("neurons")
        ffn = self.model.anatomy.ffn(layer, self._stack(stack)) if layer < self.model.anatomy.stack(self._stack(stack)).n_layers else None
        if ffn is not None and ffn.experts:
            raise SiteError(f"layer {layer} is a mixture of experts: ask for one, expert_neurons('L{layer}E0')")
        names = {"post": "neurons", "up": "up projection", "gate": "gate projection"}
        about = {"name": "neurons", "long_name": f"{names[part]} of layer {layer}", "units": "activation"}
        return self._by_pos(self.tensor(part, layer, stack), "neuron", self.row(stack), **about)

    def experts(self, layer: int, stack: Stack | None = None, *, weights: bool = True) -> DataArray:
        """How tokens were routed. Axes (pos, expert).

        Args:
            layer: from 0.
            stack: "E" or "D" in an encoder-decoder.
            weights: True: what multiplies each expert's output, 0 where it was not chosen; False: the router's probabilities.
        Raises: SiteError for a layer without experts.
        """
        kind: Kind = "expert_weights" if weights else "router_probs"
        about = {"name": kind, "long_name": f"{'weight' if weights else 'probability'} of each expert in layer {layer}", "units": "share"}
        return self._by_pos(self.tensor(kind, layer, stack), "expert", self.row(stack), **about)

    @torch.no_grad()
    def expert_neurons(self, expert: str) -> DataArray:
        """An expert's neurons at each token, nan where the token was not sent to it. Axes (pos, neuron).

        Args: expert: "L2E1"; in an encoder-decoder "EL2E1" or "DL2E1".
        Raises: SiteError for an expert that does not exist.
        """
        site = self.model.anatomy.part(expert)
        if site.kind != "expert" or site.index is None:
            raise SiteError(f"{expert} is a {site.kind}; expected an expert such as L{site.layer}E0")
        stack = self._stack(site.stack or None)
        ffn = self.model.anatomy.ffn(site.layer, stack)
        assert ffn is not None  # the anatomy has found its expert
        values = experts.expert_neurons(self.model.at(ffn.module), self.tensor("mlp_in", site.layer, stack), site.index)
        chosen = self.tensor("expert_weights", site.layer, stack)[:, site.index] != 0
        values = values.masked_fill(~chosen[:, None], torch.nan)
        return self._by_pos(values, "neuron", self.row(stack), name="neurons", long_name=f"neurons of {expert}", units="activation")

    def stream(self, kind: Kind = "resid_post", stack: Stack | None = None) -> DataArray:
        """The residual stream, or what is written into it, at every layer. Axes (layer, pos, d_model).

        Args:
            kind: "resid_pre", "resid_mid", "resid_post", "attn_out" or "mlp_out".
            stack: "E", "D" or, for what cross-attention writes, "X" in an encoder-decoder.
        """
        if kind not in _STREAMS:
            raise SiteError(f"{kind!r} came; expected one of: {', '.join(_STREAMS)}; others by layer: seen.tensor({kind!r}, layer)")
        layers = range(self.model.anatomy.stack(self._stack(stack)).n_layers)
        tensors = torch.stack([self.tensor(kind, layer, stack).cpu() for layer in layers])
        coords = {"token": ("pos", list(self.row(stack).tokens))}
        return self._labelled(
            tensors, ["layer", "pos", "d_model"], name=kind, long_name=kind, units="1", coords=coords, row=self.row(stack)
        )

    def contributions(self, token: str | int, *, pos: int | None = None, against: str | int | None = None) -> DataArray:
        """What the embedding, each head, bias and FFN write toward a token, in logits. Axis (component,); the sum is the logit.

        Args:
            token: a word of the text (then `pos` is the token before it), or any other, told from the last position; or a token id.
            pos: position whose prediction is taken apart; overrides the above.
            against: a second token: contributions to the difference of the two logits.
        Returns: attributes `logit` (the model's own), `error` (|sum - logit|), `token`, `pos`.
        Raises: TextError for a token that the vocabulary does not have; CheckFailed for a model without a linear readout.
        """
        self.model.require("contributions")
        target, place = self._target(token, pos)
        other = None if against is None else self._token_id(against)
        values, names, logit = contributions_toward(self, target, place, other)
        shown = spelled(target, self.model.tokenizer)
        versus = "" if other is None else f" against {spelled(other, self.model.tokenizer)!r}"
        result = self._labelled(
            values,
            ["component"],
            name="contributions",
            long_name=f"direct contribution toward {shown!r}{versus} at position {place}",
            units="logits",
            source="direct logit attribution with the final norm's scale held (Elhage et al. 2021)",
            coords={"component": names},
        )
        return result.assign_attrs(logit=logit, error=abs(float(values.sum()) - logit), token=shown, pos=place)

    def _target(self, token: str | int, pos: int | None) -> tuple[int, int]:
        row = self.row()
        stripped = [text.strip() for text in row.tokens]
        if pos is None and isinstance(token, str) and token.strip() in stripped[1:]:
            place = stripped.index(token.strip(), 1)
            return row.ids[place], place - 1
        last = len(row) - 1
        place = last if pos is None else pos
        if not -len(row) <= place <= last:
            raise TextError(f"position {pos} came; this text has positions 0-{last}")
        return self._token_id(token), place % len(row)

    def _token_id(self, token: str | int) -> int:
        """The one token that a word is, written with a space before it or without; an id is itself."""
        if isinstance(token, int):
            return token
        for written in (f" {token.strip()}", token.strip(), token):
            ids = self.model.tokenizer(written, add_special_tokens=False)["input_ids"]
            if len(ids) == 1:
                return ids[0]
        pieces = self.model.tokenizer(f" {token.strip()}", add_special_tokens=False)["input_ids"]
        shown = " + ".join(repr(spelled(piece, self.model.tokenizer)) for piece in pieces)
        raise TextError(f"{token!r} is not one token here but {shown}; expected a single token: ask for one of its pieces")

    def _by_pos(self, values: torch.Tensor, dim: str, row: Example, **about: str) -> DataArray:
        return self._labelled(values, ["pos", dim], row=row, coords={"token": ("pos", list(row.tokens))}, **about)

    def _labelled(self, values: torch.Tensor, dims: list[str], *, row: Example | None = None, **about) -> DataArray:
        n = len(self.row() if row is None else row)
        return labelled(values, dims, provenance=self.provenance, **about).assign_attrs(n=n)
