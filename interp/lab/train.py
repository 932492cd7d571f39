"""Train a bundled model: the same recipe gives the same weights, a run that is killed goes on where it was.

What is kept in the run's folder: `tokenizer/`; `train.npz`, `held_out.npz`, `grammar.npz`, `grammar_held_out.npz` (what is read, as
tokens); `checkpoint.pt` (replaced in one move, so a kill leaves the old one whole); `log.jsonl` (losses in nats per token, circuit
scores); and at the end `model/`: safetensors in fp16, the card, the log in short, checksums. A run that is over writes `model/` anew.
"""

import json
import math
import os
import shutil
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase
from transformers.models.mixtral.modeling_mixtral import load_balancing_loss_func

from interp.core.errors import DataError
from interp.lab.agreement import share_right
from interp.lab.batches import IGNORED, KINDS, Batch, Reading, assemble, batch
from interp.lab.card import write_card
from interp.lab.dynamics import write_training
from interp.lab.growth import grow
from interp.lab.pairs import Pairs, chosen, pair_batch
from interp.lab.prepare import Prepared, prepare
from interp.lab.recipes import Phase, Recipe
from interp.lab.scores import copying_of
from interp.lab.shapes import SHAPES, build
from interp.models.zoo.checksums import seal
from interp.texts.controls import repeated_token_rows

CHECKPOINT_EVERY = 200
HELD_OUT_ROWS = 32
SPAN = 64
GRADIENT_CLIP = 1.0
MEASURED = ("text", "grammar", "repeats")


def bfloat16_is_fast(device: str) -> bool:
    """Whether the hardware multiplies it: a processor that only converts it takes three times as long as in float32."""
    able = torch.cpu.get_capabilities()
    return device != "cpu" or bool(able.get("amx_bf16") or able.get("avx512_bf16"))


def draw_batch(reading: Reading | Pairs, recipe: Recipe, step: int) -> Batch:
    """What the step reads."""
    return pair_batch(reading, recipe, step) if isinstance(reading, Pairs) else batch(reading, recipe, step)


def rate(recipe: Recipe, step: int) -> float:
    """Learning rate at `step`: linear warm-up, then a cosine down to a tenth."""
    if step < recipe.warmup_steps:
        return recipe.learning_rate * (step + 1) / recipe.warmup_steps
    done = (step - recipe.warmup_steps) / max(1, recipe.n_steps - recipe.warmup_steps)
    return recipe.learning_rate * (0.1 + 0.45 * (1 + math.cos(math.pi * done)))


