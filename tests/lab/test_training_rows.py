"""What a model is trained on: rows are the same again, targets are what they say, what is held out stays out."""

import dataclasses
from itertools import islice

import numpy as np
import pytest
import torch

from interp.core.errors import DataError
from interp.lab.baselines import bigram_bits_per_byte, frequencies, gzip_bits_per_byte, unigram_bits_per_byte
from interp.lab.batches import END_ID, IGNORED, KINDS, Reading, batch, mask, next_tokens, recall_row, repeat_row, text_row
from interp.lab.corpus import TokenStream, books, split, tokenize_books, tokenize_grammar
from interp.lab.recipes import RECIPES, Phase, Recipe
from interp.lab.shapes import SHAPES
from interp.lab.tokenizer import END_OF_TEXT, train_tokenizer
from interp.lab.train import rate
from interp.texts.grammar.senses import discourses

N_CTX, VOCAB = 96, 4096
SHORT = Phase(n_steps=40, row_tokens=32, batch_rows=24, recall=0.4, repeats=0.4, span_lengths=(4, 8))
LONG = Phase(n_steps=60, row_tokens=N_CTX, repeats=0.2, grammar=0.3)
RECIPE = Recipe(name="rows", shape="gpt2", n_ctx=N_CTX, warmup_steps=10, phases=(SHORT, LONG))


def counting(first: int) -> TokenStream:
    """8000 tokens, a paragraph each 50; a token says where it stands."""
    return TokenStream(tokens=(np.arange(8000) % 1000 + first).astype(np.uint16), starts=np.arange(0, 8000, 50), n_bytes=8000)


@pytest.fixture(scope="module")
def reading() -> Reading:
    """Fiction has tokens under 1000, generated sentences have those from 2000 on."""
    return Reading(text=counting(0), grammar=counting(2000))


def rows_of(seed, n=200, n_tokens=N_CTX, vocab=VOCAB, lengths=(4, 12)):
    rng = np.random.default_rng(seed)
    return [repeat_row(n_tokens, vocab, lengths, rng) for _ in range(n)]


def same(one, other) -> bool:
    tensors, others = {**one.inputs, "targets": one.targets}, {**other.inputs, "targets": other.targets}
    return tensors.keys() == others.keys() and all(torch.equal(tensors[name], others[name]) for name in tensors)


@pytest.mark.parametrize("step", [0, 39, 40, 99])
def test_a_batch_is_the_same_again_and_another_for_another_seed_or_step(reading, step):
    first = batch(reading, RECIPE, step)
    np.random.default_rng(1).random()  # nothing global is drawn from
    torch.rand(3)
    assert same(first, batch(reading, RECIPE, step))
    for other in [batch(reading, RECIPE, step + 1), batch(reading, dataclasses.replace(RECIPE, seed=1), step)]:
        assert not same(first, other)


def test_the_curriculum_switches_where_a_phase_ends():
    assert RECIPE.n_steps == 100
    assert [RECIPE.phase_at(step) for step in (0, 39, 40, 99, 100)] == [SHORT, SHORT, LONG, LONG, LONG]


def test_a_batch_holds_its_phases_kinds_in_order(reading):
    seen, begun = dict.fromkeys(KINDS, 0), []
    for step in range(100):
        made = batch(reading, RECIPE, step)
        phase = SHORT if step < 40 else LONG
        assert all(tensor.shape == (phase.batch_rows, phase.row_tokens) for tensor in (*made.inputs.values(), made.targets))
        assert sum(made.n_of.values()) == phase.batch_rows
        assert phase.grammar or not made.n_of["grammar"]
        assert phase.recall or not made.n_of["recall"]
        seen = {kind: seen[kind] + made.n_of[kind] for kind in KINDS}
        kinds = [kind for kind in KINDS for _ in range(made.n_of[kind])]
        for kind, row, targets in zip(kinds, made.inputs["input_ids"].numpy(), made.targets.numpy(), strict=True):
            if kind in ("text", "grammar"):
                begun.append(row[0] == END_ID and row[1] != END_ID + 1)
                said = row[int(begun[-1]) :]
                assert (said < 1000).all() if kind == "text" else (said >= 2000).all()
                assert said[0] % 50 == 0  # a paragraph's start
                assert (targets == np.append(row[1:], IGNORED)).all()
            elif kind == "recall":
                assert (targets == np.append(IGNORED, row[:-1])).all()
            else:
                counted = targets != IGNORED
                assert (targets[counted] == row[1:][counted[:-1]]).all()
                assert not counted[:4].any()  # the first span is never a copy
    assert np.mean(begun) == pytest.approx(0.5, abs=0.05)
    assert seen["text"] / (40 * 24 * 0.2 + 60 * 16 * 0.5) == pytest.approx(1, abs=0.15)
    assert seen["repeats"] / (40 * 24 * 0.4 + 60 * 16 * 0.2) == pytest.approx(1, abs=0.15)


