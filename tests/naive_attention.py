"""An attention call beside a naive computation in float64, and cases of every kind for hypothesis to draw.

Tolerances: float32 rounds a score of size s by about 1e-7 s and sums some ten of them, so 1e-5 x max(1, max|s|), times the size of what is
averaged. In half precision the same, held against a float64 computation on the same half-precision q and k.
"""

from dataclasses import dataclass, replace

import torch
from hypothesis import strategies as st

from interp.models.attention import AttentionCall

TOLERANCE = 1e-5
HALF = (torch.bfloat16, torch.float16)


@dataclass(frozen=True, kw_only=True)
class Case:
    """What transformers would hand over, keys and values still grouped, and what was done to it: `hidden` edges."""

    query: torch.Tensor
    key: torch.Tensor
    value: torch.Tensor
    mask: torch.Tensor | None
    scale: float
    causal: bool
    bias: torch.Tensor | None
    softcap: float | None
    sinks: torch.Tensor | None
    hidden: torch.Tensor | None = None

    def call(self) -> AttentionCall:
        extras = {"bias": self.bias, "softcap": self.softcap, "sinks": self.sinks}
        return AttentionCall(self.query, self.key, self.value, self.mask, self.scale, self.causal, **extras)

    @property
    def groups(self) -> int:
        return self.query.shape[1] // self.key.shape[1]

    @property
    def values(self) -> torch.Tensor:
        return self.value.repeat_interleave(self.groups, 1)


