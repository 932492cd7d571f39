"""Attention in every family, watched and edited: plain transformers with eager attention is the reference.

Tolerance 1e-5, relative to the largest number where that is above 1: rounding of a few hundred float32 operations.
"""

import copy

import pytest
import torch
from tiny_families import FORMS, drawn

from interp.models import attention
from interp.models.attention import AttentionCall
from interp.models.points import Point, watching

TOLERANCE = 1e-5

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
