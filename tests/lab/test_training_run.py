"""A run of a tiny recipe: killed and gone on with, it gives the weights it would have given; what it leaves is a model with a true card."""

import dataclasses
import json
import random
import re
import stat

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from interp.checks.selfcheck import check
from interp.core.errors import DataError
from interp.lab import train as train_module
from interp.lab.agreement import agreement_rows, share_right
from interp.lab.batches import text_row
from interp.lab.corpus import TokenStream
from interp.lab.dynamics import training
from interp.lab.measured import agreement_probe, copying, decoder, encoder, sense_probe
from interp.lab.recipes import RECIPES, Phase, Recipe
from interp.lab.scores import profile_of
from interp.lab.shapes import N_EXPERTS, SHAPES, build, sinusoids
from interp.lab.train import losses, train
from interp.models.load import load_model
from interp.models.zoo.checksums import FILE, checksums

TINY = Recipe(
    name="tiny",
    shape="gpt2",
    phases=(
        Phase(n_steps=4, row_tokens=16, batch_rows=4, recall=0.4, repeats=0.4, span_lengths=(3, 5)),
        Phase(n_steps=10, row_tokens=32, batch_rows=4, repeats=0.2, grammar=0.2),
    ),
    n_layers=1,
    n_heads=2,
    d_model=16,
    d_vocab=300,
    n_ctx=32,
    tokenizer=None,
    grammar_paragraphs=60,
    warmup_steps=3,
)


