"""An attention call tells the truth in every family: position biases, caps, sinks, latent attention, every kind of mask; and under edits.

Tolerances: float32 rounds a score of size s by about 1e-7 s and sums some ten of them, so 1e-5 x max(1, max|s|), times the size of what is
averaged. In half precision the same, held against a float64 computation on the same half-precision q and k.
"""

import copy
from dataclasses import dataclass, replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_families import FORMS, drawn

from interp.captures.fused import FUSED, Fused
from interp.core.errors import InterventionError, ModelUnsupported
from interp.measures.head_statistics import HEAD_STATISTICS
from interp.models import attention
from interp.models.attention import AttentionCall
from interp.models.points import Point, watching

TOLERANCE = 1e-5
HALF = (torch.bfloat16, torch.float16)

# --- A call against a naive computation ------------------------------------------------------------------------------------------------


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


def _close(ours: torch.Tensor, theirs: torch.Tensor, tolerance: float) -> None:
    assert ours.shape == theirs.shape
    torch.testing.assert_close(ours.double(), theirs.double(), atol=tolerance, rtol=0, equal_nan=True)


def _size(scores: torch.Tensor) -> float:
    return max(1.0, scores[scores.isfinite()].abs().max().item()) if scores.isfinite().any() else 1.0


def agrees(call: AttentionCall, case: Case) -> None:
    """Everything that a call gives, against the naive computation, in every order in which it may be asked."""
    scores, pattern, lse = naive(case)
    tolerance = TOLERANCE * _size(scores)
    assert torch.equal(call.scores() == -torch.inf, scores == -torch.inf)
    _close(call.scores().masked_fill(scores == -torch.inf, 0.0), scores.masked_fill(scores == -torch.inf, 0.0), tolerance)
    torch.testing.assert_close(call.scores(slice(1, 3)), call.scores()[:, :, 1:3], atol=tolerance, rtol=0)
    z = pattern @ case.values.double()
    output, ours_lse = call.output_and_lse()
    rounded = tolerance + (0.0 if case.query.dtype not in HALF else 8e-3)
    largest = max(1.0, case.value.abs().max().item())
    _close(output, z, rounded * largest)
    assert output.dtype == case.value.dtype
    _close(ours_lse, lse, tolerance)
    _close(torch.exp(call.scores() - ours_lse[..., None]), pattern, tolerance)
    features = torch.randn(*case.values.shape[:3], 5)
    _close(call.attend_to(features), pattern @ features.double(), tolerance * max(1.0, features.abs().max().item()))
    _close(call.output(), z.transpose(1, 2), rounded * largest)
    _close(call.pattern(), pattern, tolerance)
    _close(call.output(), z.transpose(1, 2), (rounded + (0.0 if case.query.dtype not in HALF else 8e-3)) * largest)
    _close(torch.cat([rows for _, rows in call.blocks(size=2)], 2), pattern, tolerance)


@settings(derandomize=True, deadline=None, max_examples=300)
@given(cases())
def test_every_kind_of_call_is_the_naive_computation(case):
    agrees(case.call(), case)


@settings(derandomize=True, deadline=None, max_examples=80)
@given(cases(plain=True))
def test_a_plain_call_says_so_and_its_two_ways_agree(case):
    call = case.call()
    assert call.plain
    agrees(call, case)
    (output, lse), (again, sums) = call._kernel(call.value), call._blockwise(call.value, block=2)
    tolerance = TOLERANCE * _size(naive(case)[0])
    _close(output[..., : case.value.shape[-1]], again, tolerance * max(1.0, case.value.abs().max().item()))
    _close(lse, sums, tolerance)


def test_what_makes_a_call_not_plain():
    plain = _simple()
    assert plain.call().plain
    zeros = torch.zeros(1, 4, 5, 5)
    assert replace(plain, bias=zeros).call().plain  # the cross-attention of T5
    for change in ({"bias": zeros + 1.0}, {"softcap": 9.0}, {"sinks": torch.zeros(4)}, {"mask": zeros + 0.5}):
        assert not replace(plain, **change).call().plain
    hidden = plain.call()
    hidden.hide(torch.eye(5, dtype=torch.bool))
    assert hidden.plain
    hidden.replace(hidden.pattern())
    assert not hidden.plain