def optimizer_for(model: torch.nn.Module, recipe: Recipe) -> torch.optim.AdamW:
    """AdamW; matrices decay, embeddings and vectors (biases, norms) do not."""
    embeddings = {id(module.weight) for module in model.modules() if isinstance(module, torch.nn.Embedding)}
    decays = [p for p in model.parameters() if p.ndim >= 2 and id(p) not in embeddings]
    stays = [p for p in model.parameters() if p.ndim < 2 or id(p) in embeddings]
    groups = [{"params": decays, "weight_decay": recipe.weight_decay}, {"params": stays, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=recipe.learning_rate, betas=(0.9, 0.98), fused=True)


@dataclass(frozen=True, kw_only=True)
class Progress:
    """Where a run stands: steps done, tokens read."""

    step: int
    tokens: int


def train(recipe: Recipe, data: Path, run: Path, *, report: Callable[[dict], None]) -> Path:
    """Train `recipe` on the books under `data` and generated sentences; returns the folder with the finished model.

    Args:
        recipe: shape, curriculum and schedule.
        data: folder with .txt files, one paragraph a line.
        run: folder for everything the run keeps; the same folder again goes on with it.
        report: called with a row of the log every 200 steps (losses in nats per token, circuit scores, tokens per second).
    Raises: DataError when `data` holds no text, or too little for a row; for a folder with a run of another recipe.
    """
    device = "cuda" if torch.cuda.is_available() else "cpu"
    prepared = prepare(recipe, data, run)
    model = _fit(recipe, _beginning(recipe, prepared, run, device, report), prepared, run / "checkpoint.pt", device, report)
    folder = _finish(model, prepared.words, run)
    write_card(recipe, folder, run / "log.jsonl", prepared.reading, prepared.held, prepared.n_books)
    write_training(recipe, folder, run / "log.jsonl")
    seal(folder)
    return folder


def _beginning(recipe: Recipe, prepared: Prepared, run: Path, device: str, report: Callable[[dict], None]) -> PreTrainedModel:
    """The untrained model, or one grown out of its trained seedling."""
    model = build(recipe)
    if recipe.seedling is None or (run / "checkpoint.pt").exists():
        return model
    narrow = _fit(recipe.seedling, build(recipe.seedling), prepared, run / "seedling.pt", device, report)
    tokens = draw_batch(prepared.reading, recipe, 0).inputs["input_ids"]
    return grow(narrow.cpu().eval(), model, tokens)


def _fit(
    recipe: Recipe, model: PreTrainedModel, prepared: Prepared, checkpoint: Path, device: str, report: Callable[[dict], None]
) -> PreTrainedModel:
    """Train from where the checkpoint is, or from the beginning; its log lies beside it."""
    model.to(torch.device(device))  # type: ignore[arg-type]
    optimizer = optimizer_for(model, recipe)
    progress = _resume(checkpoint, recipe, model, optimizer) or Progress(step=0, tokens=0)
    log_path = checkpoint.with_name("log.jsonl") if checkpoint.stem == "checkpoint" else checkpoint.with_suffix(".jsonl")
    for reached, row in _steps(model, optimizer, prepared, recipe, progress, device):
        state = {"recipe": _plain(recipe), "progress": asdict(reached), "model": model.state_dict(), "optimizer": optimizer.state_dict()}
        _save(checkpoint, state)
        with log_path.open("a") as log:
            log.write(json.dumps(row) + "\n")
        report(row)
    return model


def losses(model: PreTrainedModel, inputs: dict[str, torch.Tensor], targets: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Loss in nats of each target (0 where none counts), axes (batch, pos); and what the router adds to the loss of a step."""
    routes = {"output_router_logits": True} if hasattr(model.config, "router_aux_loss_coef") else {}
    out = model(**inputs, use_cache=False, **routes)
    each = torch.nn.functional.cross_entropy(
        out.logits.flatten(0, 1).float(), targets.flatten(), ignore_index=IGNORED, reduction="none"
    ).view(targets.shape)
    return each, _imbalance(model, out.router_logits) if routes else each.new_zeros(())


def _imbalance(model: PreTrainedModel, layers: tuple[torch.Tensor, ...]) -> torch.Tensor:
    """What uneven loads cost, each layer by itself. transformers' own sum goes over the layers first: in it an expert may die in one layer
    where its number is busy in another, as one did."""
    config = model.config
    costs: list[Any] = [load_balancing_loss_func((one,), config.num_local_experts, config.num_experts_per_tok) for one in layers]
    return config.router_aux_loss_coef * torch.stack(costs).mean()


def _steps(model, optimizer, prepared: Prepared, recipe: Recipe, progress: Progress, device: str) -> Iterator:
    fast = torch.compile(losses, dynamic=False) if shutil.which("g++") else losses
    precision = torch.autocast(device, torch.bfloat16, enabled=bfloat16_is_fast(device))
    model.train()
    began, before, seen = time.perf_counter(), progress.tokens, Seen()
    while progress.step < recipe.n_steps:
        for group in optimizer.param_groups:
            group["lr"] = rate(recipe, progress.step)
        read = draw_batch(prepared.reading, recipe, progress.step)
        inputs, targets = _placed(read, device)
        with precision:
            each, routing = fast(model, inputs, targets)
        (each.sum() / (targets != IGNORED).sum() + routing).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), GRADIENT_CLIP)
        optimizer.step()
        optimizer.zero_grad()
        seen.add(read, each.detach())
        progress = Progress(step=progress.step + 1, tokens=progress.tokens + targets.numel())
        if progress.step % CHECKPOINT_EVERY == 0 or progress.step == recipe.n_steps:
            speed = (progress.tokens - before) / (time.perf_counter() - began)
            found = measure(model, prepared, recipe, device)
            yield progress, {**asdict(progress), "tokens_per_s": round(speed), **seen.means(), **found}
            began, before, seen = time.perf_counter(), progress.tokens, Seen()


class Seen:
    """Training losses of each kind of row since the last line of the log, nats per token."""

    def __init__(self) -> None:
        self.nats: dict[str, float] = defaultdict(float)
        self.counted: dict[str, int] = defaultdict(int)

    def add(self, read: Batch, each: torch.Tensor) -> None:
        """A step's losses, axes (batch, pos)."""
        first = 0
        for kind, n in read.n_of.items():
            self.nats[kind] += each[first : first + n].sum().item()
            self.counted[kind] += int((read.targets[first : first + n] != IGNORED).sum().item())
            first += n

    def means(self) -> dict[str, float]:
        """Of the kinds that were read."""
        return {f"train_{kind}": self.nats[kind] / n for kind, n in self.counted.items() if n}


@torch.no_grad()
def measure(model: PreTrainedModel, prepared: Prepared, recipe: Recipe, device: str) -> dict:
    """Losses in nats per token on rows never trained on; for a decoder also copying and agreement."""
    model.eval()
    row = {kind: _mean_loss(model, read, device) for kind, read in _held_batches(prepared.held, recipe).items()}
    if SHAPES[recipe.shape].predicts == "next":
        span = min(SPAN, recipe.n_ctx // 2)
        ids = torch.from_numpy(repeated_token_rows(HELD_OUT_ROWS, span, recipe.d_vocab, seed=0, forbidden=[0])).to(device)
        out = model(input_ids=ids, output_attentions=True, use_cache=False)
        row |= copying_of(out.logits, out.attentions, ids).row()
    for attractors, rows in prepared.agreement.items():
        if len(rows):
            logits = model(input_ids=rows.to(device), use_cache=False).logits
            row[f"agreement_{attractors}"] = share_right(logits, rows.to(device))
    model.train()
    return row


def _held_batches(held: Reading | Pairs, recipe: Recipe) -> dict[str, Batch]:
    if isinstance(held, Pairs):
        return {"pairs": chosen(held, np.arange(min(8 * HELD_OUT_ROWS, len(held.source))))}
    phase = Phase(n_steps=0, row_tokens=recipe.n_ctx, span_lengths=(4, recipe.n_ctx // 4))
    counts = {kind: {other: HELD_OUT_ROWS * (other == kind) for other in KINDS} for kind in MEASURED}
    return {kind: assemble(held, phase, recipe, n_of, np.random.default_rng(12345)) for kind, n_of in counts.items()}


def _mean_loss(model: PreTrainedModel, read: Batch, device: str) -> float:
    inputs, targets = _placed(read, device)
    each, _ = losses(model, inputs, targets)
    return (each.sum() / (targets != IGNORED).sum()).item()


def _placed(read: Batch, device: str) -> tuple[dict[str, torch.Tensor], torch.Tensor]:
    return {name: tensor.to(device) for name, tensor in read.inputs.items()}, read.targets.to(device)


def _plain(recipe: Recipe) -> dict:
    """As it is after a round trip through a file."""
    return json.loads(json.dumps(asdict(recipe)))


def _resume(file: Path, recipe: Recipe, model: torch.nn.Module, optimizer: torch.optim.Optimizer) -> Progress | None:
    if not file.exists():
        return None
    saved = torch.load(file, weights_only=True)
    if saved.get("recipe", {}) != _plain(recipe):
        raise DataError(f"{file.parent} holds a run of another recipe; expected the same one to go on: give a new folder")
    model.load_state_dict(saved["model"])
    optimizer.load_state_dict(saved["optimizer"])
    return Progress(**saved["progress"])


def _save(file: Path, state: dict) -> None:
    partial = file.with_suffix(".partial")
    torch.save(state, partial)
    os.replace(partial, file)


def _finish(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, run: Path) -> Path:
    folder = run / "model"
    model.half()
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder
