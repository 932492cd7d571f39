"""A grown model does what the one did that it grew from, and all that is new can learn."""

import pytest
import torch
from transformers import GPT2Config, GPT2LMHeadModel

from interp.lab.growth import grow


def _gpt2(n_layers: int, d_model: int, seed: int) -> GPT2LMHeadModel:
    torch.manual_seed(seed)
    config = GPT2Config(
        vocab_size=50, n_positions=16, n_embd=d_model, n_layer=n_layers, n_head=4, bos_token_id=0, eos_token_id=0,
        resid_pdrop=0.0, embd_pdrop=0.0, attn_pdrop=0.0, initializer_range=0.1,
    )  # fmt: skip
    return GPT2LMHeadModel(config).eval()


@pytest.fixture
def ids() -> torch.Tensor:
    return torch.randint(0, 50, (8, 16), generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize(("n_layers", "d_model"), [(2, 256), (3, 256), (4, 192)])
def test_a_grown_model_says_what_the_narrow_one_said(ids, n_layers, d_model):
    narrow = _gpt2(2, 128, seed=0)
    before = narrow(ids).logits
    wide = grow(narrow, _gpt2(n_layers, d_model, seed=1), ids)
    after, other = wide(ids).logits, _gpt2(n_layers, d_model, seed=1)(ids).logits

    def same(logits: torch.Tensor) -> float:
        return torch.corrcoef(torch.stack([before.flatten(), logits.flatten()]))[0, 1].item()

    assert same(after) > 0.97, same(after)  # not 1: a norm's gain knows the mean of the tokens' variances, not each
    assert abs(same(other)) < 0.2
    assert (before.log_softmax(-1) - after.log_softmax(-1)).abs().mean() < 0.25 * before.std()


def test_all_that_is_new_can_learn(ids):
    wide = grow(_gpt2(2, 128, seed=0), _gpt2(3, 256, seed=1), ids).train()
    begun = {name: parameter.detach().clone() for name, parameter in wide.named_parameters()}
    optimizer = torch.optim.SGD(wide.parameters(), lr=0.1)
    for _ in range(3):  # a weight behind a zero has its gradient one step later
        torch.nn.functional.cross_entropy(wide(ids).logits[:, :-1].flatten(0, 1), ids[:, 1:].flatten()).backward()
        optimizer.step()
        optimizer.zero_grad()
    for name, parameter in wide.named_parameters():
        moved = (parameter != begun[name]).double().mean().item()
        assert moved > 0.9, (name, moved)
