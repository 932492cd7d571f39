"""A model spread over two devices gives the numbers of the same model on one; nothing meets a tensor of another device on the way."""

import pytest
import torch
from pretended_devices import Pretended, spread, tag, where

import interp
from interp.captures.prompt import capture
from interp.checks.selfcheck import check

TEXT = "by the sea the old dog saw a man"
LONGER = [
    "they saw the sea and they saw the sea and they saw the old dog",
    "it was cold then they went home and she said nothing but it was",
]


def _second(model) -> tuple[str, ...]:
    """All blocks but the first of each stack, and the final norms."""
    stacks = model.anatomy.stacks.values()
    return tuple(path for stack in stacks for path in [*stack.blocks[1:], stack.ln_final] if path)


@pytest.fixture(params=["gpt2", "llama", "bert", "gemma2", "opt", "t5", "bart"])
def split(request, tiny_named):
    """A model and a `with` block in which it is spread."""
    one = tiny_named(request.param)
    return one, lambda: spread(one.model.hf, _second(one.model))


def test_the_pretence_refuses_what_two_gpus_would():
    with Pretended():
        first, second = torch.ones(2, device="cuda:0"), torch.ones(2, device="cuda:1")
        with pytest.raises(RuntimeError, match="expected all tensors on one device, found cuda:0, cuda:1"):
            first + second
        with pytest.raises(RuntimeError, match="found cpu, cuda:0"):
            torch.stack([first, torch.ones(2)])
        assert (first.to(second.device) + second).device == torch.device("cuda:1")
        assert (first * torch.tensor(2.0)).device == first.device  # a number by itself may come from the CPU
        assert first.cpu().device == torch.device("cpu")
        assert where(first[:1]) == where(torch.zeros_like(first)) == torch.device("cuda:0")
    tag(plain := torch.ones(2), "cuda:0")
    assert plain.device == torch.device("cpu")


def test_it_passes_its_check(split):
    one, spread_out = split
    with spread_out():
        report = check(one.model)
    assert report.passed, [str(finding) for finding in report.findings if not finding.passed]


def test_captures_are_those_of_one_device(split):
    one, spread_out = split
    before = one.capture()
    with spread_out():
        seen = one.capture()
        assert {str(tensor.device) for tensor in seen.arrays.values()} == {"cuda:0", "cuda:1"}
        streams, entropies = seen.stream(), seen.head_map("entropy")
        toward = seen.contributions("dog") if one.form.readout and not one.form.headless and not one.form.encoder else None
    assert seen.reconstruction_error <= 1e-5
    for ours, theirs in ((streams, before.stream()), (entropies, before.head_map("entropy"))):
        assert float(abs(ours - theirs).max()) < 1e-4
    if toward is not None:
        assert toward.error < 1e-4


def test_ablations_and_a_corpus_are_those_of_one_device(split):
    one, spread_out = split
    over = [(text, "they went home") if one.form.paired else text for text in LONGER]
    head = "DL1H0" if one.form.paired else "L1H0"

    def numbers() -> list[torch.Tensor]:
        found = []
        for how in ("zero", "mean"):
            with interp.ablate(one.model, head, how=how, over=over):
                found.append(capture(one.model, TEXT, **({"target": "they went home"} if one.form.paired else {})).logits)
        profile = None if one.form.paired else interp.profile(one.model, LONGER)
        return found + ([] if profile is None else [torch.tensor(profile[name].values) for name in ("entropy", "induction", "distance")])

    before = numbers()
    with spread_out():
        after = numbers()
    for ours, theirs in zip(after, before, strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-4, rtol=1e-4, equal_nan=True)
