"""Train a bundled model: the same recipe gives the same weights, a run that is killed goes on where it was.

What is kept in the run's folder: `tokenizer/`, `tokens.npz` (the tokenised books), `checkpoint.pt` (replaced in one move, so a
kill leaves the old one whole), `log.jsonl` (losses in nats per token), and at the end `model/`: safetensors in fp16 and the card.
"""

import json
import math
import os
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from transformers import AutoTokenizer, GPT2Config, GPT2LMHeadModel, PreTrainedTokenizerBase

from interp.core.errors import DataError
from interp.lab.batches import IGNORED, batch, repeat_row, text_row
from interp.lab.card import write_card
from interp.lab.corpus import TokenStream, books, split, tokenize_books
from interp.lab.recipes import Recipe
from interp.lab.tokenizer import train_tokenizer

CHECKPOINT_EVERY = 250
HELD_OUT_ROWS = 64
GRADIENT_CLIP = 1.0


def prepare(recipe: Recipe, data: Path, run: Path) -> tuple[PreTrainedTokenizerBase, TokenStream, TokenStream]:
    """The tokenizer and the two token streams of a run, made once and then read back."""
    train_paths, held_paths = split(books(data))
    if not (run / "tokenizer").exists():
        partial = run / "tokenizer.partial"
        train_tokenizer(train_paths, recipe.d_vocab, recipe.n_ctx).save_pretrained(partial)
        os.replace(partial, run / "tokenizer")
    tokenizer = AutoTokenizer.from_pretrained(run / "tokenizer")
    return tokenizer, _stream(run / "train.npz", train_paths, tokenizer), _stream(run / "held_out.npz", held_paths, tokenizer)


def _stream(file: Path, paths: list[Path], tokenizer: PreTrainedTokenizerBase) -> TokenStream:
    if not file.exists():
        stream = tokenize_books(paths, tokenizer)
        partial = file.with_suffix(".partial.npz")
        np.savez(partial, tokens=stream.tokens, starts=stream.starts, n_bytes=stream.n_bytes)
        os.replace(partial, file)
    saved = np.load(file)
    return TokenStream(tokens=saved["tokens"], starts=saved["starts"], n_bytes=int(saved["n_bytes"]))


