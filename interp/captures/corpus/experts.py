"""Experts over a corpus: how many tokens each one gets, how sure the router is, and which words and tokens go where.

That an expert gets the nouns says where tokens are sent, not what is done with them there.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from interp.captures.corpus.batches import Batch
from interp.captures.corpus.labels import Scheme
from interp.captures.corpus.reducer import Reducer, part
from interp.captures.corpus.stacked import axes, most_by_stack, places, stacked
from interp.core.errors import DataError, ModelUnsupported
from interp.core.provenance import Provenance
from interp.core.results import DataArray, Dataset, counted, labelled
from interp.core.sites import STACKS
from interp.measures.routing import routing_entropy
from interp.models.model import Model
from interp.models.points import Point
from interp.texts.tokens import spelled


class _OfMixture(Reducer):
    """A reducer of a mixture's routing. Raises: ModelUnsupported, when it is made, for a model without experts."""

    features = ("experts",)
    paired = True

    def __init__(self, names: tuple[str, ...], model: Model):
        super().__init__(names)
        if not model.anatomy.n_experts:
            raise ModelUnsupported(f"{model.name} has no expert statistics over a corpus, since none of its FFNs is a mixture of experts")
        self.model = model

    def by_layer(self, name: str) -> torch.Tensor:
        """A sum of each layer, nan in dense ones. Axes: [stack,] layer, then those of the sum."""
        n_layers = max(stack.n_layers for stack in self.model.anatomy.stacks.values())
        return stacked(places(self.totals.sums, name), (n_layers,))

    def variable(self, values: torch.Tensor, dims: list[str], name: str, long_name: str, **about) -> DataArray:
        """Labelled, with stacks before `dims` where there are some; attribute n: tokens."""
        kept: Any = values if values.is_floating_point() else values.numpy()
        result = labelled(kept, axes(values, dims), name=name, long_name=long_name, **about)
        result = result.assign_coords(stack=list(STACKS)) if "stack" in result.dims else result
        return counted(result, most_by_stack(self.totals.sums, "n"))


class ExpertLoad(_OfMixture):
    """Each expert's share of tokens, and the entropy of routing: of a token's, and of all tokens' together."""

    kinds = frozenset({"router_probs", "expert_weights"})

    def __init__(self, model: Model):
        super().__init__(("expert_load", "routing_entropy", "load_entropy"), model)

    def at(self, point: Point, tensor: torch.Tensor) -> None:
        flat = tensor.detach().flatten(0, -2)
        if point.kind == "router_probs":
            self.totals.add(part("entropy", point), routing_entropy(flat).double().sum())
        else:
            self.totals.add(part("load", point), (flat != 0).sum(0))
            self.totals.add(part("n", point), torch.tensor(len(flat)))

    def result(self, provenance: Provenance) -> Dataset:
        """expert_load (layer, expert): share of tokens through each; routing_entropy (layer,): mean over tokens of a token's entropy over
        all experts; load_entropy (layer,): entropy of the shares, ln n_experts when all are used alike. nats; nan in dense layers."""
        n, load = self.by_layer("n"), self.by_layer("load")
        about = {"provenance": provenance}
        variables = [
            self.variable(
                load / n[..., None], ["layer", "expert"], "expert_load", "share of tokens through each expert", units="share", **about
            ),
            self.variable(
                self.by_layer("entropy") / n, ["layer"], "routing_entropy", "mean entropy of a token's routing", units="nats", **about
            ),
            self.variable(routing_entropy(load), ["layer"], "load_entropy", "entropy of the experts' loads", units="nats", **about),
        ]
        return Dataset({variable.name: variable for variable in variables})


class ExpertLabels(_OfMixture):
    """Which words go where: the share of each label's tokens that goes through each expert.

    Args:
        model: a mixture of experts.
        scheme: of `captures.corpus.labels`; upos() by its name gives expert_by_upos.
    """

    kinds = frozenset({"expert_weights"})

    def __init__(self, model: Model, scheme: Scheme):
        super().__init__((f"expert_by_{scheme.name}",), model)
        self.scheme = scheme

    def begin(self, batch: Batch) -> None:
        super().begin(batch)
        self.one_hot = self.scheme.one_hot(batch)

    def at(self, point: Point, tensor: torch.Tensor) -> None:
        chosen = (tensor.detach().flatten(0, -2) != 0).float()
        one_hot = self.one_hot[point.stack]
        self.totals.add(part("sent", point), chosen.T @ one_hot)
        self.totals.add(part("labels", point), one_hot.sum(0))
        self.totals.add(part("n", point), torch.tensor(len(chosen)))

    def result(self, provenance: Provenance) -> Dataset:
        """expert_by_upos (layer, expert, upos), nan for a label that did not occur. Raises: DataError when none did."""
        labels = self.by_layer("labels")
        if not labels.nan_to_num().any():
            raise DataError(f"no token has a label {self.scheme.name!r}; expected {self.scheme.needs}")
        long_name = f"share of the tokens of each {self.scheme.name} label through each expert"
        shares = self.by_layer("sent") / labels[..., None, :]
        found = self.variable(shares, ["layer", "expert", self.scheme.name], self.names[0], long_name, units="share", provenance=provenance)
        counts = labels.nan_to_num().amax(-2).reshape(-1, labels.shape[-1]).sum(0).long().numpy()
        found = found.assign_coords({self.scheme.name: list(self.scheme.labels)}).assign_attrs(n_by_label=counts)
        return Dataset({found.name: found})


