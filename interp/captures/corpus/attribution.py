"""What each sublayer writes toward the token that comes next, in logits, as a mean over a corpus.

    logit_t = sum_c (w_c centred * weight / sigma) . u + (bias . u + b_t)      u: the unembedding's column of the next token t, scaled

w_c are the embedding and what each sublayer writes, sigma the final norm's scale at this token, held at what it was (as in
`measures.contributions`, and with its reservations: a direct contribution is not the whole effect). Since sigma is one number for each
token, every product with u is taken as the sublayer writes, and divided at the end: nothing is held but a number for each token.
"""

import torch

from interp.captures.corpus.batches import Batch
from interp.captures.corpus.reducer import Reducer
from interp.captures.corpus.residual import sublayers_of
from interp.core.errors import ModelUnsupported
from interp.core.provenance import Provenance
from interp.core.results import Dataset, labelled
from interp.models.model import Model
from interp.models.norms import frozen
from interp.models.points import Point
from interp.models.precision import wide
from interp.models.readout import Readout, at_scale_one, cannot_stream_residual

SOURCE = "direct logit attribution with the final norm's scale held (Elhage et al. 2021)"


class DirectLogits(Reducer):
    """Mean direct contribution of the embedding, each attention, each FFN, and the final biases to the next token's logit.

    Args: model: a decoder with a linear readout; beside an encoder, what cross-attention writes counts among the rest.
    Raises: ModelUnsupported, when it is made, where contributions are not defined, with the reason.
    """

    kinds = frozenset({"resid_pre", "attn_out", "mlp_out", "resid_post", "ln_final"})
    features = ("contributions",)
    paired = True

    def __init__(self, model: Model):
        super().__init__(("direct_logits",))
        reason = cannot_stream_residual(model.anatomy).get("direct_logits")
        if reason:
            raise ModelUnsupported(f"{model.name} has no direct logits over a corpus, since {reason}")
        self.readout, self.last = Readout(model), model.anatomy.n_layers - 1
        self.unit = at_scale_one(self.readout.norm, model.anatomy.d_model)
        self.main = model.anatomy.main.stack
        self.sublayers = sublayers_of(model.anatomy.main)
        self.stacks = {stack for stack, _, _ in self.sublayers}
        self.components = ["embedding", *self.sublayers.values(), "final biases"]

    def begin(self, batch: Batch) -> None:
        super().begin(batch)
        self.next = batch.ids_of(self.main)[:, 1:].flatten()
        self.column = self.readout.columns(self.next)
        # The norm's linear part is its own transpose up to the order: weight first, then the mean is taken off.
        weighed = self.column * self.unit.gain.to(self.column.device)
        self.toward = weighed - weighed.mean(-1, keepdim=True) if self.unit.centred else weighed
        self._found: dict[str, torch.Tensor] = {}

    def at(self, point: Point, tensor: torch.Tensor) -> None:
        if not len(self.next) or point.stack not in self.stacks:
            return
        flat = tensor.detach()[:, :-1].flatten(0, -2)
        if point.kind == "resid_pre" and point.layer == 0:
            self._found["embedding"] = self._product(flat)
        elif point.kind in ("attn_out", "mlp_out"):
            self._found[self.sublayers[point.stack, point.layer, point.kind]] = self._product(flat)
        elif point.kind == "resid_post" and point.layer == self.last:
            self._end = flat
        elif point.kind == "ln_final":
            self._normed = flat

    def _product(self, write: torch.Tensor) -> torch.Tensor:
        return torch.linalg.vecdot(wide(write).to(self.toward.device), self.toward)

    def end(self) -> None:
        if not len(self.next):
            return
        held = frozen(self.readout.norm, self._end.to(self.unit.gain.device))
        # 1 / sigma of each token, by which its gain differs from the one at scale 1.
        scale = ((held.gain * self.unit.gain).sum(-1) / self.unit.gain.pow(2).sum()).to(self.column.device)
        contributions = {name: product * scale for name, product in self._found.items()}
        biases = self.readout.biases(self.next).to(self.column.device)
        offset = held.offset.to(self.column.device).expand_as(self.column)
        contributions["final biases"] = torch.linalg.vecdot(offset, self.column) + biases
        logits = torch.linalg.vecdot(wide(self._normed).to(self.column.device), self.column) + biases
        self.totals.add("direct", torch.stack([contributions[name].sum() for name in self.components]))
        self.totals.add("logit", logits.sum())
        self.totals.add("n", torch.tensor(len(self.next)))
        self.totals.enlarge("error", (sum(contributions.values()) - logits).abs().max())

    def result(self, provenance: Provenance) -> Dataset:
        """direct_logits (component,), logits; their sum is the mean logit of the next token, attribute `logit`; `error`: the largest
        |sum - logit| at any token; n: tokens that have a next one."""
        sums = self.totals.sums
        n = sums.get("n", torch.zeros((), dtype=torch.float64))
        mean = sums.get("direct", torch.zeros(len(self.components), dtype=torch.float64)) / n
        result = labelled(
            mean,
            ["component"],
            name="direct_logits",
            long_name="mean direct contribution to the next token's logit",
            units="logits",
            source=SOURCE,
            provenance=provenance,
            coords={"component": self.components},
        )
        logit = float(sums.get("logit", torch.tensor(torch.nan)) / n)
        error = float(self.totals.largest.get("error", torch.tensor(torch.nan)))
        return Dataset({"direct_logits": result.assign_attrs(logit=logit, error=error, n=int(n))})