def _simple(n: int = 5, **changes) -> Case:
    generator = torch.Generator().manual_seed(3)
    query, key, value = (torch.randn(2, heads, n, 4, generator=generator) for heads in (4, 2, 2))
    case = Case(query=query, key=key, value=value, mask=None, scale=0.5, causal=True, bias=None, softcap=None, sinks=None)
    return replace(case, **changes)


def test_a_score_that_is_nan_shows_in_every_kind_of_call():
    for changes in ({}, {"softcap": 2.0}, {"sinks": torch.zeros(4)}, {"bias": torch.ones(1, 4, 5, 5)}):
        case = _simple(**changes)
        case.query[0, 1, 3] = torch.nan
        for ours in (case.call().pattern()[..., 0], case.call().output_and_lse()[0][..., 0], case.call().output_and_lse()[1]):
            assert ours[0, 1, 3].isnan()
            assert not ours[0, 1, 2].isnan()
    mask = torch.zeros(1, 1, 5, 5)
    mask[..., 3, 1] = torch.nan
    assert _simple(mask=mask).call().pattern()[:, :, 3].isnan().all()


# --- The statistics --------------------------------------------------------------------------------------------------------------------


def statistics_agree(call: AttentionCall, pattern: torch.Tensor, size: float) -> None:
    n, heads = pattern.shape[-1], pattern.shape[1]
    ids, w_o = torch.randint(0, 3, (pattern.shape[0], n)), torch.randn(heads, call.value.shape[-1], 6)
    fused = Fused(call, ids, w_o)
    for name, statistic in HEAD_STATISTICS.items():
        naive_values = statistic.of(pattern.float(), ids, fused.norms)
        _close(FUSED[name](fused), naive_values, 2 * TOLERANCE * size * (n if name == "distance" else 1))
    for offset in (-2, 3):
        diagonal = pattern.diagonal(offset, -2, -1)
        weights = fused.at_offset(offset)
        _close(weights[~weights.isnan()].sort()[0], diagonal.flatten().sort()[0], TOLERANCE * size)


@settings(derandomize=True, deadline=None, max_examples=200)
@given(cases(square=True))
def test_fused_statistics_are_the_patterns_in_every_kind_of_call(case):
    scores, pattern, _ = naive(case)
    statistics_agree(case.call(), pattern, _size(scores))


@settings(derandomize=True, deadline=None, max_examples=60)
@given(cases(square=True), st.floats(0.1, 0.9))
def test_fused_statistics_of_an_edited_call_are_the_edited_patterns(case, share):
    call, edges = case.call(), torch.rand(*case.call().shape) < share
    call.hide(edges)
    scores, pattern, _ = naive(replace(case, hidden=edges))
    statistics_agree(call, pattern, _size(scores))
    other = torch.rand(call.shape).softmax(-1)
    call.replace(other)
    statistics_agree(call, other.double(), 1.0)


def test_the_entropy_beside_a_sink_is_over_the_real_keys():
    """By hand: two keys with scores ln 1 and ln 2, a sink of ln 3: weights 1/6 and 2/6."""
    keys, sinks = torch.tensor([1.0, 2.0]).log()[None, None, :, None], torch.tensor([3.0]).log()
    call = AttentionCall(torch.ones(1, 1, 2, 1), keys, torch.ones(1, 1, 2, 1), None, 1.0, False, sinks=sinks)
    torch.testing.assert_close(call.pattern()[0, 0, 0], torch.tensor([1 / 6, 2 / 6]))
    expected = -(torch.tensor([1 / 6, 2 / 6]) * torch.tensor([1 / 6, 2 / 6]).log()).sum()
    torch.testing.assert_close(Fused(call, torch.tensor([[0, 1]]), torch.ones(1, 1, 1)).entropy()[0, 0, 0], expected)
    torch.testing.assert_close(call.output_and_lse()[1][0, 0, 0], torch.tensor(6.0).log())


