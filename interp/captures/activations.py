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
from interp.core.sites import parse_heads
from interp.measures.attention import norm_weighted, without_first
from interp.measures.head_statistics import HEAD_STATISTICS, head_statistic
from interp.models.model import Model
from interp.models.points import Kind, Point
from interp.texts.example import Example

Form = Literal["raw", "moved", "without_first"]
_FORMS: Mapping[Form, str] = {
    "raw": "attention",
    "moved": "norm-weighted attention",
    "without_first": "attention without the first token",
}


_RESTS_ON: Mapping[str, str] = {"pattern": "patterns", "post": "neurons"}  # all other kinds rest on "stream"


@dataclass(frozen=True, kw_only=True, eq=False)
class Activations:
    """One run on one text.

    Attributes:
        arrays: hook name -> tensor, batch axis of 1 first.
        logits: (pos, d_vocab), None for a model without a trained head.
        reconstruction_error: relative error of the stream rebuilt from what was written into it; None when too little was kept.
        windowed: True when only the beginning of a longer text was taken.
    """

    model: Model
    example: Example
    arrays: Mapping[str, torch.Tensor]
    logits: torch.Tensor | None
    reconstruction_error: float | None
    windowed: bool

    @property
    def provenance(self) -> Provenance:
        """Model, weights, text and versions behind every result of this run."""
        return Provenance(
            model=self.model.name, fingerprint=self.model.fingerprint, data=text_hash([self.example.text, *map(str, self.example.ids)])
        )

    def tensor(self, kind: Kind, layer: int) -> torch.Tensor:
        """The tensor seen at a point, without the batch axis.

        Raises: SiteError when the layer or the kind does not exist or was not kept; CheckFailed when what it rests on is disabled.
        """
        if kind not in get_args(Kind):
            raise SiteError(f"{kind!r} is no kind of point; expected one of: {', '.join(get_args(Kind))}")
        self.model.require(_RESTS_ON.get(kind, "stream"))
        n_layers = self.model.anatomy.n_layers
        if not 0 <= layer < n_layers:
            raise SiteError(f"layer {layer}: this model has layers 0-{n_layers - 1}")
        kept = self.arrays.get(Point(kind=kind, layer=layer).name)
        if kept is None:
            raise SiteError(f"{kind!r} of layer {layer} was not kept; ask for it: interp.capture(..., keep=[{kind!r}, ...])")
        return kept[0]

    def value_norms(self, layer: int) -> torch.Tensor:
        """||v_j W_O|| of each key. Axes: (head, key_pos)."""
        self.tensor("pattern", layer)
        return self.arrays[f"blocks.{layer}.attn.value_norms"][0]

    def pattern(self, head: str, form: Form = "raw") -> DataArray:
        """A head's attention. Axes (query_pos, key_pos), tokens as coordinates; probability.

        Args:
            head: "L2H3".
            form: "raw"; "moved": each weight times the norm of what it moves, rows made to sum to 1; "without_first".
        Raises: SiteError for a head that does not exist; CheckFailed when patterns are disabled for this model.
        """
        self.model.require("patterns")
        anatomy = self.model.anatomy
        ((layer, index),) = parse_heads(head, n_layers=anatomy.n_layers, n_heads=anatomy.n_heads)
        pattern = self.tensor("pattern", layer)[index]
        shown = {
            "raw": lambda: pattern,
            "moved": lambda: norm_weighted(pattern, self.value_norms(layer)[index]),
            "without_first": lambda: without_first(pattern),
        }[form]()
        tokens = list(self.example.tokens)
        coords = {"query_token": ("query_pos", tokens), "key_token": ("key_pos", tokens), "site": head}
        return self._labelled(
            shown,
            ["query_pos", "key_pos"],
            name="pattern",
            long_name=_FORMS[form],
            units="share" if form == "moved" else "probability",
            coords=coords,
        )

    def head_map(self, statistic: str) -> DataArray:
        """A statistic of every head on this text. Axes (layer, head).

        Args: statistic: a name of `measures.head_statistics.HEAD_STATISTICS`.
        Raises: SiteError for an unknown statistic.
        """
        self.model.require("patterns")
        known = HEAD_STATISTICS.get(statistic)
        if known is None:
            raise SiteError(f"statistic {statistic!r} is not known; expected one of: {', '.join(HEAD_STATISTICS)}")
        ids = torch.tensor([self.example.ids], device=self.model.device)
        rows = [
            head_statistic(statistic, self.tensor("pattern", layer)[None], ids, self.value_norms(layer)[None])
            for layer in range(self.model.anatomy.n_layers)
        ]
        return self._labelled(
            torch.stack(rows), ["layer", "head"], name=statistic, long_name=known.long_name, units=known.units, source=known.source
        )

    def neurons(self, layer: int) -> DataArray:
        """What each FFN neuron of a layer was at each token. Axes (pos, neuron)."""
        self.model.require("neurons")
        return self._by_pos(self.tensor("post", layer), "neuron", name="neurons", long_name=f"neurons of layer {layer}", units="activation")

    def stream(self, kind: Kind = "resid_post") -> DataArray:
        """The residual stream, or what is written into it, at every layer. Axes (layer, pos, d_model).

        Args: kind: "resid_pre", "resid_mid", "resid_post", "attn_out" or "mlp_out".
        """
        tensors = torch.stack([self.tensor(kind, layer) for layer in range(self.model.anatomy.n_layers)])
        return self._labelled(tensors, ["layer", "pos", "d_model"], name=kind, long_name=kind, units="1", coords=self._token_coord())

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
        shown = self.model.tokenizer.decode([target])
        versus = "" if other is None else f" against {self.model.tokenizer.decode([other])!r}"
        result = self._labelled(
            values,
            ["component"],
            name="contributions",
            long_name=f"direct contribution toward {shown!r}{versus} at position {place}",
            units="logits",
            source="direct logit attribution with the final norm's scale held (Elhage et al. 2021)",
            coords={"component": names},
        )
        return result.assign_attrs(logit=logit, error=abs(float(values.double().sum()) - logit), token=shown, pos=place)

    def _target(self, token: str | int, pos: int | None) -> tuple[int, int]:
        stripped = [text.strip() for text in self.example.tokens]
        if pos is None and isinstance(token, str) and token.strip() in stripped[1:]:
            place = stripped.index(token.strip(), 1)
            return self.example.ids[place], place - 1
        last = len(self.example) - 1
        place = last if pos is None else pos
        if not -len(self.example) <= place <= last:
            raise TextError(f"position {pos} came; this text has positions 0-{last}")
        return self._token_id(token), place % len(self.example)

    def _token_id(self, token: str | int) -> int:
        """The one token that a word is, written with a space before it or without; an id is itself."""
        if isinstance(token, int):
            return token
        for written in (f" {token.strip()}", token.strip(), token):
            ids = self.model.tokenizer(written, add_special_tokens=False)["input_ids"]
            if len(ids) == 1:
                return ids[0]
        pieces = self.model.tokenizer(f" {token.strip()}", add_special_tokens=False)["input_ids"]
        shown = " + ".join(repr(self.model.tokenizer.decode([piece])) for piece in pieces)
        raise TextError(f"{token!r} is not one token here but {shown}; expected a single token: ask for one of its pieces")

    def _token_coord(self) -> dict:
        return {"token": ("pos", list(self.example.tokens))}

    def _by_pos(self, values: torch.Tensor, dim: str, **about: str) -> DataArray:
        return self._labelled(values, ["pos", dim], coords=self._token_coord(), **about)

    def _labelled(self, values: torch.Tensor, dims: list[str], **about) -> DataArray:
        return labelled(values, dims, provenance=self.provenance, **about).assign_attrs(n=len(self.example))
