"""The pass over blocks where there are several: longer texts, groups of texts and heads, rows that must be shifted and that need not."""

from dataclasses import replace

import pytest
import torch
from naive_attention import TOLERANCE, Case, close, naive, size_of

from interp.captures.corpus import sweep as module
from interp.captures.corpus.pattern_statistics import BLOCKS, PatternStatistics
from interp.measures.head_statistics import HEAD_STATISTICS
from interp.models.attention import _BITS

KINDS = ("plain", "window", "padded", "bias", "softcap", "sinks")
SIZES = (1, 31, 32, 33, 64, 90)  # tokens; blocks have 32 here


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch):
    monkeypatch.setattr(module, "QUERIES", 32)
    monkeypatch.setattr(module, "NUMBERS", 5000)


def drawn(number: int, kind: str, n: int) -> Case:
    """One kind of call; every other one in two texts, every third with scores far beyond what exp takes in float32."""
    torch.manual_seed(number)
    texts, heads, causal = 1 + number % 2, 3, kind != "padded"
    apart = torch.arange(n)[:, None] - torch.arange(n)
    masks = {"window": ((apart >= 0) & (apart < 40))[None, None], "padded": (torch.arange(n) < max(1, n - 7)).expand(texts, 1, n, n)}
    joint = torch.randn(texts, n, 3, heads, 8)  # a joint projection: rows of a head lie apart
    query, key, value = joint.permute(2, 0, 3, 1, 4).unbind()
    return Case(
        query=query * (80.0 if number % 3 == 0 else 1.5),
        key=key,
        value=value,
        mask=masks.get(kind),
        scale=0.7,
        causal=causal,
        bias=torch.randn(1, heads, n, n) if kind == "bias" else None,
        softcap=20.0 if kind == "softcap" else None,
        sinks=torch.randn(heads) * 30 if kind == "sinks" else None,
    )


def agrees(case: Case) -> None:
    """All head statistics, the totals and the output, in one pass, against the whole pattern in float64."""
    scores, pattern, _ = naive(case)
    call, n = case.call(), pattern.shape[-1]
    ids, w_o = torch.randint(0, n // 2 + 1, pattern.shape[::2]), torch.randn(3, 8, 6)
    asked = [statistic.ask for statistic in HEAD_STATISTICS.values()]
    statistics = PatternStatistics(call, ids, w_o, asked)
    size = 2 * TOLERANCE * size_of(scores)
    for name, statistic in HEAD_STATISTICS.items():
        expected = statistic.of(pattern.float(), ids, statistics.norms)
        wide = {"distance": n, "distance_variance": n * n}.get(name, 1)
        close(statistics.values(name), expected, size * wide)
        assert statistics.way(statistic.ask) == BLOCKS
    assert statistics.finite
    close(call.output(), (pattern @ case.values.double()).transpose(1, 2), size * case.values.abs().max().item())


@pytest.mark.parametrize("kind", KINDS)
def test_statistics_over_many_blocks_are_the_whole_patterns(kind):
    for number in range(10):
        agrees(drawn(number, kind, SIZES[number % len(SIZES)]))


def test_scores_are_shifted_where_they_must_be_and_only_there():
    case = drawn(1, "plain", 90)
    calm, wild = case.call(), replace(case, query=case.query.index_fill(2, torch.tensor([50]), 1000.0)).call()
    totals = [module.sweep(call, lambda rows: None) for call in (calm, wild)]
    assert not calm._wild
    assert wild._wild
    torch.testing.assert_close(totals[0].log(), naive(case)[2].float(), atol=1e-5, rtol=1e-5)
    assert totals[1][:, :, 32:].log2().max() < 7  # at most as many as there are keys, since the largest weighs 1
    assert torch.equal(totals[0][:, :, :32], totals[1][:, :, :32])  # blocks before it stay as they are
    torch.testing.assert_close(calm.output()[:, :50], wild.output()[:, :50], atol=1e-5, rtol=1e-5)
    assert totals[0].log2().abs().max() < _BITS


def test_what_is_no_number_shows():
    case = drawn(1, "plain", 90)
    broken = replace(case, query=case.query.clone())
    broken.query[:, 1, 40] = torch.nan
    statistics = PatternStatistics(
        broken.call(), torch.zeros(2, 90, dtype=torch.long), torch.randn(3, 8, 6), [HEAD_STATISTICS["entropy"].ask]
    )
    assert not statistics.finite
    nowhere = statistics.values("entropy").isnan()
    assert nowhere[:, 1, 40].all()
    assert nowhere.sum() == 2