# --- Edits -----------------------------------------------------------------------------------------------------------------------------


@settings(derandomize=True, deadline=None, max_examples=150)
@given(cases(), st.floats(0.05, 0.95), st.booleans())
def test_hiding_edges_adds_minus_infinity_to_their_scores(case, share, asked_before):
    call, edges = case.call(), torch.rand(case.call().shape) < share
    if asked_before:  # what was computed before is dropped
        call.pattern()
        call.output_and_lse()
    call.hide(edges)
    agrees(call, replace(case, hidden=edges))
    more = torch.rand(1, 1, *call.shape[2:]) < share  # hiding adds up, and broadcasts
    call.hide(more)
    agrees(call, replace(case, hidden=edges | more))


@settings(derandomize=True, deadline=None, max_examples=60)
@given(cases())
def test_a_pattern_that_was_put_in_is_what_everyone_sees(case):
    call = case.call()
    call.pattern()
    other = torch.rand(call.shape) * (torch.rand(call.shape) < 0.7)
    call.replace(other)
    z = other.double() @ case.values.double()
    tolerance = (2e-2 if case.query.dtype in HALF else TOLERANCE) * max(1.0, z.abs().max().item())
    assert torch.equal(call.pattern().double(), other.double())
    assert torch.equal(call.seen, other != 0)
    _close(call.output(), z.transpose(1, 2), tolerance)
    _close(call.output_and_lse()[0], z, tolerance)
    _close(torch.exp(call.scores() - call.output_and_lse()[1][..., None]), other, TOLERANCE)
    _close(call.attend_to(torch.ones(*case.values.shape[:3], 1))[..., 0], other.sum(-1), TOLERANCE * 9)


def test_hiding_in_a_pattern_that_was_put_in_keeps_each_rows_sum():
    call = _simple().call()
    put_in = torch.tensor([[0.5, 0.3, 0.0, 0.1, 0.0]]).expand(2, 4, 5, 5).clone()
    put_in[:, :, 4] = torch.tensor([1.0, 0, 0, 0, 0])
    call.replace(put_in)
    call.hide(torch.tensor([True, False, False, False, False]))
    torch.testing.assert_close(call.pattern()[0, 0, 0], torch.tensor([0.0, 0.675, 0.0, 0.225, 0.0]))
    assert (call.pattern()[:, :, 4] == 0).all()
    assert (call.output()[:, 4] == 0).all()
    call.hide(torch.zeros(1, dtype=torch.bool))
    torch.testing.assert_close(call.pattern()[0, 0, 0], torch.tensor([0.0, 0.675, 0.0, 0.225, 0.0]))


@pytest.mark.parametrize("softcap", [None, 9.0])
def test_a_query_left_with_no_key_attends_to_nothing(softcap):
    call = _simple(softcap=softcap).call()
    call.hide(torch.eye(5, dtype=torch.bool) & (torch.arange(5) == 0))  # the first token sees itself only
    assert (call.pattern()[:, :, 0] == 0).all()
    assert (call.output()[:, 0] == 0).all()
    assert (call.output_and_lse()[1][:, :, 0] == 0).all()
    assert (call.pattern()[:, :, 1:].sum(-1) - 1).abs().max() < 1e-6


def test_edits_of_another_shape_or_kind_are_refused():
    call = _simple().call()
    for edges in (torch.zeros(5, 4, dtype=torch.bool), torch.zeros(1, 2, 4, 5, 5, dtype=torch.bool), torch.zeros(5, 5)):
        with pytest.raises(InterventionError, match=r"came; expected bool that broadcasts to \[2, 4, 5, 5\]"):
            call.hide(edges)
    for pattern in (torch.ones(4, 5, 5), torch.full((2, 4, 5, 5), -0.1)):
        with pytest.raises(InterventionError, match=r"came; expected weights of 0 or more, of shape \[2, 4, 5, 5\]"):
            call.replace(pattern)
    torch.testing.assert_close(call.pattern(), _simple().call().pattern())  # and left as it was