def test_positions_run_on_and_reach_every_place_of_the_context(reading):
    reached = torch.zeros(N_CTX, dtype=torch.bool)
    for step in range(40):
        positions = batch(reading, RECIPE, step).inputs["position_ids"]
        assert (positions.diff(dim=1) == 1).all()
        assert positions.min() >= 0
        assert positions.max() < N_CTX
        reached[positions.flatten()] = True
    assert reached.all()
    assert torch.equal(batch(reading, RECIPE, 40).inputs["position_ids"], torch.arange(N_CTX).expand(LONG.batch_rows, -1))


def seen_before(row: np.ndarray, place: int) -> bool:
    """The token after `place` is what followed an earlier copy of the token at `place`."""
    return any(row[found + 1] == row[place + 1] for found in np.flatnonzero(row[:place] == row[place]))


def test_what_counts_in_a_row_of_repeats_is_what_followed_an_earlier_copy():
    uncounted_seen = counted = 0
    for row, targets in rows_of(0):
        assert len(row) == len(targets) == N_CTX
        places = np.flatnonzero(targets != IGNORED)
        assert all(targets[place] == row[place + 1] and seen_before(row, place) for place in places)
        counted += len(places)
        uncounted_seen += sum(seen_before(row, place) for place in range(N_CTX - 1) if targets[place] == IGNORED)
    assert counted > 8000
    assert uncounted_seen < 0.15 * counted  # where spans meet in the same order again: by chance, often with two spans


def test_repeat_rows_have_both_kinds():
    rows = rows_of(1, n=400)
    periodic = 0
    for row, targets in rows:
        period = int(np.flatnonzero(targets != IGNORED)[0])
        periodic += bool((row[period:] == row[:-period]).all())
    assert 0.4 < periodic / len(rows) < 0.65  # half, and a scattered row that happens to look so


def test_random_spans_stay_in_their_vocabulary_and_lengths():
    drawn = np.concatenate([row for row, _ in rows_of(2, vocab=40)])
    assert (drawn.min(), drawn.max()) == (1, 39)
    firsts = [int(np.flatnonzero(targets != IGNORED)[0]) for _, targets in rows_of(3, lengths=(10, 12))]
    assert min(firsts) >= 10


def test_in_a_recall_row_only_the_previous_token_tells_the_target():
    row, targets = recall_row(5000, 50, np.random.default_rng(0))
    assert targets[0] == IGNORED
    assert (targets[1:] == row[:-1]).all()
    assert (row.min(), row.max()) == (1, 49)
    by_current = [len(np.unique(targets[1:][row[1:] == token])) for token in range(1, 50)]
    assert min(by_current) > 30  # the current one says nothing of it


def test_next_tokens_leave_out_what_does_not_count():
    row = np.array([5, 6, 7, 8])
    assert next_tokens(row).tolist() == [6, 7, 8, IGNORED]
    assert next_tokens(row, np.array([True, False, True, False])).tolist() == [IGNORED, 7, IGNORED, IGNORED]


def test_a_masked_row_asks_for_what_was_there():
    rng = np.random.default_rng(0)
    row = np.arange(1, 20_001) % 3000 + 1
    shown, targets = mask(row, 4096, VOCAB, rng)
    asked = targets != IGNORED
    assert asked.mean() == pytest.approx(0.15, abs=0.01)
    assert (targets[asked] == row[asked]).all()
    assert (shown[~asked] == row[~asked]).all()
    assert (shown[asked] == 4096).mean() == pytest.approx(0.8, abs=0.03)
    assert (shown[asked] == row[asked]).mean() == pytest.approx(0.1, abs=0.03)
    assert (mask(row, 4096, VOCAB, rng, share=0.4)[1] != IGNORED).mean() == pytest.approx(0.4, abs=0.015)
    only = np.arange(20_000) < 100
    assert (np.flatnonzero(mask(row, 4096, VOCAB, rng, copied=only)[1] != IGNORED) < 100).all()


