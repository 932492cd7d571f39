"""Knocking edges out: what naive attention with -inf in their place gives, in its model and its block only, and never silent."""

import pytest
import torch

from interp.captures.prompt import capture
from interp.core.errors import CheckFailed, DataError, InterventionError, SiteError
from interp.core.sites import Site
from interp.interventions.ablate import ablate
from interp.interventions.knock_out import knock_out
from interp.models.attention import AttentionCall
from interp.models.load import load_model
from interp.models.points import Point, watchers, watching

TEXT = "the old man saw a dog"
EDGES = [(3, 1), (4, 0), (4, 2)]
TOLERANCE = 1e-5
ONE_STACK = ["gpt2", "mistral-window", "qwen3", "gemma2", "gpt-oss", "deepseek-v3", "mixtral", "opt", "bert"]
PAIRED = ["t5", "switch", "bart", "m2m100"]


class _Naive:
    """An editor of its own: writes each named head's rows anew from scores to which -inf is added, by a softmax of its own."""

    kinds = frozenset({"pattern"})

    def __init__(self, stack, layer, head, edges):
        self.place, self.head, self.edges = (stack, layer), head, edges

    def at(self, point: Point, tensor: torch.Tensor) -> None:
        return None

    def attend(self, point: Point, call: AttentionCall) -> None:
        if (point.stack, point.layer) != self.place:
            return
        scores = call.scores().double()
        for query, key in self.edges:
            scores[:, self.head, query, key] = -torch.inf
        sink = torch.full_like(scores[..., :1], -torch.inf)
        if call.sinks is not None:
            sink = call.sinks.double()[:, None, None].expand_as(sink)
        call.replace(torch.cat([scores, sink], -1).softmax(-1)[..., :-1])


def _texts(tiny):
    return {"text": TEXT, **({"target": "they went home by the sea"} if tiny.form.paired else {})}


def _capture(tiny):
    return capture(tiny.model, **_texts(tiny))


def _places(tiny):
    return ["E", "D", "X"] if tiny.form.paired else [""]


def _used(seen, stack, layer, head):
    """The edges that a head uses most: what queries 3 to 5 look at."""
    best = seen.tensor("pattern", layer, stack)[head, 3:6].argmax(-1)
    return [(3 + row, key) for row, key in enumerate(best.tolist())]


def _out(seen):
    return seen.logits if seen.logits is not None else seen.tensor("resid_post", 1)


def _site(stack, layer, head):
    return f"{stack}L{layer}H{head}"


@pytest.mark.parametrize("name", [*ONE_STACK, *PAIRED])
def test_it_is_naive_attention_without_the_edges_in_every_family(tiny_named, name):
    tiny = tiny_named(name)
    before = _capture(tiny)
    for stack in _places(tiny):
        edges = _used(before, stack, 1, 2)
        with knock_out(tiny.model, _site(stack, 1, 2), edges):
            seen = _capture(tiny)
        with watching(_Naive(stack, 1, 2, edges)):
            naive = _capture(tiny)
        torch.testing.assert_close(_out(seen), _out(naive), atol=TOLERANCE * 10, rtol=TOLERANCE)
        assert (_out(seen) - _out(before)).abs().max() > 1e-4
        assert torch.equal(_out(_capture(tiny)), _out(before))  # undone
    assert watchers() == ()


@pytest.mark.parametrize("name", ["gpt2", "gemma2", "gpt-oss", "bert"])
def test_a_capture_inside_sees_the_edges_gone_and_the_rest_renormalised(tiny_named, name):
    tiny = tiny_named(name)
    before = _capture(tiny)
    with knock_out(tiny.model, ["L0H1", "L0H3", "L1H0"], [(3, 1), (4, 2)]):
        seen = _capture(tiny)
    ours, plain = seen.tensor("pattern", 0), before.tensor("pattern", 0)
    for head in (1, 3):
        assert ours[head, 3, 1] == ours[head, 4, 2] == 0
        torch.testing.assert_close(ours[head, :3], plain[head, :3])  # other queries are as they were
        kept = torch.arange(ours.shape[-1]) != 1
        ratio = ours[head, 3, kept] / plain[head, 3, kept]
        assert (ratio[plain[head, 3, kept] > 0] > 1).all()  # what is left takes over
    assert torch.equal(ours[[0, 2]], plain[[0, 2]])
    assert (seen.tensor("pattern", 1)[0, [3, 4], [1, 2]] == 0).all()
    if name != "gpt-oss":
        assert (ours.sum(-1) - 1).abs().max() <= TOLERANCE
    assert seen.reconstruction_error <= TOLERANCE