# --- Families: plain transformers with eager attention is the reference ----------------------------------------------------------------

VARIED = {  # forms whose extras bite harder than their defaults do
    "gemma2-tight-cap": ("gemma2", lambda module: setattr(module, "attn_logit_softcapping", 0.7)),
    "mixtral-window": ("mixtral", lambda module: setattr(module.config, "sliding_window", 4)),
    "gpt-oss-strong-sinks": ("gpt-oss", lambda module: module.sinks.data.add_(2.0) if hasattr(module, "sinks") else None),
}
FAMILIES = (
    "gpt2 neox neox-serial llama llama-wide-heads mistral mistral-window qwen2 bert roberta opt opt-post-norm qwen3 gemma2 gemma3 phi3 "
    "distilbert electra t5 t5-gated switch bart marian m2m100 mixtral qwen2-moe qwen3-moe olmoe gpt-oss deepseek-v2 deepseek-v3"
)
NAMES = [*FAMILIES.split(), *VARIED]
GENERATING = ["t5", "bart", "gemma2-tight-cap", "gemma3", "gpt-oss", "mixtral-window", "deepseek-v3", "opt"]


def _model(name: str, implementation: str):
    form, change = VARIED.get(name, (name, lambda module: None))
    hf = drawn(form)
    for module in [module for module in hf.modules() if hasattr(module, "config")]:
        change(module)
    attention.register()
    hf.set_attn_implementation(implementation)
    return hf


def _form(name: str):
    return FORMS[VARIED.get(name, (name,))[0]]


def _inputs(name: str, batch: int = 2, n: int = 9, m: int = 6) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    ids = torch.randint(3, 31, (batch, n), generator=generator)
    target = torch.randint(3, 31, (batch, m), generator=generator)
    return {"input_ids": ids, **({"decoder_input_ids": target} if _form(name).paired else {})}


def _out(hf, inputs, **options):
    with torch.no_grad():
        out = hf(**inputs, **options)
    return out, out.logits if hasattr(out, "logits") else out.last_hidden_state


def _eager_patterns(out) -> dict[str, list[torch.Tensor]]:
    if "cross_attentions" in out and out.cross_attentions:
        return {"E": list(out.encoder_attentions), "D": list(out.decoder_attentions), "X": list(out.cross_attentions)}
    return {"": list(out.attentions)}


def _is_attention(module: torch.nn.Module) -> bool:
    return type(module).__name__.endswith("Attention")


def _place(hf, paired: bool) -> None:
    """Say of each attention module where it stands: the innermost ones, in the order of layers."""
    counts = {"": 0, "E": 0, "D": 0, "X": 0}
    for path, module in hf.named_modules():
        if _is_attention(module) and not any(_is_attention(inner) for inner in list(module.modules())[1:]):
            cross = "EncDecAttention" in path or "encoder_attn" in path
            stack = (
                ("X" if cross else "E" if "encoder." in path.removeprefix("model.") and "decoder." not in path else "D") if paired else ""
            )
            attention.place(module, Point(kind="pattern", layer=counts[stack], stack=stack))
            counts[stack] += 1


class Asks:
    """A watcher that takes what it is asked to take from each call."""

    kinds = frozenset({"pattern"})

    def __init__(self, take):
        self.take, self.found = take, {}

    def at(self, point, tensor):
        return None

    def attend(self, point, call):
        self.found.setdefault(point.stack, []).append(self.take(call))


def off(ours, theirs) -> float:
    return ((ours - theirs).abs().max() / theirs.abs().max().clamp_min(1.0)).item()