def naive(case: Case) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Scores, pattern and lse in float64, as eager attention does it: the sink is one more key, dropped after the softmax."""
    scores = torch.einsum("bhqd,bhkd->bhqk", case.query.double(), case.key.double().repeat_interleave(case.groups, 1)) * case.scale
    if case.softcap is not None:
        scores = case.softcap * (scores / case.softcap).tanh()
    if case.bias is not None:
        scores = scores + case.bias.double()
    scores = scores + _added(case, scores)
    sink = torch.full_like(scores[..., :1], -torch.inf)
    if case.sinks is not None:
        sink = case.sinks.double()[:, None, None].expand_as(sink)
    whole = torch.cat([scores, sink], -1)
    lse = whole.logsumexp(-1)
    return scores, whole.softmax(-1).nan_to_num(0.0)[..., :-1], lse.masked_fill(lse == -torch.inf, 0.0)


def _added(case: Case, scores: torch.Tensor) -> torch.Tensor:
    added = torch.zeros_like(scores)
    if case.causal and case.mask is None:
        added = added.masked_fill(torch.ones_like(scores, dtype=torch.bool).triu(1), -torch.inf)
    if case.mask is not None:
        mask = (
            case.mask.double() if case.mask.dtype != torch.bool else torch.zeros(case.mask.shape).double().masked_fill(~case.mask, -1e300)
        )
        added = added + mask.masked_fill(mask < -1e4, -torch.inf)
    return added if case.hidden is None else added.masked_fill(case.hidden, -torch.inf)


def _mask(draw, kind: str, batch: int, heads: int, queries: int, keys: int, dtype: torch.dtype) -> torch.Tensor | None:
    if kind in ("none", "causal"):
        return None
    whole = {"keys": (batch, 1, 1, keys)}.get(kind, (draw(st.sampled_from([1, batch])), draw(st.sampled_from([1, heads])), queries, keys))
    seen = torch.rand(whole) < draw(st.sampled_from([0.3, 0.9]))  # with few keys some queries see none
    if kind in ("bool", "keys"):
        return seen
    numbers = torch.randn(whole).to(dtype) if kind == "numbers" else torch.zeros(whole, dtype=dtype)
    return numbers.masked_fill(~seen, torch.finfo(dtype).min)


@st.composite
def cases(draw, *, square: bool = False, plain: bool | None = None) -> Case:
    torch.manual_seed(draw(st.integers(0, 10_000)))
    dtype = draw(st.sampled_from([torch.float32, torch.float64, *HALF]))
    batch, kv_heads, groups, queries = draw(st.tuples(st.integers(1, 2), st.integers(1, 2), st.integers(1, 2), st.integers(1, 9)))
    heads, keys = kv_heads * groups, queries if square else draw(st.integers(1, 9))
    d_head, d_value = draw(st.sampled_from([4, 6, 8])), draw(st.sampled_from([3, 4, 8, 12]))
    kinds = ["none", "causal", "bool", "keys", "additive"] + ([] if plain else ["numbers"])
    kind = draw(st.sampled_from(kinds))
    extra = st.just(False) if plain else st.booleans()
    return Case(
        query=(torch.randn(batch, heads, queries, d_head) * draw(st.sampled_from([1.0, 6.0]))).to(dtype),
        key=torch.randn(batch, kv_heads, keys, d_head).to(dtype),
        value=torch.randn(batch, kv_heads, keys, d_value).to(dtype),
        mask=_mask(draw, kind, batch, heads, queries, keys, dtype),
        scale=draw(st.sampled_from([1.0, 0.3])),
        causal=kind == "causal",
        bias=torch.randn(draw(st.sampled_from([1, batch])), heads, queries, keys).to(dtype) if draw(extra) else None,
        softcap=draw(st.sampled_from([1.5, 20.0])) if draw(extra) else None,
        sinks=torch.randn(heads).to(dtype) if draw(extra) else None,
    )


def close(ours: torch.Tensor, theirs: torch.Tensor, tolerance: float) -> None:
    assert ours.shape == theirs.shape
    torch.testing.assert_close(ours.double(), theirs.double(), atol=tolerance, rtol=0, equal_nan=True)


def size_of(scores: torch.Tensor) -> float:
    return max(1.0, scores[scores.isfinite()].abs().max().item()) if scores.isfinite().any() else 1.0


def agrees(call: AttentionCall, case: Case) -> None:
    """Everything that a call gives, against the naive computation, in every order in which it may be asked."""
    scores, pattern, lse = naive(case)
    tolerance = TOLERANCE * size_of(scores)
    assert torch.equal(call.scores() == -torch.inf, scores == -torch.inf)
    close(call.scores().masked_fill(scores == -torch.inf, 0.0), scores.masked_fill(scores == -torch.inf, 0.0), tolerance)
    torch.testing.assert_close(call.scores(slice(1, 3)), call.scores()[:, :, 1:3], atol=tolerance, rtol=0)
    z = pattern @ case.values.double()
    output, ours_lse = call.output_and_lse()
    rounded = tolerance + (0.0 if case.query.dtype not in HALF else 8e-3)
    largest = max(1.0, case.value.abs().max().item())
    close(output, z, rounded * largest)
    assert output.dtype == case.value.dtype
    close(ours_lse, lse, tolerance)
    close(torch.exp(call.scores() - ours_lse[..., None]), pattern, tolerance)
    features = torch.randn(*case.values.shape[:3], 5)
    close(call.attend_to(features), pattern @ features.double(), tolerance * max(1.0, features.abs().max().item()))
    close(call.output(), z.transpose(1, 2), rounded * largest)
    close(call.pattern(), pattern, tolerance)
    close(call.output(), z.transpose(1, 2), (rounded + (0.0 if case.query.dtype not in HALF else 8e-3)) * largest)
    close(torch.cat([rows for _, rows in call.blocks(size=2)], 2), pattern, tolerance)


def simple(n: int = 5, **changes) -> Case:
    generator = torch.Generator().manual_seed(3)
    query, key, value = (torch.randn(2, heads, n, 4, generator=generator) for heads in (4, 2, 2))
    case = Case(query=query, key=key, value=value, mask=None, scale=0.5, causal=True, bias=None, softcap=None, sinks=None)
    return replace(case, **changes)
