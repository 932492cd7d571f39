"""Checks that an edit takes effect, in every layer at once: what is written must become what the edit leaves over.

With all heads at 0 attention writes its bias; with all neurons at 0 the FFN writes its bias; with all routed experts at weight 0 what the
shared ones write is left; with all gates at 1 the neurons are `up`, times one number; with every edge but one hidden a head hands on that
one key's value. A dead hook leaves what was written as it was.
"""

import torch

from interp.captures.rebuild import relative, worst
from interp.checks.bench import Bench
from interp.core.sites import Stack
from interp.models import experts
from interp.models.anatomy import Sublayer
from interp.models.attention import AttentionCall
from interp.models.model import bias_of
from interp.models.points import Kind, Point, watching
from interp.models.precision import wide


class _Put:
    """The watcher that puts one number everywhere at one kind of point, and keeps what comes of it at others."""

    def __init__(self, number: float, kind: Kind, *keep: Kind):
        self.number, self.kind = number, kind
        self.kinds: frozenset[str] = frozenset({kind, *keep})
        self.seen: dict[tuple[str, int, Stack], torch.Tensor] = {}

    def at(self, point: Point, tensor: torch.Tensor) -> torch.Tensor | None:
        if point.kind == self.kind:
            return torch.full_like(tensor, self.number)
        self.seen[point.kind, point.layer, point.stack] = tensor.detach()
        return None

    def attend(self, point: Point, call: AttentionCall) -> None:
        return None


def heads(bench: Bench) -> float:
    """All heads at 0: attention must write its bias in every layer, and the answer must change."""
    return _left_over(bench, _Put(0.0, "z", "attn_out"), [(sub, "attn_out") for sub in bench.model.anatomy.attentions()])


def neurons(bench: Bench) -> float:
    """All neurons at 0: the FFN must write its bias in every dense layer, and the answer must change."""
    dense = [(sub, "mlp_out") for sub in bench.model.anatomy.sublayers() if sub.kind == "mlp" and sub.out]
    return _left_over(bench, _Put(0.0, "post", "mlp_out"), dense)


class _SameInput:
    """The watcher that lets every FFN read the first token's input at all positions, and keeps what it writes then."""

    kinds: frozenset[str] = frozenset({"mlp_in", "expert_weights", "mlp_out"})

    def __init__(self) -> None:
        self.written: list[torch.Tensor] = []
        self.sent: torch.Tensor | None = None

    def at(self, point: Point, tensor: torch.Tensor) -> torch.Tensor | None:
        if point.kind == "mlp_in":
            return tensor[:, :1].expand_as(tensor).clone()
        if point.kind == "expert_weights":
            self.sent = (tensor != 0).any(-1)
            return None
        # An expert that is full (Switch) takes no more of these like tokens: they are left out.
        self.written.append(tensor.detach() if self.sent is None else tensor.detach()[self.sent][None])
        self.sent = None
        return None

    def attend(self, point: Point, call: AttentionCall) -> None:
        return None


def inputs(bench: Bench) -> float:
    """One token's input at all positions: each FFN must write the same at all, and the answer must change."""
    editor = _SameInput()
    with watching(editor):
        after = bench.run()
    if torch.equal(after, bench.quiet):
        return 1.0
    return worst(relative(written[:, :1].expand_as(written), written) for written in editor.written)


def routing(bench: Bench) -> float:
    """All experts at weight 0: what the shared ones write must be left, and the answer must change."""
    mixed = [(sub, "mlp_out") for sub in bench.model.anatomy.sublayers() if sub.experts]
    return _left_over(bench, _Put(0.0, "expert_weights", "mlp_in", "mlp_out"), mixed)


def projections(bench: Bench) -> float:
    """The gate set to 1, without one `up`: gated neurons must be `up` times one number, the others all alike."""
    gated = bench.model.anatomy.gated
    editor = _Put(1.0, "gate" if gated else "up", "up", "post")
    with watching(editor):
        bench.run()
    return worst(_constant_ratio(editor, sub, gated) for sub in bench.model.anatomy.sublayers() if sub.kind == "mlp" and sub.out)


def _constant_ratio(editor: _Put, sub: Sublayer, gated: bool) -> float:
    post = wide(editor.seen["post", sub.layer, sub.stack])
    up = wide(editor.seen["up", sub.layer, sub.stack]) if gated else torch.ones_like(post)
    return relative(up * ((post * up).sum() / (up * up).sum()), post)


def _left_over(bench: Bench, editor: _Put, places: list[tuple[Sublayer, str]]) -> float:
    with watching(editor):
        after = bench.run()
    if torch.equal(after, bench.quiet):
        return 1.0
    return worst(_relative(_expected(bench, sub, editor), editor.seen[kind, sub.layer, sub.stack]) for sub, kind in places)


@torch.no_grad()
def _expected(bench: Bench, sub: Sublayer, editor: _Put) -> torch.Tensor:
    """What a sublayer writes when all that it was to add is 0."""
    model = bench.model
    if sub.experts:
        x = editor.seen["mlp_in", sub.layer, sub.stack]
        nothing = x.new_zeros(*x.shape[:-1], model.anatomy.n_experts)
        return model.at(sub.norm_out)(experts.rebuild(model.at(sub.module), x, nothing))
    return model.at(sub.norm_out)(bias_of(model.at(sub.out)))


def _relative(expected: torch.Tensor, written: torch.Tensor) -> float:
    """Relative to the size of what is expected, or to 1 where that is nothing."""
    expected = expected.to(written.device).expand_as(written)
    return relative(expected, written) if expected.any() else written.abs().max().item()


class _OneKey:
    """The watcher that hides every edge but that to the first key a query sees, and knows what the heads must hand on then."""

    kinds = frozenset({"pattern", "z"})

    def __init__(self) -> None:
        self.error = 0.0
        self.expected: dict[tuple[int, Stack], torch.Tensor] = {}

    def attend(self, point: Point, call: AttentionCall) -> None:
        key = (call.pattern() > 0).float().argmax(-1, keepdim=True)
        first = torch.zeros(call.shape, dtype=torch.bool, device=key.device).scatter_(-1, key, True)
        call.hide(~first)
        self.expected[point.layer, point.stack] = (_left_to(call, key) * call.value.take_along_dim(key, 2)).transpose(1, 2)
        hidden = call.pattern().masked_fill(first, 0.0)
        self.error = worst([self.error, hidden.abs().max().item()])

    def at(self, point: Point, z: torch.Tensor) -> None:
        expected = self.expected.pop((point.layer, point.stack))
        self.error = worst([self.error, relative(expected, z)])


def _left_to(call: AttentionCall, key: torch.Tensor) -> torch.Tensor:
    """The weight of a query's only key: 1, or what a sink leaves it. Axes: (batch, head, query_pos, 1)."""
    score = call.scores().gather(-1, key)
    return torch.ones_like(score) if call.sinks is None else torch.sigmoid(score - call.sinks[:, None, None])


def edges(bench: Bench) -> float:
    """Every edge but one knocked out: no weight on a hidden one, z must be the remaining key's value, the answer must change."""
    editor = _OneKey()
    with watching(editor):
        after = bench.run()
    return 1.0 if torch.equal(after, bench.quiet) or editor.expected else editor.error
