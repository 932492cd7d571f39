"""The fused kernels give the naive output and log-sum-exp: the CPU's, and flex_attention, which is CUDA's (on a CPU, uncompiled, too)."""

import pytest
import torch

from interp.captures.corpus import pattern_statistics
from interp.captures.corpus.pattern_statistics import PatternStatistics
from interp.measures.per_query import Distance, Entropy
from interp.models.attention import AttentionCall
from interp.models.kernels import cpu_attention, flex_attention

needs_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device: the compiled kernel runs there only")
KINDS = ("none", "causal", "mask", "mask by head")


def _drawn(kind: str, n: int = 24, d_value: int = 8) -> tuple:
    generator = torch.Generator().manual_seed(len(kind))
    query, key = (torch.randn(2, 3, n, 16, generator=generator) for _ in range(2))
    value = torch.randn(2, 3, n, d_value, generator=generator)
    seen = torch.rand(2, 3 if kind == "mask by head" else 1, n, n, generator=generator) < 0.5
    seen[:, :, 3] = False  # a query that sees nothing
    return query, key, value, seen if "mask" in kind else None, kind == "causal"


def _naive(query, key, value, seen, causal):
    scores = query.double() @ key.double().transpose(-1, -2) * 0.25
    seen = torch.ones_like(scores, dtype=torch.bool) if seen is None else seen.expand_as(scores)
    scores = scores.masked_fill(~(seen.tril() if causal else seen), -torch.inf)
    lse = scores.logsumexp(-1)
    return scores.softmax(-1).nan_to_num(0.0) @ value.double(), lse.masked_fill(lse == -torch.inf, 0.0)


def _agree(kernel, drawn, device: str = "cpu") -> None:
    *tensors, causal = drawn
    there = [tensor if tensor is None else tensor.to(device) for tensor in tensors]
    for ours, theirs in zip(kernel(*there, 0.25, causal=causal), _naive(*tensors, causal), strict=True):
        torch.testing.assert_close(ours.cpu().double(), theirs, atol=1e-5, rtol=0)


@pytest.mark.parametrize("kind", KINDS)
def test_the_cpu_kernel_is_the_naive_computation(kind):
    _agree(cpu_attention, _drawn(kind, d_value=19))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.filterwarnings("ignore:flex_attention called without torch.compile")
def test_flex_attention_is_the_naive_computation(kind):
    _agree(flex_attention, _drawn(kind, d_value=16))


@needs_cuda
@pytest.mark.parametrize("kind", KINDS)
def test_flex_attention_is_the_naive_computation_on_cuda(kind):
    _agree(flex_attention, _drawn(kind, n=256, d_value=16), "cuda")


@pytest.mark.parametrize("kind", KINDS)
def test_entropy_and_distance_by_the_kernel_are_those_by_blocks(kind, monkeypatch):
    query, key, value, seen, causal = _drawn(kind)
    ids, w_o = torch.zeros(2, 24, dtype=torch.long), torch.ones(3, 8, 4)
    blocks = PatternStatistics(AttentionCall(query, key, value, seen, 0.25, causal), ids, w_o)
    monkeypatch.setattr(pattern_statistics, "MEANS_BY_KERNEL", frozenset({"cpu"}))
    kernel = PatternStatistics(AttentionCall(query, key, value, seen, 0.25, causal), ids, w_o)
    for asked in (Entropy(), *([Distance()] if causal else [])):
        torch.testing.assert_close(kernel.take(asked), _by_blocks(blocks, asked), atol=1e-5, rtol=0)
        assert kernel.way(asked) == "fused kernel"


def _by_blocks(one: PatternStatistics, asked) -> torch.Tensor:
    return one._by_blocks([asked])[asked]
