"""What one prompt's run left behind in the residual stream: what was written toward a token, what could be read off at each depth, how
large the stream and the writes are, how alike the layers.

Depth 0 is the stream that the first block reads, depth l what block l - 1 leaves, the last one what the last block leaves.
"""

from dataclasses import dataclass
from typing import SupportsIndex

import torch

from interp.captures.components import By, contributions_toward
from interp.captures.run import Run
from interp.captures.toward import target_of, token_id
from interp.core.errors import CheckFailed, SiteError
from interp.core.results import DataArray
from interp.core.sites import Stack
from interp.measures.depths import depth_similarity
from interp.models.points import Kind
from interp.models.precision import wide
from interp.models.readout import Readout
from interp.texts.tokens import spelled

_STREAMS: tuple[Kind, ...] = ("resid_pre", "resid_mid", "resid_post", "attn_out", "mlp_out")
_AT_ONCE = 256  # positions that are read off together


@dataclass(frozen=True, kw_only=True, eq=False)
class Residual(Run):
    """The stream of one run, as labelled results. Methods that take a `stack` mean, by default, the only one or the decoder."""

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
        self,
        token: str | SupportsIndex,
        *,
        pos: SupportsIndex | None = None,
        against: str | SupportsIndex | None = None,
        by: By = "head",
    ) -> DataArray:
        """What the embedding and each part of each sublayer write toward a token, in logits. Axis (component,); the sum is the logit.

        Args:
            token: a word of the text (then `pos` is the token before it), or any other, told from the last position; or a token id.
            pos: position whose prediction is taken apart, from 0 (negative: from the end); overrides the above.
            against: a second token: contributions to the difference of the two logits.
            by: "sublayer": attention and FFN as wholes; "head": attention by head and bias; "neuron": the FFNs by neuron and bias as well
                (a mixture of experts stays whole).
        Returns: attributes `logit` (the model's own), `error` (|sum - logit|), `token`, `pos`.
        Raises: TextError for what is no token of the vocabulary, or no position of this text; CheckFailed for a model without a linear
            readout; SiteError for another `by`.
        """
        self.model.require("contributions")
        target, place = target_of(self.model, self.row(), token, pos)
        other = None if against is None else token_id(self.model, against)
        values, names, logit = contributions_toward(self, target, place, other, by)
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

    @torch.no_grad()
    def logit_lens(self) -> DataArray:
        """What the model would predict if it stopped at each depth: loss of the next token, nats. Axes (depth, pos).

        The main stack's stream goes through the model's own final norm and unembedding. An early depth that reads badly has not failed:
        nothing trained it to be read there. `interp.logit_lens` is TransformerLens's own, of decoders alone; a test holds the two
        together.

        Returns: the loss, nan at the last position; coordinates `best` (depth, pos), the likeliest token there, `best_log_prob` (nats),
            `token` and `next` (pos).
        Raises: CheckFailed for a model without a trained head, whose head is more than a norm and a matrix, or that does not predict the
            next token.
        Source: nostalgebraist (2020), "interpreting GPT: the logit lens".

        Example:
            >>> import interp
            >>> lens = interp.capture(interp.load(), "The old man looked at the sea").logit_lens()
            >>> lens.dims, str(lens.best.values[-1, 4])
            (('depth', 'pos'), ' him')
        """
        self._refuse_lens()
        readout, row = Readout(self.model), self.row()
        found = [self._read_off(readout, stream) for stream in self.depths()]
        losses, best, likely = (torch.stack(parts) for parts in zip(*found, strict=True))
        words = [[spelled(int(token), self.model.tokenizer) for token in at] for at in best]
        coords = {
            "best": (("depth", "pos"), words),
            "best_log_prob": (("depth", "pos"), likely.numpy()),
            "token": ("pos", list(row.tokens)),
            "next": ("pos", [*row.tokens[1:], ""]),
        }
        return self._labelled(
            losses,
            ["depth", "pos"],
            name="logit_lens",
            long_name="loss of the next token, read off the stream",
            units="nats",
            source="nostalgebraist (2020)",
            coords=coords,
        ).assign_attrs(n=len(row) - 1)

    def _refuse_lens(self) -> None:
        self.model.require("stream")
        anatomy = self.model.anatomy
        for applies, reason in (
            (not anatomy.lm_head, "it has no trained token-predicting head"),
            (not anatomy.causal, "it is an encoder, and no token of its is the next one"),
            (not anatomy.unembed, "its head is more than a norm and a matrix"),
        ):
            if applies:
                raise CheckFailed(f"{self.model.name}: no logit lens, since {reason}")

    def _read_off(self, readout: Readout, stream: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """The loss of the next token (nan at the end), the likeliest token and its log probability. Each (pos,)."""
        following = torch.tensor([*self.row().ids[1:], 0])
        parts = []
        for some, ids in zip(stream.split(_AT_ONCE), following.split(_AT_ONCE), strict=True):
            told = readout.logits(some).log_softmax(-1).cpu()
            likely, best = told.max(-1)
            parts.append((-told.gather(-1, ids[:, None])[:, 0], best, likely))
        loss, best, likely = (torch.cat(each) for each in zip(*parts, strict=True))
        loss[-1] = torch.nan
        return loss, best, likely

    def depths(self, stack: Stack | None = None) -> torch.Tensor:
        """The stream at each depth of a stack. Axes (depth, pos, d_model)."""
        last = self.model.anatomy.stack(self._stack(stack)).n_layers - 1
        read = [self.tensor("resid_pre", layer, stack).cpu() for layer in range(last + 1)]
        return torch.stack([*read, self.tensor("resid_post", last, stack).cpu()])

    def norms(self, kind: Kind = "resid_post", stack: Stack | None = None) -> DataArray:
        """The size ||x|| of the stream, or of what is written into it, at each token. Axes (layer, pos).

        Args:
            kind: as `stream` takes it.
            stack: "E", "D" or, for what cross-attention writes, "X" in an encoder-decoder.
        """
        streams = self.stream(kind, stack)
        values = wide(torch.from_numpy(streams.values)).norm(dim=-1)
        about = {"name": f"{kind}_norm", "long_name": f"norm of {kind}", "units": "1", "coords": {"token": streams.token}}
        return self._labelled(values, ["layer", "pos"], row=self.row(stack), stack=stack or "", **about)

    def depth_similarity(self, stack: Stack | None = None) -> DataArray:
        """How alike the stream is at two depths: mean over tokens of the cosine, -1 to 1. Axes (depth, other_depth).

        A stream keeps what was written, so neighbours are alike without any part having done anything: the cosine says how much of it
        is new, not what.

        Args: stack: "E" or "D" in an encoder-decoder.
        """
        values = depth_similarity(wide(self.depths(stack)))
        about = {"name": "depth_similarity", "long_name": "cosine of the stream at two depths, mean over tokens", "units": "1"}
        return self._labelled(values, ["depth", "other_depth"], row=self.row(stack), stack=stack or "", **about)