def test_a_token_that_may_not_look_at_itself_alone_attends_to_nothing(tiny_named):
    tiny = tiny_named("gpt2")
    with knock_out(tiny.model, "L0H0", [(0, 0)]):
        seen = _capture(tiny)
    assert (seen.tensor("pattern", 0)[0, 0] == 0).all()
    assert (seen.tensor("z", 0)[0, 0] == 0).all()
    assert seen.tensor("z", 0)[0, 1].abs().max() > 0


def test_knock_outs_and_ablations_inside_one_another_add_up(tiny_named):
    tiny = tiny_named("llama")
    with knock_out(tiny.model, "L0H0", EDGES), knock_out(tiny.model, "L0H0", [(2, 1)]), knock_out(tiny.model, "L1H1", [(5, 0)]):
        nested = _capture(tiny)
    assert (nested.tensor("pattern", 0)[0, [3, 4, 4, 2], [1, 0, 2, 1]] == 0).all()
    with knock_out(tiny.model, "L1H1", [(5, 0)]), knock_out(tiny.model, "L0H0", [*EDGES, (2, 1)]):
        torch.testing.assert_close(_capture(tiny).logits, nested.logits)
    with knock_out(tiny.model, "L0H0", EDGES), ablate(tiny.model, "L0H1", how="zero"):
        both = _capture(tiny)
    assert (both.tensor("z", 0)[:, 1] == 0).all()
    assert (both.tensor("pattern", 0)[0, [3, 4], [1, 0]] == 0).all()


def test_each_text_of_a_batch_is_edited(tiny_named):
    model = tiny_named("gemma2").model
    ids = torch.tensor([[4, 5, 6, 7, 8, 9]])
    with knock_out(model, "L0H1", EDGES[:1]):
        both = model.run(torch.cat([ids, ids.flip(1)]))
        alone = torch.cat([model.run(ids), model.run(ids.flip(1))])
    torch.testing.assert_close(both, alone, atol=1e-5, rtol=1e-5)
    assert all((one - plain).abs().max() > 1e-4 for one, plain in zip(both, model.run(torch.cat([ids, ids.flip(1)])), strict=True))


def test_another_model_in_the_block_is_not_touched(tiny_named, fresh, word_tokenizer):
    tiny, other = tiny_named("gpt2"), load_model(fresh("gpt2", seed=1), word_tokenizer())
    before = capture(other, TEXT).logits
    with knock_out(tiny.model, "L0H0", EDGES):
        assert torch.equal(capture(other, TEXT).logits, before)
        _capture(tiny)
    with pytest.raises(InterventionError, match="the knock-out in L0H0 never fired"), knock_out(tiny.model, "L0H0", EDGES):
        capture(other, TEXT)


def test_a_block_in_which_nothing_ran_raises(tiny_named):
    never = "the knock-out in L0H0, L1H2 never fired: no model ran inside the block"
    with pytest.raises(InterventionError, match=never), knock_out(tiny_named("gpt2").model, ["L0H0", "L1H2"], EDGES):
        pass


def test_edges_that_are_masked_already_raise(tiny_named):
    gpt2 = tiny_named("gpt2")
    with (
        pytest.raises(InterventionError, match="L0H0, L1H1 changed nothing: no weight lay"),
        knock_out(gpt2.model, ["L0H0", "L1H1"], [(1, 4)]),
    ):
        _capture(gpt2)
    windowed = tiny_named("mistral-window")
    with pytest.raises(InterventionError, match="changed nothing"), knock_out(windowed.model, "L0H0", [(5, 0)]):
        _capture(windowed)
    with knock_out(tiny_named("bert").model, "L0H0", [(1, 4)]):  # an encoder looks ahead
        _capture(tiny_named("bert"))


@pytest.mark.parametrize(
    ("name", "edges", "hidden"),
    [("gpt2", [(4, 1), (1, 4), (0, 2)], r"\(0, 2\), \(1, 4\)"), ("mistral-window", [(5, 4), (5, 0)], r"\(5, 0\)")],
)
def test_an_edge_that_is_masked_already_raises_beside_one_that_is_not(tiny_named, name, edges, hidden):
    """What is reported of several edges would else be the effect of some of them."""
    tiny = tiny_named(name)
    nothing = f"the knock-out in L0H1 had nothing to hide along {hidden}: a mask hides that already"
    with pytest.raises(InterventionError, match=nothing), knock_out(tiny.model, ["L0H1"], edges):
        _capture(tiny)
    with knock_out(tiny.model, ["L0H1"], edges[:1]):
        _capture(tiny)


