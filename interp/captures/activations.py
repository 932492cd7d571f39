"""What one prompt's run left behind, as labelled results: tokens as coordinates, units, provenance."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import torch

from interp.captures.residual import Residual
from interp.core.errors import SiteError
from interp.core.results import DataArray
from interp.core.sites import Site, Stack
from interp.measures.attention import norm_weighted, without_first
from interp.measures.head_statistics import HEAD_STATISTICS, head_statistic
from interp.models import experts
from interp.models.points import Kind
from interp.texts.example import tokens_of

Form = Literal["raw", "moved", "without_first"]
_FORMS: Mapping[Form, str] = {
    "raw": "attention",
    "moved": "norm-weighted attention",
    "without_first": "attention without the first token",
}


@dataclass(frozen=True, kw_only=True, eq=False)
class Activations(Residual):
    """One run on one text, or on two, with labelled results of it; its attributes are those of `Run`, what it says of the stream is in
    `Residual`.

    Methods that take a `stack` mean, by default, the only one, or in an encoder-decoder the decoder; "E" is its encoder, "X" its
    cross-attention.
    """

    def pattern(self, head: str | Site, form: Form = "raw") -> DataArray:
        """A head's attention. Axes (query_pos, key_pos), tokens as coordinates; probability.

        Args:
            head: "L2H3"; in an encoder-decoder "EL2H3", "DL2H3", or "XL2H3" for cross-attention.
            form: "raw"; "moved": each weight times the norm of what it moves, rows made to sum to 1; "without_first".
        Raises: SiteError for a head or a form that does not exist; CheckFailed when patterns are disabled for this model.
        """
        _check_form(form)
        site = self.model.anatomy.head(head)
        shown = self.patterns(site.layer, site.stack, form)[site.index]
        queries = self.row(site.stack)
        keys = self.example if site.stack == "X" else queries
        coords = {"query_token": ("query_pos", list(queries.tokens)), "key_token": ("key_pos", list(keys.tokens)), "site": str(site)}
        return self._labelled(
            shown,
            ["query_pos", "key_pos"],
            name="pattern",
            long_name=_FORMS[form],
            units="share" if form == "moved" else "probability",
            coords=coords,
            row=queries,
        )

    def patterns(self, layer: int, stack: Stack | None = None, form: Form = "raw") -> torch.Tensor:
        """The attention of all heads of a layer, as a tensor; axes (head, query_pos, key_pos).

        Args:
            layer: from 0.
            stack: "E", "D" or "X" in an encoder-decoder.
            form: as in `pattern`.
        Raises: as `pattern`.
        """
        self.model.require("patterns")
        _check_form(form)
        pattern = self.tensor("pattern", layer, stack)
        if form == "moved":
            return norm_weighted(pattern, self.value_norms(layer, stack))
        return without_first(pattern) if form == "without_first" else pattern

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

    def between(self, source: str, target: str) -> DataArray:
        """Every head's weight from one word of the text to another. Axes (layer, head); probability.

        Of a word in pieces: the sum over the pieces that are attended to, the mean over those that attend (Clark et al. 2019). Where a
        causal mask hides the other word, because it comes later, all are 0.

        Args:
            source, target: words as the text has them; of one that is there several times the first is meant.
        Raises: DataError for a word that is not in the text; CheckFailed when patterns are disabled for this model.

        Example:
            >>> import interp
            >>> weights = interp.capture(interp.load(), "The bank by the river is steep").between("river", "bank")
            >>> weights.dims, bool(weights.max() <= 1)
            (('layer', 'head'), True)
        """
        self.model.require("patterns")
        stack, row = self._stack(None), self.row(self._stack(None))
        queries, keys = tokens_of(row, source), tokens_of(row, target)
        rows = [self.tensor("pattern", layer, stack)[:, queries][:, :, keys] for layer in range(self.model.anatomy.stack(stack).n_layers)]
        return self._labelled(
            torch.stack(rows).sum(-1).mean(-1),
            ["layer", "head"],
            name="between",
            long_name=f"weight from {source!r} to {target!r}",
            units="probability",
            source="Clark et al. (2019), section 4.1",
            stack=stack,
            row=row,
        )

    def neurons(self, layer: int, stack: Stack | None = None, *, part: Literal["post", "up", "gate"] = "post") -> DataArray:
        """What each FFN neuron of a layer was at each token. Axes (pos, neuron).

        Args:
            layer: from 0.
            stack: "E" or "D" in an encoder-decoder.
            part: "post": the neuron, act(up), gated act(gate) * up; "up" and "gate": what the input projections wrote.
        Raises: SiteError for a part that does not exist, and in a layer of experts, whose neurons `expert_neurons` gives.
        """
        self.model.require("neurons")
        names = {"post": "neurons", "up": "up projection", "gate": "gate projection"}
        if part not in names:
            raise SiteError(f"part={part!r} came; expected one of: {', '.join(names)}")
        self._ffn(layer, stack, mixed=False)
        about = {"name": "neurons", "long_name": f"{names[part]} of layer {layer}", "units": "activation"}
        return self._by_pos(self.tensor(part, layer, stack), "neuron", self.row(stack), **about)

    def experts(self, layer: int, stack: Stack | None = None, *, weights: bool = True) -> DataArray:
        """How tokens were routed. Axes (pos, expert).

        Args:
            layer: from 0.
            stack: "E" or "D" in an encoder-decoder.
            weights: True: what multiplies each expert's output, 0 where it was not chosen; False: the router's probabilities.
        Raises: SiteError for a layer without experts; CheckFailed when experts are disabled for this model.
        """
        self.model.require("experts")
        self._ffn(layer, stack, mixed=True)
        kind: Kind = "expert_weights" if weights else "router_probs"
        about = {"name": kind, "long_name": f"{'weight' if weights else 'probability'} of each expert in layer {layer}", "units": "share"}
        return self._by_pos(self.tensor(kind, layer, stack), "expert", self.row(stack), **about)

    def expert_load(self, layer: int, stack: Stack | None = None) -> DataArray:
        """The share of the text's tokens that went through each expert, 0 to 1. Axis (expert,).

        The shares sum to the number of experts that a token has on average; special tokens count like any other.

        Args:
            layer: from 0.
            stack: "E" or "D" in an encoder-decoder.
        Raises: as `experts`.

        Example:
            >>> import interp
            >>> from transformers import MixtralConfig, MixtralForCausalLM
            >>> sizes = dict(vocab_size=8192, hidden_size=16, intermediate_size=8, num_hidden_layers=1, num_attention_heads=2)
            >>> hf = MixtralForCausalLM(MixtralConfig(**sizes, num_key_value_heads=2, num_local_experts=4, num_experts_per_tok=2))
            >>> model = interp.load(hf, interp.load().tokenizer)
            >>> load = interp.capture(model, "The old man looked at the sea").expert_load(0)
            >>> load.dims, round(float(load.sum()), 3)
            (('expert',), 2.0)
        """
        self.model.require("experts")
        self._ffn(layer, stack, mixed=True)
        values = experts.load(self.tensor("expert_weights", layer, stack))
        about = {"name": "expert_load", "long_name": f"tokens through each expert of layer {layer}", "units": "share of tokens"}
        return self._labelled(values, ["expert"], row=self.row(stack), **about)

    @torch.no_grad()
    def expert_neurons(self, expert: str | Site) -> DataArray:
        """An expert's neurons at each token, nan where the token was not sent to it. Axes (pos, neuron).

        Args: expert: "L2E1"; in an encoder-decoder "EL2E1" or "DL2E1".
        Raises: SiteError for an expert that does not exist.
        """
        site = self.model.anatomy.part(expert)
        if site.kind != "expert" or site.index is None:
            raise SiteError(f"{expert} is a {site.kind}; expected an expert such as L{site.layer}E0")
        stack = self._stack(site.stack or None)
        ffn = self.model.at(self._ffn(site.layer, stack, mixed=True).module)
        values = experts.expert_neurons(ffn, self.tensor("mlp_in", site.layer, stack), site.index)
        chosen = self.tensor("expert_weights", site.layer, stack)[:, site.index] != 0
        values = values.masked_fill(~chosen[:, None], torch.nan)
        return self._by_pos(values, "neuron", self.row(stack), name="neurons", long_name=f"neurons of {expert}", units="activation")

    @torch.no_grad()
    def shared_neurons(self, layer: int, stack: Stack | None = None) -> DataArray:
        """The neurons of the shared experts, through which every token goes, side by side. Axes (pos, neuron).

        Args:
            layer: from 0.
            stack: "E" or "D" in an encoder-decoder.
        Raises: SiteError for a layer without experts, or a family whose experts are all chosen by the router; CheckFailed when experts
            are disabled for this model.

        Example:
            >>> import interp
            >>> from transformers import Qwen2MoeConfig, Qwen2MoeForCausalLM
            >>> sizes = dict(vocab_size=8192, hidden_size=16, num_hidden_layers=1, num_attention_heads=2, num_key_value_heads=2)
            >>> sizes |= dict(num_experts=4, num_experts_per_tok=2, moe_intermediate_size=8, shared_expert_intermediate_size=24)
            >>> model = interp.load(Qwen2MoeForCausalLM(Qwen2MoeConfig(**sizes)), interp.load().tokenizer)
            >>> interp.capture(model, "The old man looked at the sea").shared_neurons(0).sizes["neuron"]
            24
        """
        self.model.require("experts")
        ffn = self.model.at(self._ffn(layer, stack, mixed=True).module)
        if not experts.has_shared(ffn):
            raise SiteError(f"layer {layer} shares no experts: all are chosen by its router; expected expert_neurons('L{layer}E0')")
        values = experts.shared_neurons(ffn, self.tensor("mlp_in", layer, stack))
        about = {"name": "neurons", "long_name": f"neurons of the shared experts of layer {layer}", "units": "activation"}
        return self._by_pos(values, "neuron", self.row(stack), **about)


def _check_form(form: str) -> None:
    if form not in _FORMS:
        raise SiteError(f"form={form!r} came; expected one of: {', '.join(_FORMS)}")