class ExpertTokens(_OfMixture):
    """Which tokens go where: for each expert, the tokens that it gets most above what its load alone would send it.

    Args:
        model: a mixture of experts.
        k: tokens for each expert; in one result with NeuronExamples, the same k.
        max_bytes: refuse when the counts (layers x experts x vocabulary, 8 bytes each) would take more.
    Raises: DataError, when it is made, for counts that would take more.
    """

    kinds = frozenset({"expert_weights"})

    def __init__(self, model: Model, k: int = 10, max_bytes: int = 2**31):
        super().__init__(("expert_token_ids", "expert_token_share", "expert_token_excess"), model)
        anatomy, self.k = model.anatomy, min(k, model.anatomy.d_vocab)
        n_layers = sum(stack.n_layers for stack in anatomy.stacks.values())
        needed = 8 * n_layers * anatomy.n_experts * anatomy.d_vocab
        if needed > max_bytes:
            raise DataError(
                f"counts of {anatomy.d_vocab} tokens for {anatomy.n_experts} experts in {n_layers} layers take {needed / 1e9:.1f} "
                f"GB; expected at most {max_bytes / 1e9:.1f}: give max_bytes=, or count some tokens, ExpertLabels(model, vocabulary(...))"
            )

    def begin(self, batch: Batch) -> None:
        super().begin(batch)
        for stack in batch.stacks:
            self.totals.add(f"tokens {stack}L0", torch.bincount(batch.ids_of(stack).flatten(), minlength=self.model.anatomy.d_vocab))

    def at(self, point: Point, tensor: torch.Tensor) -> None:
        chosen = (tensor.detach().flatten(0, -2) != 0).double().cpu()
        ids = self.batch.ids_of(point.stack).flatten().cpu()
        sent = chosen.new_zeros(self.model.anatomy.d_vocab, chosen.shape[1]).index_add_(0, ids, chosen)
        self.totals.add(part("sent", point), sent.T)
        self.totals.add(part("n", point), torch.tensor(len(chosen)))

    def result(self, provenance: Provenance) -> Dataset:
        """Axes ([stack,] layer, expert, rank), the largest excess first; -1 and nan in dense layers.

        expert_token_ids, their spelling in the coordinate `expert_token`; expert_token_share: share of the token's
        occurrences that go to the expert; expert_token_excess: occurrences there above those that the expert's load would give.
        """
        ids, shares, excess = self._ranked(self.by_layer("sent"), stacked(places(self.totals.sums, "tokens"))[..., None, :])
        dims, about = ["layer", "expert", "rank"], {"provenance": provenance}
        names: Mapping[int, str] = {token: spelled(token, self.model.tokenizer) for token in ids.unique().tolist() if token >= 0}
        written = np.array([names.get(token, "") for token in ids.flatten().tolist()]).reshape(ids.shape)
        variables = [
            self.variable(ids, dims, self.names[0], "tokens sent to each expert more than others", units="1", **about),
            self.variable(shares, dims, self.names[1], "share of the token's occurrences through the expert", units="share", **about),
            self.variable(excess, dims, self.names[2], "occurrences above the expert's load", units="tokens", **about),
        ]
        variables[0] = variables[0].assign_coords(expert_token=(variables[0].dims, written))
        return Dataset({variable.name: variable for variable in variables})

    def _ranked(self, sent: torch.Tensor, seen: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        load = sent.sum(-1, keepdim=True) / seen.sum(-1, keepdim=True)
        # Equal excesses by token id: a stable sort, so that the same counts give the same list.
        excess, ids = (sent - load * seen).nan_to_num(nan=-torch.inf).sort(dim=-1, descending=True, stable=True)
        excess, ids = excess[..., : self.k], ids[..., : self.k]
        shares = sent.gather(-1, ids) / seen.expand_as(sent).gather(-1, ids)
        dense = excess.isinf()
        return ids.masked_fill(dense, -1), shares.masked_fill(dense, torch.nan), excess.masked_fill(dense, torch.nan)