def test_an_edge_that_one_text_of_several_lets_through_is_taken(tiny_named):
    """A padded key is seen by nobody in its text; in the other text, or in a run after it, the edge is there."""
    model, ids = tiny_named("bert").model, torch.tensor([[0, 4, 5, 6, 2], [0, 4, 5, 2, 1]])
    mask = (ids != 1).long()
    with knock_out(model, "L0H1", [(1, 4)]):
        model.run(ids, mask)
    with knock_out(model, "L0H1", [(1, 4), (1, 2)]):
        model.run(ids[1:], mask[1:])
        model.run(ids[:1], mask[:1])
    with pytest.raises(InterventionError, match=r"nothing to hide along \(1, 4\)"), knock_out(model, "L0H1", [(1, 4), (1, 2)]):
        model.run(ids[1:], mask[1:])


def test_the_same_edges_twice_raise_the_second_time(tiny_named):
    tiny = tiny_named("gpt2")
    with (
        knock_out(tiny.model, "L0H0", EDGES),
        pytest.raises(InterventionError, match="L0H0 changed nothing"),
        knock_out(tiny.model, "L0H0", EDGES),
    ):
        _capture(tiny)


def test_an_edit_that_hides_nothing_is_caught(tiny_named, monkeypatch):
    """The negative control of the tests above: the weights are looked at before and after."""
    tiny = tiny_named("gpt2")
    monkeypatch.setattr(AttentionCall, "hide", lambda call, edges: None)
    with pytest.raises(InterventionError, match="L0H0 changed nothing"), knock_out(tiny.model, "L0H0", EDGES):
        tiny.model.run(torch.tensor([[4, 5, 6, 7, 8]]))


@pytest.mark.parametrize("edge", [(6, 0), (0, 6), (40, 41)])
def test_edges_outside_of_the_text_are_refused(tiny_named, edge):
    outside = r"lies outside of the text that runs: its queries are 0-5, its keys 0-5"
    with pytest.raises(InterventionError, match=outside), knock_out(tiny_named("gpt2").model, "L0H0", [(3, 1), edge]):
        tiny_named("gpt2").model.run(torch.tensor([[4, 5, 6, 7, 8, 9]]))


def test_in_cross_attention_queries_are_the_decoders_and_keys_the_encoders(tiny_named):
    model = tiny_named("t5").model
    run = lambda: model.run(torch.tensor([[4, 5, 6, 7, 8]]), target=torch.tensor([[0, 5, 6]]))  # noqa: E731
    with knock_out(model, "XL0H0", [(2, 4)]):
        run()
    for edge in [(3, 0), (0, 5)]:
        outside = "its queries are 0-2, its keys 0-4"
        with pytest.raises(InterventionError, match=outside), knock_out(model, "XL0H0", [edge]):
            run()


def test_what_cannot_be_knocked_out_is_refused_before_the_block(tiny_named):
    model = tiny_named("gpt2").model
    for error, heads, edges, message in [
        (SiteError, "L2H0", EDGES, "L2H0: this model has layers 0-1"),
        (SiteError, "L0H4", EDGES, "L0H4: this model has heads 0-3"),
        (SiteError, "L0N3", EDGES, "L0N3 is a neuron; expected a head"),
        (SiteError, "XL0H0", EDGES, "stack 'X'"),
        (SiteError, Site(layer=0, kind="neuron", index=3), EDGES, "L0N3 is a neuron; expected a head"),
        (InterventionError, [], EDGES, "no head was named"),
        (DataError, "L0H0", [], "no edge came; expected at least one"),
        (DataError, "L0H0", [(2, 1), (-1, 0)], r"edge \(-1, 0\) came; expected positions counted from 0"),
    ]:
        with pytest.raises(error, match=message), knock_out(model, heads, edges):
            raise AssertionError("the block ran")


def test_a_model_whose_patterns_failed_their_check_is_refused(tiny_named):
    from dataclasses import replace

    model = replace(tiny_named("gpt2").model, disabled={"knock-out": "the self-check failed: a figure"})
    with pytest.raises(CheckFailed, match="knock-out is disabled"), knock_out(model, "L0H0", EDGES):
        raise AssertionError("the block ran")


@pytest.mark.parametrize("name", ["gpt2", "gemma2", "t5"])
def test_a_key_value_cache_is_refused(tiny_named, name):
    """With a cache the model reads one token at a time: which one is not said. Cross-attention has other queries than keys by right."""
    tiny = tiny_named(name)
    ids = torch.tensor([[4, 5, 6, 7, 8, 9]])
    options = {"attention_mask": torch.ones_like(ids), "max_new_tokens": 3, "do_sample": False, "eos_token_id": None, "pad_token_id": 1}
    head = "XL0H0" if tiny.form.paired else "L0H0"
    with pytest.raises(InterventionError, match="runs with a key-value cache"), knock_out(tiny.model, head, [(0, 0)]):
        tiny.model.hf.generate(ids, **options)
    with knock_out(tiny.model, head, [(0, 0)]):
        tiny.model.hf.generate(ids, use_cache=False, **options)