def test_an_encoders_batch_is_masked_and_asks_for_copies_alone_in_repeats(reading):
    made = batch(dataclasses.replace(reading, mask_id=VOCAB), RECIPE, 50)
    n_first = made.n_of["text"] + made.n_of["grammar"]
    assert (made.inputs["input_ids"] == VOCAB).any(1).all()
    assert (made.targets[:n_first, 0] == IGNORED).all()
    assert (made.targets[n_first:, :4] == IGNORED).all()
    asked = (made.targets != IGNORED).float().mean()
    assert 0.05 < asked < 0.16


def test_recipes_are_of_known_shapes_and_their_shares_leave_text():
    for name, recipe in RECIPES.items():
        assert recipe.name == name
        assert recipe.shape in SHAPES
        assert recipe.tokenizer == (None if name == "en-zh" else "tales")
        if name == "en-zh":
            continue
        last = recipe.phases[-1]
        assert last.row_tokens == recipe.n_ctx
        share = 0.4 if name == "small-bert" else 2 / 3  # masked fiction taught it nothing first
        assert 1 - last.grammar - last.repeats - last.recall == pytest.approx(share, abs=0.01)
        assert all(phase.row_tokens <= recipe.n_ctx for phase in recipe.phases)


def test_the_learning_rate_rises_and_falls_to_a_tenth():
    rates = [rate(RECIPE, step) for step in range(RECIPE.n_steps + 1)]
    assert rates[0] == pytest.approx(RECIPE.learning_rate / 10)
    assert rates[:10] == sorted(rates[:10])
    assert max(rates) == rates[9] == rates[10] == pytest.approx(RECIPE.learning_rate)
    assert rates[10:] == sorted(rates[10:], reverse=True)
    assert rates[-1] == pytest.approx(RECIPE.learning_rate / 10)
    assert rates[55] == pytest.approx(0.55 * RECIPE.learning_rate)  # halfway down


@pytest.fixture
def library(tmp_path):
    """Makes a folder of n books, each with words that no other book has."""

    def make(n: int):
        for number in range(n):
            path = tmp_path / f"shelf{number % 2}" / f"book{number:02}.txt"
            path.parent.mkdir(exist_ok=True)
            path.write_text("\n\n".join(f"Only{number} said {number}{k} — good night." for k in range(30)) + "\n", encoding="utf-8")
        return tmp_path

    return make


@pytest.mark.parametrize(("n", "n_held"), [(2, 1), (3, 1), (24, 1), (25, 1), (50, 2), (77, 3)])
def test_whole_books_are_held_out(library, n, n_held):
    found = books(library(n))
    train, held = split(found)
    assert len(held) == n_held
    assert not set(train) & set(held)
    assert sorted([*train, *held]) == found
    assert (train, held) == split(books(library(n)))


def test_held_out_books_are_in_neither_the_stream_nor_the_tokenizer(library):
    train, held = split(books(library(5)))
    tokenizer = train_tokenizer(train, 400, 64)
    assert tokenizer.eos_token == END_OF_TEXT
    streams = {"train": tokenize_books(train, tokenizer), "held": tokenize_books(held, tokenizer)}
    texts = {name: tokenizer.decode(stream.tokens) for name, stream in streams.items()}
    for path in train:
        assert f"Only{int(path.stem[4:])} said" in texts["train"]
    for path in held:
        assert f"Only{int(path.stem[4:])} said" in texts["held"]
        assert f"Only{int(path.stem[4:])} said" not in texts["train"]
    held_word = f"Only{int(held[0].stem[4:])}"
    assert not any(held_word in piece for piece in tokenizer.get_vocab())
    assert len(tokenizer) <= 400