@pytest.mark.parametrize("name", NAMES)
def test_logits_and_patterns_are_eager_transformers_watched_or_not(name):
    eager, ours, inputs = _model(name, "eager"), _model(name, "interp"), _inputs(name)
    _place(ours, _form(name).paired)
    out, logits = _out(eager, inputs, output_attentions=True)
    assert off(_out(ours, inputs)[1], logits) <= TOLERANCE
    for take in (lambda call: None, AttentionCall.pattern, AttentionCall.output_and_lse):
        with watching(asks := Asks(take)):
            assert off(_out(ours, inputs)[1], logits) <= TOLERANCE
        if take is AttentionCall.pattern:
            patterns = asks.found
    expected = _eager_patterns(out)
    assert {stack: len(layers) for stack, layers in patterns.items()} == {stack: len(layers) for stack, layers in expected.items()}
    for stack, layers in expected.items():
        assert all(off(mine, plain) <= TOLERANCE for mine, plain in zip(patterns[stack], layers, strict=True)), stack
        assert off(patterns[stack][0], layers[1]) > 0.01  # and not another layer's


@pytest.mark.parametrize("name", NAMES)
def test_padding_is_read_as_eager_reads_it(name):
    eager, ours, inputs = _model(name, "eager"), _model(name, "interp"), _inputs(name)
    _place(ours, _form(name).paired)
    mask = torch.ones_like(inputs["input_ids"])
    mask[0, 6:] = 0
    inputs = {**inputs, "attention_mask": mask}
    keep = torch.ones(2, 6, dtype=torch.bool) if _form(name).paired else mask.bool()
    expected = _out(eager, inputs)[1][keep]
    assert off(_out(ours, inputs)[1][keep], expected) <= TOLERANCE
    with watching(asks := Asks(AttentionCall.pattern)):
        assert off(_out(ours, inputs)[1][keep], expected) <= TOLERANCE
    stack = "X" if _form(name).paired else ""
    assert all((pattern[0, ..., :6, 6:] == 0).all() for pattern in asks.found[stack])


@pytest.mark.parametrize("name", GENERATING)
def test_generation_with_a_cache_is_eager_transformers(name):
    options = {"max_new_tokens": 8, "min_new_tokens": 8, "do_sample": False, "pad_token_id": 1}
    ids = _inputs(name, batch=1)["input_ids"]
    ours = _model(name, "interp")
    _place(ours, _form(name).paired)
    run = lambda hf: hf.generate(ids, attention_mask=torch.ones_like(ids), **options).tolist()  # noqa: E731
    with watching(Asks(AttentionCall.pattern)):
        watched = run(ours)
    assert run(ours) == watched == run(_model(name, "eager"))


class Editor(Asks):
    """A watcher that edits each call of one stack."""

    def __init__(self, stack, edit):
        super().__init__(edit)
        self.stack = stack

    def attend(self, point, call):
        if point.stack == self.stack:
            self.take(call)


@pytest.mark.parametrize(
    "name", ["t5", "switch", "gemma2-tight-cap", "gpt-oss-strong-sinks", "deepseek-v2", "bart", "opt", "bert", "mixtral-window"]
)
def test_a_hidden_edge_is_the_eager_model_with_a_longer_mask(name):
    """Masks are added after cap and bias, so one that hides an edge in every head of every layer is the same thing done by transformers."""
    eager, ours, inputs = _model(name, "eager"), _model(name, "interp"), _inputs(name, batch=1)
    paired = _form(name).paired
    _place(ours, paired)
    stack, n, m = ("X", 6, 9) if paired else ("", 9, 9)
    edges = torch.zeros(n, m, dtype=torch.bool)
    edges[4, 2] = edges[5, 3] = True
    before = _out(ours, inputs)[1]
    with watching(Editor(stack, lambda call: call.hide(edges))), watching(asks := Asks(AttentionCall.pattern)):
        after = _out(ours, inputs)[1]
    hidden = torch.zeros(n, m).masked_fill(edges, torch.finfo(torch.float32).min)
    for path, module in eager.named_modules():
        inner = _is_attention(module) and not any(_is_attention(one) for one in list(module.modules())[1:])
        if inner and ("EncDecAttention" in path or "encoder_attn" in path or not paired):
            _add_to_mask(module, hidden)
    assert off(after, _out(eager, inputs)[1]) <= TOLERANCE
    assert (after - before).abs().max() > 1e-3
    assert all((pattern[..., edges] == 0).all() for pattern in asks.found[stack])  # who came later sees the edited pattern
    assert torch.equal(_out(ours, inputs)[1], before)