@pytest.fixture(autouse=True, scope="module")
def small():
    """Checkpoints every 5 steps, few rows to measure, no compiler."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(train_module.shutil, "which", lambda name: None)
        patch.setattr(train_module, "CHECKPOINT_EVERY", 5)
        patch.setattr(train_module, "HELD_OUT_ROWS", 4)
        patch.setattr(copying, "N_ROWS", 4)
        patch.setattr(decoder, "TEXT_ROWS", 16)
        patch.setattr(encoder, "TEXT_ROWS", 16)
        patch.setattr(agreement_probe, "N_TRAIN", 20)
        patch.setattr(agreement_probe, "N_TEST", 20)
        patch.setattr(sense_probe, "N_SETS", 16)
        patch.setattr(sense_probe, "DISTANCES", (4,))
        yield


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    folder = tmp_path_factory.mktemp("books")
    words = ["the", "old", "man", "woman", "sea", "dog", "house", "looked", "said", "nothing", "walked", "again", "never", "night", "and"]
    for number in range(3):
        rng = random.Random(number)
        lines = [" ".join(rng.choices(words, k=20)).capitalize() + "." for _ in range(40)]
        (folder / f"book{number}.txt").write_text("\n\n".join(lines) + "\n")
    return folder


def silent(row: dict) -> None:
    pass


@pytest.fixture(scope="module")
def whole(library, tmp_path_factory):
    """One run from beginning to end: its folder, and what it reported."""
    told: list[dict] = []
    return train(TINY, library, tmp_path_factory.mktemp("whole"), report=told.append), told


def weights(folder):
    return load_file(folder / "model.safetensors")


def same(one, other) -> bool:
    a, b = weights(one), weights(other)
    return a.keys() == b.keys() and all(torch.equal(a[key], b[key]) for key in a)


class Killed(BaseException):
    """Like a signal: nothing of ours catches it."""


def test_the_same_recipe_gives_the_same_weights_and_another_seed_others(whole, library, tmp_path):
    torch.manual_seed(99)
    torch.rand(7)  # what was drawn before does not matter
    assert same(train(TINY, library, tmp_path / "again", report=silent), whole[0])
    other = dataclasses.replace(TINY, seed=1)
    assert not same(train(other, library, tmp_path / "other", report=silent), whole[0])


@pytest.mark.parametrize("at", [5, 8, 14])
def test_a_killed_run_goes_on_to_the_same_weights(whole, library, tmp_path, monkeypatch, at):
    """Killed right after a checkpoint, between two, and right after the last; the first kill is a phase later than the last batch kept."""

    def kill_after_checkpoint(row):
        if row["step"] == at:
            raise Killed

    true = train_module.draw_batch

    def kill_between(reading, recipe, step):
        if step == at and at % 5 and at != TINY.n_steps:
            raise Killed
        return true(reading, recipe, step)

    run = tmp_path / "run"
    monkeypatch.setattr(train_module, "draw_batch", kill_between)
    with pytest.raises(Killed):
        train(TINY, library, run, report=kill_after_checkpoint)
    monkeypatch.setattr(train_module, "draw_batch", true)
    assert not (run / "model").exists()
    steps: list[int] = []
    monkeypatch.setattr(train_module, "draw_batch", lambda reading, recipe, step: steps.append(step) or true(reading, recipe, step))
    folder = train(TINY, library, run, report=silent)
    assert steps == list(range(at - at % 5 if at < TINY.n_steps else at, TINY.n_steps))  # goes on, does not begin anew
    assert same(folder, whole[0])
    log = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    without_speed = [{key: value for key, value in row.items() if key != "tokens_per_s"} for row in log]
    expected = [{key: value for key, value in row.items() if key != "tokens_per_s"} for row in whole[1]]
    assert without_speed == expected


def test_a_kill_while_the_checkpoint_is_written_leaves_the_old_one(whole, library, tmp_path, monkeypatch):
    true, saved = torch.save, []

    def half(state, path):
        saved.append(path)
        if len(saved) == 2:
            path.write_bytes(b"half")
            raise Killed
        true(state, path)

    monkeypatch.setattr(train_module.torch, "save", half)
    with pytest.raises(Killed):
        train(TINY, library, tmp_path, report=silent)
    assert same(train(TINY, library, tmp_path, report=silent), whole[0])


def test_a_run_that_is_over_writes_its_model_and_card_anew_without_a_step(whole, library, monkeypatch):
    folder, _ = whole
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    log = (folder.parent / "log.jsonl").read_bytes()
    (folder / "README.md").write_text("an older card")
    (folder / "model.safetensors").write_bytes(b"damaged")

    def no_step(*arguments):
        raise AssertionError("a step was taken")

    monkeypatch.setattr(train_module, "draw_batch", no_step)
    told: list[dict] = []
    assert train(TINY, library, folder.parent, report=told.append) == folder
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    assert told == []
    assert (folder.parent / "log.jsonl").read_bytes() == log


def test_a_finished_model_is_sealed_and_keeps_its_training(whole):
    folder, told = whole
    assert json.loads((folder / FILE).read_text()) == checksums(folder)
    assert {path.name for path in folder.iterdir()} >= {"training.json", "README.md", "model.safetensors", FILE}
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {0o644}
    kept = training(folder)
    assert kept.step.values.tolist() == [row["step"] for row in told]
    assert np.allclose(kept["previous"].values, [row["all_previous"] for row in told])
    assert np.allclose(kept["text"].values, [row["text"] for row in told], rtol=1e-3)


def test_a_folder_with_a_run_of_another_recipe_is_refused(library, tmp_path):
    def kill(row):
        raise Killed

    with pytest.raises(Killed):
        train(TINY, library, tmp_path, report=kill)
    with pytest.raises(DataError, match="holds a run of another recipe; expected the same one to go on: give a new folder"):
        train(dataclasses.replace(TINY, learning_rate=1e-3), library, tmp_path, report=silent)


def test_the_log_keeps_what_each_head_does(whole):
    _, told = whole
    for row in told:
        assert np.shape(row["all_previous"]) == np.shape(row["all_induction"]) == (1, 2)
        assert row["previous"] == pytest.approx(np.max(row["all_previous"]), abs=6e-4)
        assert row["all_previous"][0][int(row["previous_head"][-1])] == np.max(row["all_previous"])
        assert row["induction"] == pytest.approx(np.max(row["all_induction"]), abs=6e-4)
        assert 0 <= row["shift"] <= 8


@pytest.mark.parametrize("shape", sorted(set(SHAPES) - {"gpt2", "marian"}))
def test_every_shape_trains_and_passes_its_check(library, tmp_path, shape):
    recipe = dataclasses.replace(TINY, shape=shape, phases=tuple(dataclasses.replace(phase, n_steps=1) for phase in TINY.phases))
    if shape == "bert":
        recipe = dataclasses.replace(recipe, n_ctx=160)  # a probe's sentences, nearly letter by letter
    told: list[dict] = []
    folder = train(recipe, library, tmp_path, report=told.append)
    fresh, trained = build(recipe).half().state_dict(), weights(folder)
    assert any(not torch.equal(fresh[key], trained[key]) for key in trained)
    assert ("first" in told[-1]) is not (SHAPES[shape].predicts != "next")
    model = load_model(folder)
    assert model.anatomy.lm_head
    report = check(model)
    assert report.passed, str(report)
    card = (folder / "README.md").read_text()
    assert "nan" not in card
    assert ("load of the experts" in card) == (shape == "mixtral")
    if shape == "mixtral":
        states_the_load_of_each_expert(card)


def states_the_load_of_each_expert(card):
    for on in ("held-out text", "generated sentences"):
        told = re.search(rf"\| load of the experts, layer 0, {on} \| (.*) \| (.*) \|", card).groups()
        for loads in (one.split(", ") for one in told):  # trained, untrained
            assert len(loads) == N_EXPERTS
            assert sum(int(load.rstrip("%")) for load in loads) == pytest.approx(100, abs=2)
        assert re.search(rf"\| dead experts \(under 1% of a layer's places\), {on} \| \d of {N_EXPERTS} \|", card)


def test_a_next_token_loss_is_transformers_own():
    model = build(TINY)
    rows = torch.randint(1, 300, (3, 12))
    targets = torch.cat([rows[:, 1:], torch.full((3, 1), -100)], dim=1)
    each, routing = losses(model, {"input_ids": rows, "position_ids": torch.arange(12).expand(3, -1)}, targets)
    assert each.sum().item() / 33 == pytest.approx(model(input_ids=rows, labels=rows).loss.item(), abs=1e-5)
    assert routing.item() == 0
    assert (each[:, -1] == 0).all()


def test_a_router_pays_for_uneven_loads():
    recipe = dataclasses.replace(TINY, shape="mixtral")
    model = build(recipe)
    rows, positions = torch.randint(1, 300, (3, 12)), torch.arange(12).expand(3, -1)

    def paid() -> float:
        return losses(model, {"input_ids": rows, "position_ids": positions}, rows)[1].item()

    gate = model.model.layers[0].mlp.gate.weight
    with torch.no_grad():
        gate.zero_()
        even = paid()
        rows.fill_(7)  # one token, one stream, one pair of experts
        gate[0], gate[1] = 50 * model.model.embed_tokens.weight[7], 40 * model.model.embed_tokens.weight[7]
    assert paid() > 1.5 * even > 0
    assert model.config.num_local_experts == N_EXPERTS


def test_models_of_the_family_have_the_sizes_they_should():
    def n(name: str) -> int:
        with torch.device("meta"):
            return sum(p.numel() for p in SHAPES[RECIPES[name].shape].make(RECIPES[name]).parameters())

    assert n("small") == n("small-2")
    assert n("small-attn-deep") == pytest.approx(n("small"), rel=0.01)
    assert 0.9 * n("small") < n("small-llama") < n("small")  # fewer keys and values, no positions
    assert n("small-attn") < 0.65 * n("small")


def test_the_agreeing_sentence_is_told_by_its_nats(whole):
    folder, told = whole
    words = load_model(folder).tokenizer
    assert agreement_rows(words, 8, 1).shape == (0, 8)  # none fits
    assert all(0 <= row["agreement_0"] <= 1 and 0 <= row["agreement_1"] <= 1 for row in told)
    rows = agreement_rows(words, 400, 1)
    assert len(rows) == 400
    assert (rows[:, 0] == words.eos_token_id).all()
    for right, wrong in [(0, 1), (1, 0)]:
        logits = torch.zeros(*rows.shape, 300)
        logits[right::2, :-1] = 9.0 * torch.nn.functional.one_hot(rows[right::2, 1:], 300)
        assert share_right(logits, rows) == wrong
    pair = [words.decode(ids[1:].tolist()).rstrip(words.eos_token).split() for ids in rows[:2]]
    assert len(pair[0]) == len(pair[1])
    assert sum(one != other for one, other in zip(*pair, strict=True)) == 1


def test_positions_are_born_as_sinusoids():
    born = build(TINY).transformer.wpe.weight
    assert torch.allclose(born, TINY.position_range * sinusoids(32, 16))
    waves = sinusoids(256, 128)
    products = waves @ waves.T
    offsets = products.diagonal(-1)  # how alike two neighbours are does not depend on where
    assert torch.allclose(offsets, offsets[:1].expand(255), atol=1e-3)
    assert (products.diagonal() > products.diagonal(-1)[0]).all()


def test_the_log_counts_steps_and_tokens(whole):
    _, told = whole
    assert [row["step"] for row in told] == [5, 10, 14]
    short, long = (phase.batch_rows * phase.row_tokens for phase in TINY.phases)
    assert [row["tokens"] for row in told] == [4 * short + long, 4 * short + 6 * long, 4 * short + 10 * long]
    assert all(0 < row[kind] < 10 for row in told for kind in ("text", "grammar", "repeats", "first", "second"))
    assert all(row["tokens_per_s"] > 0 for row in told)
    assert told[-1]["text"] < told[0]["text"]  # it learns


def test_what_is_left_is_a_model_that_passes_its_check(whole):
    folder, _ = whole
    assert {path.name for path in folder.iterdir()} >= {"config.json", "model.safetensors", "tokenizer.json", "README.md"}
    assert {tensor.dtype for tensor in weights(folder).values()} == {torch.float16}
    model = load_model(folder)
    assert (model.anatomy.n_layers, model.anatomy.n_heads, model.anatomy.d_model, model.anatomy.n_ctx) == (1, 2, 16, 32)
    assert model.anatomy.lm_head
    report = check(model)
    assert report.passed, str(report)


def number(card: str, row: str) -> float:
    return float(re.search(rf"\| {row} \| (?:\S+, mean weight )?([\d.]+)", card)[1])


def test_the_card_says_what_was_measured_on_the_files(whole, library):
    folder, told = whole
    card = (folder / "README.md").read_text()
    assert "{" not in card
    assert "nan" not in card
    model = load_model(folder)
    assert f"`{model.fingerprint}`" in card
    assert "\n2 public-domain books" in card
    assert "\n1 whole books were held out" in card
    assert f"{told[-1]['step']} steps, {told[-1]['tokens']:,} tokens" in card
    for name, value in dataclasses.asdict(TINY).items():
        assert name in ("phases", "seedling") or f"| {name} | {value} |" in card
    assert "| 4 | 4 | 16 | 20% | 0% | 40% | 40% |\n| 10 | 4 | 32 | 60% | 20% | 20% | 0% |\n" in card
    found = copying.copying(model)
    assert number(card, "random tokens, first time") == pytest.approx(found.first_nats, abs=0.006)
    assert number(card, "the same tokens, second time") == pytest.approx(found.second_nats, abs=0.006)
    assert number(card, "best previous-token head on random tokens") == pytest.approx(float(found.previous.max()), abs=0.006)
    assert number(card, "best head on the earlier copy, shifts 0 to 8") == pytest.approx(float(found.profile.max()), abs=0.006)
    assert number(card, "held-out text") == pytest.approx(held_out_nats(model, folder.parent), abs=6e-4)
    assert len(re.findall(r"^> ", card, re.MULTILINE)) == 5


@torch.no_grad()
def held_out_nats(model, run) -> float:
    """By another way than the card's: text by text, transformers' own loss."""
    saved = np.load(run / "held_out.npz")
    stream = TokenStream(tokens=saved["tokens"], starts=saved["starts"], n_bytes=int(saved["n_bytes"]))
    rng = np.random.default_rng(0)
    rows = [torch.from_numpy(text_row(stream, TINY.n_ctx, rng))[None] for _ in range(decoder.TEXT_ROWS)]
    return float(np.mean([model.hf(input_ids=row, labels=row).loss.item() for row in rows]))


def planted_profile(span: int, shift: int) -> torch.Tensor:
    """A pattern whose head looks at the earlier copy + shift from the second half, and at position 0 from the first."""
    n = 2 * span
    pattern = torch.zeros(1, 1, n, n)
    pattern[..., :span, 0] = 1.0
    for query in range(span, n):
        pattern[..., query, query - span + shift] = 1.0
    return pattern


@pytest.mark.parametrize("shift", range(9))
def test_the_profile_tells_a_planted_copy_head_and_its_shift(shift):
    profile = profile_of(planted_profile(32, shift), 32)
    expected = torch.zeros(1, 9)
    expected[0, shift] = 1.0
    assert torch.equal(profile, expected)


def test_nothing_is_written_for_a_folder_without_books(tmp_path):
    (tmp_path / "books").mkdir()
    with pytest.raises(DataError, match=r"no \.txt file under"):
        train(TINY, tmp_path / "books", tmp_path / "run", report=silent)
    assert not (tmp_path / "run").exists()


def test_fresh_weights_depend_on_the_seed_alone():
    def of(seed):
        torch.manual_seed(seed + 7)
        return build(dataclasses.replace(TINY, seed=seed)).state_dict()

    one, again, other = of(0), of(0), of(1)
    state = torch.random.get_rng_state()
    build(TINY)
    assert torch.equal(torch.random.get_rng_state(), state)
    assert all(torch.equal(one[key], again[key]) for key in one)
    assert not torch.equal(one["transformer.wte.weight"], other["transformer.wte.weight"])
    assert one["transformer.wte.weight"].std() == pytest.approx(TINY.init_range, rel=0.1)