def test_a_stream_is_the_books_text_with_a_start_for_each_paragraph(library):
    paths = books(library(3))
    tokenizer = train_tokenizer(paths, 300, 64)
    stream = tokenize_books(paths, tokenizer)
    expected = "".join("".join(line + "\n" for line in path.read_text().splitlines() if line) + END_OF_TEXT for path in paths)
    assert tokenizer.decode(stream.tokens) == expected
    assert stream.n_bytes == len(expected.replace(END_OF_TEXT, "").encode())
    assert len(stream.starts) == 90
    for start in stream.starts:
        assert tokenizer.decode(stream.tokens[start : start + 8]).startswith("O")
    assert tokenizer("猫 \u00e9\u0000")["input_ids"] != []
    assert tokenizer.decode(tokenizer("猫 \u00e9")["input_ids"]) == "猫 \u00e9"  # any text comes back: every byte is a piece


def test_a_folder_without_enough_books_is_refused(tmp_path):
    for number, told in enumerate(["no .txt file under", "one .txt file under"]):
        with pytest.raises(DataError, match=f"{told} .*training needs a folder of plain-text books"):
            books(tmp_path)
        (tmp_path / f"{number}.txt").write_text("Once.\n")
    (tmp_path / "notes.md").write_text("not a book")
    assert [path.name for path in books(tmp_path)] == ["0.txt", "1.txt"]


def test_a_book_that_cannot_be_read_is_named(tmp_path):
    tokenizer = None
    (tmp_path / "blank.txt").write_text("\n \n")
    (tmp_path / "latin.txt").write_bytes("caf\xe9".encode("latin-1"))
    with pytest.raises(DataError, match=r"blank\.txt: no text in it"):
        tokenize_books([tmp_path / "blank.txt"], tokenizer)
    with pytest.raises(DataError, match=r"latin\.txt: not UTF-8 .* save the file as UTF-8"):
        tokenize_books([tmp_path / "latin.txt"], tokenizer)


def test_too_little_text_for_a_row_is_refused():
    short = TokenStream(tokens=counting(0).tokens[:90], starts=np.array([0, 50]), n_bytes=90)
    with pytest.raises(DataError, match="90 tokens of text came; expected more than a row of 96"):
        text_row(short, 96, np.random.default_rng(0))
    assert len(text_row(short, 80, np.random.default_rng(0))) == 80


def test_generated_paragraphs_are_a_stream_of_one_book_and_splits_differ(library):
    tokenizer = train_tokenizer(books(library(3)), 300, 64)
    made = tokenize_grammar(20, tokenizer, seed=0)
    told = tokenizer.decode(made.tokens)
    assert told.count("\n") == len(made.starts) == 20
    assert told.endswith("\n" + END_OF_TEXT)
    assert made.n_bytes == len(told.replace(END_OF_TEXT, "").encode())
    assert np.array_equal(made.tokens, tokenize_grammar(20, tokenizer, seed=0).tokens)
    assert tokenizer.decode(tokenize_grammar(20, tokenizer, seed=0, split="confirmation").tokens) != told
    senses = tokenizer.decode(tokenize_grammar(20, tokenizer, seed=0, alone={"sense": 1.0}).tokens).removesuffix(END_OF_TEXT)
    assert senses.split("\n")[:-1] == list(islice(discourses(seed=0), 20))


def test_baselines_know_what_they_can(library):
    """On text where a token tells the next, pairs cost nearly nothing, frequencies their entropy."""
    rng = np.random.default_rng(0)
    chosen = rng.integers(0, 8, 40_000) * 2
    tokens = np.stack([chosen, chosen + 1], axis=1).flatten().astype(np.uint16)  # the second of each pair follows from the first
    held = TokenStream(tokens=tokens, starts=np.zeros(1), n_bytes=len(tokens))
    assert frequencies(held, 16).sum() == pytest.approx(1)
    assert unigram_bits_per_byte(held, held, 16) == pytest.approx(4, abs=0.01)
    assert bigram_bits_per_byte(held, held, 16) == pytest.approx(1.5, abs=0.2)  # 3 bits for the first, none for the second
    tokenizer = train_tokenizer(books(library(3)), 300, 64)
    ids = np.array(tokenizer("the same again " * 200)["input_ids"], dtype=np.uint16)
    assert gzip_bits_per_byte(TokenStream(tokens=ids, starts=np.zeros(1), n_bytes=3000), tokenizer) < 0.3
