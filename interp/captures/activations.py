"""What one prompt's run left behind, as labelled results: tokens as coordinates, units, provenance."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, SupportsIndex

import torch

from interp.captures.components import contributions_toward
from interp.captures.run import Run
from interp.captures.toward import target_of, token_id
from interp.core.errors import SiteError
from interp.core.results import DataArray
from interp.core.sites import Site, Stack
from interp.measures.attention import norm_weighted, without_first
from interp.measures.head_statistics import HEAD_STATISTICS, head_statistic
from interp.models import experts
from interp.models.points import Kind
from interp.texts.tokens import spelled

Form = Literal["raw", "moved", "without_first"]
_FORMS: Mapping[Form, str] = {
    "raw": "attention",
    "moved": "norm-weighted attention",
    "without_first": "attention without the first token",
}


_STREAMS: tuple[Kind, ...] = ("resid_pre", "resid_mid", "resid_post", "attn_out", "mlp_out")


@dataclass(frozen=True, kw_only=True, eq=False)
class Activations(Run):
    """One run on one text, or on two, with labelled results of it; its attributes are those of `Run`.

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
        self.model.require("patterns")
        site = self.model.anatomy.head(head)
        if form not in _FORMS:
            raise SiteError(f"form={form!r} came; expected one of: {', '.join(_FORMS)}")
        pattern = self.tensor("pattern", site.layer, site.stack)[site.index]
        shown = {
            "raw": lambda: pattern,
            "moved": lambda: norm_weighted(pattern, self.value_norms(site.layer, site.stack)[site.index]),
            "without_first": lambda: without_first(pattern),
        }[form]()
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

    def contributions(
        self, token: str | SupportsIndex, *, pos: SupportsIndex | None = None, against: str | SupportsIndex | None = None
    ) -> DataArray:
        """What the embedding, each head, bias and FFN write toward a token, in logits. Axis (component,); the sum is the logit.

        Args:
            token: a word of the text (then `pos` is the token before it), or any other, told from the last position; or a token id.
            pos: position whose prediction is taken apart, from 0 (negative: from the end); overrides the above.
            against: a second token: contributions to the difference of the two logits.
        Returns: attributes `logit` (the model's own), `error` (|sum - logit|), `token`, `pos`.
        Raises: TextError for what is no token of the vocabulary, or no position of this text; CheckFailed for a model without a linear
            readout.
        """
        self.model.require("contributions")
        target, place = target_of(self.model, self.row(), token, pos)
        other = None if against is None else token_id(self.model, against)
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
