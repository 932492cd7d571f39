"""Mixtures of experts, family by family: what is shown is what the FFN computes, and what is edited takes effect.

Tolerance 1e-5, relative to the largest number where that is above 1: rounding of a few hundred float32 operations.
What an expert would write is asked of transformers itself: its experts, called with that expert alone and a weight of 1.
"""

import contextvars
import copy
import math
import threading

import pytest
import torch
import transformers

from interp.core.errors import InterventionError, ModelUnsupported, SiteError
from interp.models import experts
from interp.models.points import Point, watching

TOLERANCE = 1e-5
E, K, D, NEURONS = 4, 2, 16, 8
SIZES = {"vocab_size": 31, "hidden_size": D, "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2}
SIZES |= {"bos_token_id": 0, "pad_token_id": 1, "eos_token_id": 2, "max_position_embeddings": 40, "num_experts_per_tok": K}
NARROW = {"intermediate_size": 24, "moe_intermediate_size": NEURONS}
LATENT = {"q_lora_rank": 8, "kv_lora_rank": 8, "qk_rope_head_dim": 4, "qk_nope_head_dim": 4, "v_head_dim": 4, "n_shared_experts": 2}
LATENT |= {**SIZES, **NARROW, "num_key_value_heads": 4, "n_routed_experts": E, "first_k_dense_replace": 1, "routed_scaling_factor": 1.7}
GROUPS = {"n_group": 2, "topk_group": 1}
SWITCH = {"vocab_size": 31, "d_model": D, "d_kv": 4, "d_ff": NEURONS, "num_layers": 2, "num_heads": 4, "num_experts": E, "pad_token_id": 1}
SWITCH |= {"num_sparse_encoder_layers": 2, "num_sparse_decoder_layers": 2, "expert_capacity": 2, "router_bias": True}
FORMS = {
    "mixtral": ("Mixtral", {**SIZES, "intermediate_size": NEURONS, "num_local_experts": E}),
    "qwen2_moe": ("Qwen2Moe", {**SIZES, **NARROW, "num_experts": E, "shared_expert_intermediate_size": 12}),
    "qwen2_moe-normed": ("Qwen2Moe", {**SIZES, **NARROW, "num_experts": E, "shared_expert_intermediate_size": 12, "norm_topk_prob": True}),
    "qwen3_moe": ("Qwen3Moe", {**SIZES, **NARROW, "num_experts": E, "norm_topk_prob": True}),
    "olmoe": ("Olmoe", {**SIZES, "intermediate_size": NEURONS, "num_experts": E}),
    "deepseek_v2": ("DeepseekV2", LATENT),
    "deepseek_v2-groups": ("DeepseekV2", {**LATENT, **GROUPS, "topk_method": "group_limited_greedy", "mlp_bias": True}),
    "deepseek_v3": ("DeepseekV3", {**LATENT, "n_group": 1, "topk_group": 1}),
    "deepseek_v3-groups": ("DeepseekV3", {**LATENT, **GROUPS}),
    "gpt_oss": ("GptOss", {**SIZES, "intermediate_size": NEURONS, "num_local_experts": E, "head_dim": 4, "swiglu_limit": 0.7}),
    "switch": ("SwitchTransformers", SWITCH),
}
STACKED = [name for name in FORMS if name != "switch"]
IDS = torch.tensor([[4, 5, 6, 7, 8, 9, 10], [11, 5, 5, 5, 12, 13, 3], [20, 21, 22, 23, 24, 25, 26]])


def drawn(name: str) -> transformers.PreTrainedModel:
    """The tiny model with every parameter and DeepSeek's correction bias drawn."""
    family, options = FORMS[name]
    head = "ForConditionalGeneration" if family == "SwitchTransformers" else "ForCausalLM"
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        hf = getattr(transformers, family + head)(getattr(transformers, f"{family}Config")(**options))
        for tensor in hf.parameters():
            torch.nn.init.normal_(tensor, mean=1.0 if tensor.ndim == 1 else 0.0, std=0.4)
        for key, buffer in hf.named_buffers():
            if key.endswith("correction_bias"):
                torch.nn.init.normal_(buffer, std=0.2)
    return hf.eval()


class Routed:
    """A tiny model with hooks attached, and what its FFNs read and wrote when it last ran."""

    def __init__(self, name: str, dtype: torch.dtype = torch.float32):
        self.name, self.hf = name, drawn(name).to(dtype)
        self.ffns = [module for module in self.hf.modules() if experts.is_routed(module)]
        self.read: dict[int, torch.Tensor] = {}
        self.wrote: dict[int, torch.Tensor] = {}
        for layer, ffn in enumerate(self.ffns):
            experts.attach(ffn, lambda kind, layer=layer: Point(kind=kind, layer=layer))
            ffn.register_forward_hook(lambda _, args, out, layer=layer: self._keep(layer, args[0], out))

    def _keep(self, layer, read, wrote):
        self.read[layer], self.wrote[layer] = read.detach(), (wrote[0] if isinstance(wrote, tuple) else wrote).detach()

    def run(self, ids: torch.Tensor = IDS) -> torch.Tensor:
        with torch.no_grad():
            return logits(self.hf, ids)


def logits(hf, ids):
    return hf(input_ids=ids, **({"decoder_input_ids": ids.flip(1)} if hf.config.is_encoder_decoder else {})).logits


class Watching:
    def attend(self, point, call):
        pass


class See(Watching):
    def __init__(self, *kinds):
        self.kinds, self.seen = frozenset(kinds), {}

    def at(self, point, tensor):
        self.seen[point.kind, point.layer] = tensor


class Edit(Watching):
    """Puts `change(tensor)` in place of what stands at a kind of one FFN."""

    def __init__(self, change, kind="expert_weights", layer=0):
        self.kinds, self.change, self.layer = frozenset([kind]), change, layer

    def at(self, point, tensor):
        return self.change(tensor) if point.layer == self.layer else None


def off(ours, theirs) -> float:
    return ((ours.float() - theirs.float()).abs().max() / theirs.float().abs().max().clamp_min(1.0)).item()


def alone(ffn, x, expert):
    """What transformers' own experts write when each token goes through this one, with weight 1."""
    rows = x.reshape(-1, D)
    index, weights = torch.full((len(rows), 1), expert), torch.ones(len(rows), 1, dtype=x.dtype)
    chosen = torch.nn.functional.one_hot(index, E) if isinstance(ffn.experts, torch.nn.ModuleDict) else index
    return ffn.experts(rows, chosen, weights).detach().reshape(x.shape)


def seen(routed, ids=IDS):
    see = See("router_probs", "expert_weights")
    with watching(see):
        routed.run(ids)
    return see.seen


@pytest.fixture(params=FORMS)
def routed(request) -> Routed:
    return Routed(request.param)


def test_every_family_has_the_sizes_of_its_config(routed):
    ffn, dense_first = routed.ffns[0], routed.name.startswith("deepseek")
    assert len(routed.ffns) == (4 if routed.name == "switch" else 1 if dense_first else 2)
    assert (experts.n_experts(ffn), experts.d_expert(ffn)) == (E, NEURONS)
    assert experts.n_active(ffn) == (1 if routed.name == "switch" else K)
    assert experts.has_shared(ffn) == routed.name.startswith(("qwen2", "deepseek"))
    if dense_first:
        assert not experts.is_routed(routed.hf.model.layers[0].mlp)
        assert experts.shared_W_out(ffn).shape == (2 * NEURONS, D)


def test_rebuild_is_what_the_ffn_writes(routed):
    found = seen(routed)
    for layer, ffn in enumerate(routed.ffns):
        weights = found["expert_weights", layer]
        assert off(experts.rebuild(ffn, routed.read[layer], weights), routed.wrote[layer]) <= TOLERANCE
        assert off(experts.rebuild(ffn, routed.read[layer], weights.roll(1, -1)), routed.wrote[layer]) > 0.01
        assert off(experts.rebuild(ffn, routed.read[layer], 1.01 * weights), routed.wrote[layer]) > 1e-3


def test_neurons_times_W_out_is_what_an_expert_writes_chosen_or_not(routed):
    routed.run()
    ffn, x = routed.ffns[0], routed.read[0]
    for expert in range(E):
        neurons, weight = experts.expert_neurons(ffn, x, expert), experts.expert_W_out(ffn, expert)
        assert neurons.shape == (*x.shape[:-1], NEURONS)
        assert weight.shape == (NEURONS, D)
        bias = experts.expert_b_out(ffn, expert)
        assert bool(bias.any()) == (routed.name == "gpt_oss")
        assert off(neurons @ weight + bias, alone(ffn, x, expert)) <= TOLERANCE
        assert off(neurons @ weight + bias, alone(ffn, x, (expert + 1) % E)) > 0.01
        assert off(experts.expert_neurons(ffn, x[0, 2], expert), neurons[0, 2]) <= TOLERANCE  # of one vector, too


def test_neurons_are_made_of_gate_and_up(routed):
    routed.run()
    ffn, x = routed.ffns[0], routed.read[0]
    gate, up = experts.expert_gate_up(ffn, x, 3)
    if routed.name == "switch":
        assert gate is None
        made, swapped = up.relu(), -(-up).relu()
    elif routed.name == "gpt_oss":
        assert (gate > 0.7).any()  # or the clamp would not be tested
        assert (up.abs() > 0.7).any()
        clamped, limited = gate.clamp(max=0.7), up.clamp(-0.7, 0.7)
        made, swapped = (limited + 1) * clamped * torch.sigmoid(1.702 * clamped), (up + 1) * gate * torch.sigmoid(1.702 * gate)
    else:
        made, swapped = torch.nn.functional.silu(gate) * up, torch.nn.functional.silu(up) * gate
    assert off(experts.expert_neurons(ffn, x, 3), made) <= TOLERANCE
    assert off(experts.expert_neurons(ffn, x, 3), swapped) > 0.01


def test_the_shared_part_is_what_all_experts_switched_off_leave(routed):
    with watching(Edit(torch.zeros_like)):
        routed.run()
    ffn, x = routed.ffns[0], routed.read[0]
    if not experts.has_shared(ffn):
        assert not routed.wrote[0].any()
        assert not experts.rebuild(ffn, x, torch.zeros(*x.shape[:-1], E)).any()
        with pytest.raises(ModelUnsupported, match="has no shared experts: ask has_shared first"):
            experts.shared_neurons(ffn, x)
        return
    inside = experts.shared_neurons(ffn, x) @ experts.shared_W_out(ffn) + experts.shared_of(ffn).out[1]
    gate = experts.shared_gate(ffn, x)
    assert off(gate * inside, routed.wrote[0]) <= TOLERANCE
    assert bool((gate == 1).all()) == routed.name.startswith("deepseek")
    assert bool(experts.shared_of(ffn).out[1].any()) == (routed.name == "deepseek_v2-groups")
    assert routed.wrote[0].abs().max() > 0.01


def by_hand(name, router, x):
    """Probabilities and weights of one token in plain Python, from the router's weight matrix."""
    linear = getattr(router, "classifier", router)
    biases = linear.bias.tolist() if getattr(linear, "bias", None) is not None else [0.0] * E
    scores = [sum(w * v for w, v in zip(row, x, strict=True)) + b for row, b in zip(linear.weight.tolist(), biases, strict=True)]
    if name.startswith("deepseek_v3"):
        probs = [1 / (1 + math.exp(-score)) for score in scores]
    else:
        probs = [math.exp(score) / sum(map(math.exp, scores)) for score in scores]
    rank = [p + b for p, b in zip(probs, router.e_score_correction_bias.tolist(), strict=True)] if "v3" in name else probs
    allowed = set(range(E))
    if name.endswith("groups"):
        value = sum if "v3" in name else max
        allowed = max([{0, 1}, {2, 3}], key=lambda group: value(rank[e] for e in group))
    chosen = sorted(allowed, key=lambda e: -rank[e])[: 1 if name == "switch" else K]
    total = sum(probs[e] for e in chosen) if name in RENORMALISED else 1.0
    scale = 1.7 if name.startswith("deepseek") else 1.0
    return probs, [scale * probs[e] / total if e in chosen else 0.0 for e in range(E)]


RENORMALISED = ("mixtral", "qwen2_moe-normed", "qwen3_moe", "deepseek_v3", "deepseek_v3-groups", "gpt_oss")


def test_probabilities_and_weights_are_those_computed_by_hand(routed):
    found = seen(routed)
    for layer, ffn in enumerate(routed.ffns):
        router = getattr(ffn, "router", None) or ffn.gate
        hand = [[by_hand(routed.name, router, token) for token in text.tolist()] for text in routed.read[layer]]
        probs, weights = (torch.tensor([[token[part] for token in text] for text in hand]) for part in (0, 1))
        if routed.name == "switch":  # an expert takes the first two tokens of a text that choose it
            weights = weights * ((weights > 0).cumsum(1) <= 2)
        assert off(found["router_probs", layer], probs) <= TOLERANCE
        assert off(found["expert_weights", layer], weights) <= TOLERANCE
        assert ((weights > 0) == (found["expert_weights", layer] > 0)).all()
        assert ((weights > 0) != (weights > 0)[:1, :1]).any()  # not all tokens go the same way
        assert off(found["expert_weights", layer], weights.flip(1)) > 0.01


def test_softmax_rows_sum_to_one_and_sigmoids_do_not(routed):
    for (kind, _), tensor in seen(routed).items():
        assert tensor.shape == (*IDS.shape, E)
        one = torch.ones(IDS.shape)
        if kind == "router_probs":
            assert torch.allclose(tensor.sum(-1), one, atol=1e-6) == (not routed.name.startswith("deepseek_v3"))
        elif routed.name in RENORMALISED:
            assert torch.allclose(tensor.sum(-1), one * (1.7 if "deepseek" in routed.name else 1), atol=1e-5)
        else:
            assert not torch.allclose(tensor.sum(-1), one, atol=1e-2)


def test_exactly_k_experts_a_token_and_load_counts_them(routed):
    for (kind, _), tensor in seen(routed).items():
        counts = (tensor != 0).sum(-1)
        if kind == "router_probs":
            assert (counts == E).all()
        elif routed.name == "switch":
            assert set(counts.unique().tolist()) == {0, 1}  # some came to a full expert
            assert ((tensor != 0).sum(1) <= 2).all()
        else:
            assert (counts == K).all()
            share = experts.load(tensor)
            assert share.shape == (E,)
            assert share.sum().item() == pytest.approx(K)
            assert share.tolist() == pytest.approx([(tensor[..., e] != 0).sum().item() / IDS.numel() for e in range(E)])
            assert not torch.allclose(experts.load(tensor[:1]), share)


def test_zeroing_a_chosen_expert_takes_away_what_it_wrote(routed):
    weights, before = seen(routed)["expert_weights", 0], routed.run()
    wrote, x, ffn = routed.wrote[0], routed.read[0], routed.ffns[0]
    chosen = weights.argmax(-1, keepdim=True)
    part = sum(torch.where(chosen == e, weights[..., e, None] * alone(ffn, x, e), 0.0) for e in range(E))
    with watching(Edit(lambda w: w.scatter(-1, w.argmax(-1, keepdim=True), 0.0))):
        after = routed.run()
    assert off(routed.wrote[0], wrote - part) <= TOLERANCE
    assert off(routed.wrote[0], wrote) > 0.01
    assert off(after, before) > 1e-3


def test_an_expert_that_was_not_chosen_takes_part_when_given_weight(routed):
    weights, before = seen(routed)["expert_weights", 0], routed.run()
    wrote, x, ffn = routed.wrote[0], routed.read[0], routed.ffns[0]
    left_out = weights == 0
    part = sum(left_out[..., e, None] * 0.7 * alone(ffn, x, e) for e in range(E))
    with watching(Edit(lambda w: w.masked_fill(w == 0, 0.7))):
        after = routed.run()
    assert off(routed.wrote[0], wrote + part) <= TOLERANCE
    assert off(routed.wrote[0], wrote) > 0.01
    assert off(after, before) > 1e-3


def test_tokens_may_be_left_with_different_numbers_of_experts(routed):
    generator = torch.Generator().manual_seed(1)
    some = torch.randn(*IDS.shape, E, generator=generator) * (torch.rand(*IDS.shape, E, generator=generator) > 0.5)
    some = some.scatter(-1, torch.randint(E, (*IDS.shape, 1), generator=generator), 0.0)  # never all, so that slots must be shared out
    assert {0, 1, 2, 3} == set((some != 0).sum(-1).unique().tolist())
    assert (some < 0).any()
    with watching(Edit(lambda w: some.to(torch.float64))):
        routed.run()
    ffn, x = routed.ffns[0], routed.read[0]
    expected = experts.rebuild(ffn, x, torch.zeros(*x.shape[:-1], E)) + sum(some[..., e, None] * alone(ffn, x, e) for e in range(E))
    assert off(routed.wrote[0], expected) <= TOLERANCE
    assert off(routed.wrote[0], experts.rebuild(ffn, x, some.abs())) > 0.01


def test_the_same_weights_put_back_change_nothing(routed):
    before = routed.run()
    with watching(Edit(torch.clone)):
        assert off(routed.run(), before) <= TOLERANCE


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_unwatched_logits_are_those_of_the_plain_model_to_the_bit(routed, dtype, monkeypatch):
    plain = drawn(routed.name).to(dtype)
    ours = Routed(routed.name, dtype)
    with torch.no_grad():
        expected = logits(plain, IDS)
    assert torch.equal(logits(ours.hf, IDS).detach(), expected)
    with watching(See("router_probs", "expert_weights")):
        assert torch.equal(ours.run(), expected)
    monkeypatch.setattr(experts, "emit", lambda *_: pytest.fail("the hooks are awake"))
    monkeypatch.setattr(experts, "_SHAPE", None)
    with watching(See("z", "mlp_out")):
        assert torch.equal(ours.run(), expected)
    with watching(See("expert_weights")), pytest.raises(AttributeError):
        ours.run()


def test_half_precision(routed):
    """bfloat16 keeps 8 bits: 0.02 of the largest number, over sums of 16 products."""
    half = Routed(routed.name, torch.bfloat16)
    found = seen(half)
    weights, x, ffn = found["expert_weights", 0], half.read[0], half.ffns[0]
    wrote = half.wrote[0]
    assert found["router_probs", 0].dtype == torch.float32
    assert wrote.dtype == x.dtype == torch.bfloat16
    assert experts.rebuild(ffn, x, weights).dtype == torch.bfloat16
    assert experts.rebuild(ffn, x.float(), weights).dtype == torch.float32
    for rebuilt in (experts.rebuild(ffn, x, weights), experts.rebuild(ffn, x.float(), weights)):
        assert off(rebuilt, wrote) <= 0.02
    assert off(experts.rebuild(ffn, x, weights.roll(1, -1)), wrote) > 0.05
    with watching(Edit(lambda w: w.masked_fill(w == 0, 0.7))):
        half.run()
    part = sum((weights == 0)[..., e, None] * 0.7 * experts.expert_of(ffn, e).writes(x.float()) for e in range(E))
    assert off(half.wrote[0], wrote.float() + part) <= 0.02
    assert off(half.wrote[0], wrote) > 0.05


def test_an_edit_is_rounded_to_the_type_in_which_the_family_multiplies(routed):
    half, wrote = Routed(routed.name, torch.bfloat16), []
    for change in (lambda w: w.double() / 3, lambda w: (w.double() / 3).to(w.dtype), lambda w: w / 2):
        with watching(Edit(change)):
            half.run()
        wrote.append(half.wrote[0])
    assert torch.equal(wrote[0], wrote[1])
    assert not torch.equal(wrote[0], wrote[2])


def test_a_batch_gives_what_each_text_gives_alone(routed):
    together = seen(routed)
    for row in range(len(IDS)):
        for key, tensor in seen(routed, IDS[row : row + 1]).items():
            assert off(tensor[0], together[key][row]) <= TOLERANCE
            assert off(tensor[0], together[key][row - 1]) > 0.01


@pytest.mark.parametrize("name", STACKED)
def test_every_implementation_of_transformers_shows_and_obeys_alike(name):
    routed, found = Routed(name), {}
    assert routed.hf.config._experts_implementation == "grouped_mm"
    for implementation in ("eager", "grouped_mm", "batched_mm"):
        routed.hf.set_experts_implementation(implementation)
        weights = seen(routed)["expert_weights", 0]
        with watching(Edit(lambda w: w.roll(1, -1) * 0.5)):
            found[implementation] = weights, routed.run(), routed.wrote[0]
    for implementation in ("eager", "batched_mm"):
        for ours, theirs in zip(found[implementation], found["grouped_mm"], strict=True):
            assert off(ours, theirs) <= TOLERANCE
    assert off(found["eager"][1], routed.run()) > 1e-3


def test_gradients_reach_experts_that_were_not_chosen(routed):
    leaves = []

    def leaf(weights):
        leaves.append(weights.detach().clone().requires_grad_())
        return leaves[-1]

    ffn, x = routed.ffns[0], torch.randn(1, 5, D, generator=torch.Generator().manual_seed(2))
    with watching(Edit(leaf)):
        out = ffn(x)
    (gradient,) = torch.autograd.grad((out[0] if isinstance(out, tuple) else out).sum(), leaves)
    expected = torch.stack([alone(ffn, x, e).sum(-1) for e in range(E)], -1)
    assert (leaves[0] == 0).any()
    assert off(gradient, expected) <= TOLERANCE
    assert off(gradient, expected * (leaves[0] != 0)) > 0.01


def test_two_threads_with_as_many_tokens_keep_their_shapes():
    routed, barrier, found = Routed("mixtral"), threading.Barrier(2), {}

    def meet(*_):  # both have entered the FFN by now, neither its experts
        barrier.wait(timeout=10)

    routed.ffns[0].gate.register_forward_pre_hook(meet)

    def run(ids):
        found[ids.shape] = {key: tensor.shape for key, tensor in seen(routed, ids).items()}

    batches = [IDS[:2, :6], IDS[:2, :6].reshape(4, 3)]
    threads = [threading.Thread(target=contextvars.copy_context().run, args=(run, ids)) for ids in batches]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for ids in batches:
        assert set(found[ids.shape].values()) == {(*ids.shape, E)}


def test_generation_shows_one_token_at_a_time_and_is_edited():
    routed, shapes = Routed("mixtral"), []
    options = {"max_new_tokens": 4, "do_sample": False, "eos_token_id": None, "attention_mask": torch.ones_like(IDS)}
    plain = routed.hf.generate(IDS, **options)
    with watching(Edit(lambda w: shapes.append(w.shape))):
        assert routed.hf.generate(IDS, **options).tolist() == plain.tolist()
    assert shapes == [(3, 7, E), (3, 1, E), (3, 1, E), (3, 1, E)]
    with watching(Edit(lambda w: -3 * w.roll(1, -1))):
        assert routed.hf.generate(IDS, **options).tolist() != plain.tolist()


def test_editing_the_probabilities_is_refused(routed):
    with watching(Edit(lambda probs: probs.flip(-1), kind="router_probs")), pytest.raises(InterventionError, match="edit expert_weights"):
        routed.run()


def test_an_edit_of_another_shape_does_not_pass(routed):
    with watching(Edit(lambda w: w[:1])), pytest.raises(RuntimeError, match="shape"):
        routed.run()


def test_what_nobody_verified_is_refused_by_name():
    ffn = copy.deepcopy(Routed("mixtral").ffns[0])
    experts.routing_of(ffn)
    with pytest.raises(SiteError, match="expert 4 came; this FFN has experts 0-3"):
        experts.expert_neurons(ffn, torch.zeros(D), 4)
    ffn.experts._is_expert_parallel = True
    with pytest.raises(ModelUnsupported, match="spread over devices"):
        experts.routing_of(ffn)
    ffn.experts = torch.nn.Identity()
    with pytest.raises(ModelUnsupported, match="Identity came as experts"):
        experts.attach(ffn, lambda kind: Point(kind=kind, layer=0))
    with pytest.raises(ModelUnsupported, match="Linear came; expected one of transformers' own: MixtralSparseMoeBlock"):
        experts.routing_of(torch.nn.Linear(2, 2))
    stranger = type("DeepseekV3MoE", (torch.nn.Module,), {"__module__": "transformers_modules.somebody"})()
    with pytest.raises(ModelUnsupported, match=r"transformers_modules\.somebody\.DeepseekV3MoE came"):
        experts.routing_of(stranger)