def build(recipe: Recipe) -> GPT2LMHeadModel:
    """The untrained model of a recipe: its weights depend on the recipe's seed alone."""
    config = GPT2Config(
        vocab_size=recipe.d_vocab,
        n_positions=recipe.n_ctx,
        n_embd=recipe.d_model,
        n_layer=recipe.n_layers,
        n_head=recipe.n_heads,
        resid_pdrop=recipe.dropout,
        embd_pdrop=recipe.dropout,
        attn_pdrop=recipe.dropout,
        initializer_range=recipe.init_range,
        bos_token_id=0,
        eos_token_id=0,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(recipe.seed)
        return GPT2LMHeadModel(config)


def rate(recipe: Recipe, step: int) -> float:
    """Learning rate at `step`: linear warm-up, then a cosine down to a tenth."""
    if step < recipe.warmup_steps:
        return recipe.learning_rate * (step + 1) / recipe.warmup_steps
    done = (step - recipe.warmup_steps) / max(1, recipe.n_steps - recipe.warmup_steps)
    return recipe.learning_rate * (0.1 + 0.45 * (1 + math.cos(math.pi * done)))


def optimizer_for(model: torch.nn.Module, recipe: Recipe) -> torch.optim.AdamW:
    """AdamW; matrices decay, vectors (biases, norms) do not."""
    groups = [
        {"params": [p for p in model.parameters() if p.ndim >= 2], "weight_decay": recipe.weight_decay},
        {"params": [p for p in model.parameters() if p.ndim < 2], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=recipe.learning_rate, betas=(0.9, 0.98), fused=True)


@torch.no_grad()
def held_out_losses(model: torch.nn.Module, stream: TokenStream, recipe: Recipe, device: str) -> dict[str, float]:
    """Losses in nats per token on rows never trained on: text, copied tokens of repeats over the whole vocabulary."""
    rng = np.random.default_rng(12345)
    text = torch.from_numpy(np.stack([text_row(stream, recipe.n_ctx, rng) for _ in range(HELD_OUT_ROWS)]))
    drawn = [repeat_row(stream, recipe.n_ctx, recipe.d_vocab, rng) for _ in range(HELD_OUT_ROWS)]
    rows = torch.from_numpy(np.stack([row for row, _ in drawn]))
    labels = torch.from_numpy(np.stack([np.where(copied, row, IGNORED) for row, copied in drawn]))
    model.eval()
    losses = {
        "text": model(input_ids=text.to(device), labels=text.to(device)).loss.item(),
        "copied": model(input_ids=rows.to(device), labels=labels.to(device)).loss.item(),
    }
    model.train()
    return losses


def train(recipe: Recipe, data: Path, run: Path, *, report: Callable[[dict], None]) -> Path:
    """Train `recipe` on the books under `data`; returns the folder with the finished model.

    Args:
        recipe: shape, mixture and schedule.
        data: folder with .txt files, one paragraph a line.
        run: folder for everything the run keeps; the same folder again goes on with it.
        report: called with a row of the log every 250 steps (losses in nats per token, tokens per second).
    Raises: DataError when `data` holds no text, or too little for a row; for a folder with a run of another recipe.
    """
    device = "cuda" if torch.cuda.is_available() else "cpu"
    n_train, n_held = (len(part) for part in split(books(data)))  # refuses before anything is written
    run.mkdir(parents=True, exist_ok=True)
    tokenizer, stream, held = prepare(recipe, data, run)
    model = build(recipe)
    model.to(torch.device(device))  # type: ignore[arg-type]
    optimizer = optimizer_for(model, recipe)
    progress = _resume(run / "checkpoint.pt", recipe, model, optimizer) or Progress(
        step=0, tokens=0, repeat_vocab=min(recipe.repeat_vocab_start, recipe.d_vocab), copied_nats=None
    )
    for reached, row in _steps(model, optimizer, stream, held, recipe, progress, device):
        state = {"recipe": asdict(recipe), "progress": asdict(reached), "model": model.state_dict(), "optimizer": optimizer.state_dict()}
        _save(run / "checkpoint.pt", state)
        with (run / "log.jsonl").open("a") as log:
            log.write(json.dumps(row) + "\n")
        report(row)
    folder = _finish(model, tokenizer, run)
    write_card(recipe, folder, run / "log.jsonl", stream, held, (n_train, n_held))
    return folder


@dataclass(frozen=True, kw_only=True)
class Progress:
    """Where a run stands: steps done, tokens read, pieces that random spans are drawn from, running loss on copied tokens."""

    step: int
    tokens: int
    repeat_vocab: int
    copied_nats: float | None

    def after(self, recipe: Recipe, copied: float | None, n_tokens: int) -> "Progress":
        """One step on: once copying is mastered, spans are drawn from twice as many pieces, and mastery starts anew."""
        running = self.copied_nats
        if copied is not None:
            running = copied if running is None else 0.98 * running + 0.02 * copied
        mastered = running is not None and running < recipe.mastered_nats and self.repeat_vocab < recipe.d_vocab
        if mastered:
            return Progress(
                step=self.step + 1,
                tokens=self.tokens + n_tokens,
                repeat_vocab=min(2 * self.repeat_vocab, recipe.d_vocab),
                copied_nats=2 * recipe.mastered_nats,
            )
        return Progress(step=self.step + 1, tokens=self.tokens + n_tokens, repeat_vocab=self.repeat_vocab, copied_nats=running)


def _steps(model, optimizer, stream, held, recipe: Recipe, progress: Progress, device: str) -> Iterator[tuple[Progress, dict]]:
    fast = torch.compile(model) if shutil.which("g++") else model
    model.train()
    began, before = time.perf_counter(), progress.tokens
    while progress.step < recipe.n_steps:
        for group in optimizer.param_groups:
            group["lr"] = rate(recipe, progress.step)
        read = batch(stream, recipe, progress.step, progress.repeat_vocab)
        with torch.autocast(device, torch.bfloat16):
            logits = fast(input_ids=read.rows.to(device), position_ids=read.positions.to(device)).logits
        losses, counted = _losses(logits, read.labels.to(device))
        (losses.sum() / counted.sum()).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), GRADIENT_CLIP)
        optimizer.step()
        optimizer.zero_grad()
        repeats = slice(len(read.rows) - read.n_repeats, None)
        n_copied = int(counted[repeats].sum())  # a short row may hold no copy
        progress = progress.after(recipe, losses[repeats].sum().item() / n_copied if n_copied else None, read.rows.numel())
        if progress.step % CHECKPOINT_EVERY == 0 or progress.step == recipe.n_steps:
            speed = (progress.tokens - before) / (time.perf_counter() - began)
            yield progress, _row(model, held, recipe, progress, speed, device)
            began, before = time.perf_counter(), progress.tokens


def _losses(logits: torch.Tensor, labels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Loss in nats of each token given those before it, 0 where it does not count, and which count. Axes: (batch, pos - 1)."""
    losses = torch.nn.functional.cross_entropy(
        logits[:, :-1].flatten(0, 1).float(), labels[:, 1:].flatten(), ignore_index=IGNORED, reduction="none"
    )
    counted = labels[:, 1:] != IGNORED
    return losses.view(counted.shape), counted


def _row(model, held, recipe: Recipe, progress: Progress, speed: float, device: str) -> dict:
    return {**asdict(progress), **held_out_losses(model, held, recipe, device), "tokens_per_s": speed}


def _resume(file: Path, recipe: Recipe, model: torch.nn.Module, optimizer: torch.optim.Optimizer) -> Progress | None:
    if not file.exists():
        return None
    saved = torch.load(file, weights_only=True)
    if saved.get("recipe", asdict(recipe)) != asdict(recipe):
        raise DataError(f"{file.parent} holds a run of another recipe; expected the same one to go on: give a new folder")
    model.load_state_dict(saved["model"])
    optimizer.load_state_dict(saved["optimizer"])
    return Progress(**saved["progress"])


def _save(file: Path, state: dict) -> None:
    partial = file.with_suffix(".partial")
    torch.save(state, partial)
    os.replace(partial, file)


def _finish(model: torch.nn.Module, tokenizer: PreTrainedTokenizerBase, run: Path) -> Path:
    folder = run / "model"
    model.half()
    model.save_pretrained(folder)  # type: ignore[operator]
    tokenizer.save_pretrained(folder)
    return folder
