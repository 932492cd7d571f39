"""What a decoder can do: copying, agreement, even loads of its experts; on held-out text, bits per byte beside what needs no network."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch

from interp.core.sites import head_site
from interp.lab.agreement import ATTRACTORS, agreement_rows, hits
from interp.lab.baselines import bigram_bits_per_byte, gzip_bits_per_byte, unigram_bits_per_byte
from interp.lab.batches import Reading, text_row
from interp.lab.corpus import TokenStream, tokenize_grammar
from interp.lab.measured.copying import HOWS, SwitchedOff, ablation_rows, copying, copying_rows, induction_heads, switched_off
from interp.lab.measured.words import Rows, as_share, share
from interp.lab.scores import Copying, best_head
from interp.models.model import Model
from interp.stats.intervals import Interval

TEXT_ROWS = 256
LOAD_ROWS, LOAD_PARAGRAPHS = 16, 120
DEAD = 0.01
PROMPTS = ("The old man", "When the morning came,", "She looked at the sea and", '"I do not know,"', "There was once a")


@dataclass(frozen=True, kw_only=True)
class Decoder:
    """What can be measured on a decoder's files alone.

    Attributes:
        copying: on random tokens that come twice.
        off: by "mean" and "zero", copying without its induction heads; empty where it has none.
        agreement: by attractors, the share of pairs whose right sentence is the likelier.
        loads: a layer each, the experts' shares of its places on generated sentences; empty without experts.
    """

    copying: Copying
    off: Mapping[str, SwitchedOff]
    agreement: Mapping[int, Interval]
    loads: tuple[np.ndarray, ...]

    def rows(self) -> Rows:
        """As a card writes them."""
        verbs = {f"verb agreement, {n} attractors (chance 50 %)": as_share(found) for n, found in self.agreement.items()}
        off = ablation_rows(self.off, len(induction_heads(self.copying)))
        return copying_rows(self.copying) | off | verbs | load_rows(self.loads, "generated sentences")

    def shows(self) -> str:
        """In one line."""
        found = self.copying
        previous, induction = best_head(found.previous), best_head(found.profile.amax(-1))
        profile = found.profile[induction]
        told = [
            f"previous token {head_site(*previous)} ({found.previous[previous]:.2f})",
            f"induction {head_site(*induction)} ({profile.max():.2f} at shift {int(profile.argmax())})",
            f"copying saves {found.first_nats - found.second_nats:.1f} nats",
            "agreement " + " / ".join(f"{one.estimate:.0%}" for one in self.agreement.values()),
        ]
        return "; ".join([*told, *([f"{_dead(self.loads)} dead experts"] if self.loads else [])])


def measure(model: Model, *, ablated: bool = True) -> Decoder:
    """Measure a decoder; `ablated=False` leaves out what switches heads off."""
    found = copying(model)
    any_heads = ablated and bool(induction_heads(found))
    return Decoder(
        copying=found,
        off={how: switched_off(model, found, how) for how in HOWS} if any_heads else {},
        agreement=agreement(model),
        loads=loads(model, tokenize_grammar(LOAD_PARAGRAPHS, model.tokenizer, seed=0, split="confirmation")) if _n_active(model) else (),
    )


def text_rows(model: Model, held: Reading) -> Rows:
    """The loss on held-out text, and the loads of experts there."""
    nats, bits = bits_per_byte(model, held.text)
    return {"held-out text": f"{nats:.3f} nats per token, {bits:.3f} bits per byte"} | load_rows(loads(model, held.text), "held-out text")


def baseline_rows(model: Model, read: Reading, held: Reading) -> Rows:
    """What the held-out text costs without a network."""
    d_vocab = model.anatomy.d_vocab
    return {
        "the same by token frequencies alone": f"{unigram_bits_per_byte(read.text, held.text, d_vocab):.3f} bits per byte",
        "the same by pairs of tokens": f"{bigram_bits_per_byte(read.text, held.text, d_vocab):.3f} bits per byte",
        "the same by gzip": f"{gzip_bits_per_byte(held.text, model.tokenizer):.3f} bits per byte",
    }


@torch.no_grad()
def bits_per_byte(model: Model, stream: TokenStream) -> tuple[float, float]:
    """Loss on held-out text: nats per token and bits per byte, each row told from its own beginning."""
    rng = np.random.default_rng(0)
    drawn = torch.from_numpy(np.stack([text_row(stream, model.anatomy.n_ctx, rng) for _ in range(TEXT_ROWS)]))
    losses = [
        torch.nn.functional.cross_entropy(model.run(part)[:, :-1].flatten(0, 1), part[:, 1:].flatten(), reduction="sum").item()
        for part in drawn.split(16)
    ]
    n_tokens = drawn[:, 1:].numel()
    n_bytes = sum(len(str(model.tokenizer.decode(row[1:], skip_special_tokens=True)).encode()) for row in drawn)
    return sum(losses) / n_tokens, sum(losses) / math.log(2) / n_bytes


@torch.no_grad()
def agreement(model: Model) -> dict[int, Interval]:
    """By attractors: the share of generated pairs whose grammatical sentence is the likelier one."""
    rows = {attractors: agreement_rows(model.tokenizer, model.anatomy.n_ctx, attractors) for attractors in ATTRACTORS}
    return {attractors: share(hits(model.run(ids), ids).numpy()) for attractors, ids in rows.items() if len(ids)}


@torch.no_grad()
def loads(model: Model, stream: TokenStream) -> tuple[np.ndarray, ...]:
    """For routed experts: each one's share of the places that a layer gives away. A layer each, axes (expert,); empty without experts."""
    n_active = _n_active(model)
    if not n_active:
        return ()
    rows = torch.from_numpy(np.stack([text_row(stream, model.anatomy.n_ctx, np.random.default_rng(row)) for row in range(LOAD_ROWS)]))
    layers = model.hf(input_ids=rows, output_router_logits=True, use_cache=False).router_logits
    chosen = [layer.topk(n_active).indices.flatten() for layer in layers]
    return tuple(torch.bincount(experts, minlength=layers[0].shape[-1]).numpy() / len(experts) for experts in chosen)


def load_rows(shares: tuple[np.ndarray, ...], on: str) -> Rows:
    """The shares, and how many experts are dead."""
    rows = {f"load of the experts, layer {n}, {on}": ", ".join(f"{one:.0%}" for one in layer) for n, layer in enumerate(shares)}
    n_experts = sum(len(layer) for layer in shares)
    dead = {f"dead experts (under {DEAD:.0%} of a layer's places), {on}": f"{_dead(shares)} of {n_experts}"}
    return rows | (dead if shares else {})


def samples(model: Model, *, n_tokens: int = 40, seed: int = 0) -> list[str]:
    """Five continuations, one of each prompt, drawn at temperature 0.8 from the 40 likeliest tokens; the first that come."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return [_continue(model, prompt, n_tokens) for prompt in PROMPTS]


def _continue(model: Model, prompt: str, n_tokens: int) -> str:
    ids = torch.tensor([model.tokenizer(prompt)["input_ids"]])
    for _ in range(min(n_tokens, model.anatomy.n_ctx - ids.shape[1])):
        top = (model.run(ids)[0, -1] / 0.8).topk(40)
        ids = torch.cat([ids, top.indices[torch.multinomial(top.values.softmax(-1), 1)][None]], dim=1)
    return " ".join(str(model.tokenizer.decode(ids[0])).split())


def _n_active(model: Model) -> int:
    return int(getattr(model.hf.config, "num_experts_per_tok", 0) or 0)


def _dead(shares: tuple[np.ndarray, ...]) -> int:
    return sum(int((layer < DEAD).sum()) for layer in shares)