def _add_to_mask(module, hidden):
    """Every family's attention takes its mask by name or as the argument that has four axes."""

    def more(args, kwargs):
        for key in ("attention_mask", "mask"):
            if key in kwargs:
                mask = kwargs[key]
                return args, {
                    **kwargs,
                    key: hidden[None, None] if mask is None else (mask + hidden).clamp_min(torch.finfo(torch.float32).min),
                }
        four = [place for place, arg in enumerate(args) if torch.is_tensor(arg) and arg.ndim == 4]
        assert len(four) == 1, "no mask was found"
        return tuple(arg + hidden if place == four[0] else arg for place, arg in enumerate(args)), kwargs

    module.register_forward_pre_hook(lambda module, args, kwargs: more(args, kwargs), with_kwargs=True)


def test_a_pattern_put_in_is_what_flows_on():
    """In BART's cross-attention: each decoder position made to read the first source token only."""
    name = "bart"
    ours, inputs = _model(name, "interp"), _inputs(name, batch=1)
    _place(ours, True)
    first = torch.zeros(1, 4, 6, 9)
    first[..., 0] = 1.0
    seen = []
    with (
        watching(Editor("X", lambda call: call.replace(first))),
        watching(Editor("X", lambda call: seen.append((call.output(), call.value)))),
    ):
        _out(ours, inputs)
    assert all(torch.equal(output, value[:, :, :1].expand(-1, -1, 6, -1).transpose(1, 2)) for output, value in seen)


def test_editors_act_in_the_order_in_which_they_came():
    ours, inputs = _model("gemma2", "interp"), _inputs("gemma2", batch=1)
    _place(ours, False)
    uniform = torch.ones(1, 4, 9, 9).tril() / torch.arange(1, 10)[:, None]
    first_key = torch.arange(9) == 0
    hide, put = (Editor("", edit) for edit in (lambda call: call.hide(first_key), lambda call: call.replace(uniform)))
    found = {}
    for order, editors in {"hide last": (put, hide), "hide first": (hide, put)}.items():
        with (
            watching(before := Asks(AttentionCall.pattern)),
            watching(editors[0]),
            watching(editors[1]),
            watching(after := Asks(AttentionCall.pattern)),
        ):
            _out(ours, inputs)
        found[order] = after.found[""][0]
        assert off(before.found[""][0], after.found[""][0]) > 0.01  # who came earlier saw what was before the edits
    assert torch.equal(found["hide first"][0], uniform[0])
    assert (found["hide last"][..., 0] == 0).all()


def test_sdpa_alone_would_be_wrong_where_it_is_not_taken():
    """The negative control: why caps and sinks take our own way with nobody watching."""
    for name, problem in {"gpt-oss": None, "gemma2": "does not support `softcap`"}.items():
        eager, plain, inputs = _model(name, "eager"), copy.deepcopy(_model(name, "interp")), _inputs(name)
        plain.config._attn_implementation = "sdpa"
        if problem is None:
            assert off(_out(plain, inputs)[1], _out(eager, inputs)[1]) > 0.01
        else:
            with pytest.raises(ValueError, match=problem):
                _out(plain, inputs)


def test_dropout_is_refused_rather_than_left_out():
    query, key, value = (torch.randn(1, 2, 3, 4) for _ in range(3))
    with pytest.raises(ModelUnsupported, match=r"dropout=0\.1\); expected a model in evaluation mode"):
        attention.attention(torch.nn.Identity(), query, key, value, None, dropout=0.1, softcap=3.0)
    attention.attention(torch.nn.Identity(), query, key, value, None, dropout=0.1)  # plain SDPA may train
