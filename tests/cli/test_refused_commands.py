"""Bad input: exit code 2, a message, and nothing written."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import interp
from interp.models import zoo

TEXT = "The old man looked at the sea, and the old man said nothing."
UNALIGNED = """# newdoc id = d1
# sent_id = d1-1
# text = he said no!?
1\the\the\tPRON\t_\t_\t2\tnsubj\t_\t_
2\tsaid\tsay\tVERB\t_\t_\t0\troot\t_\t_
3\tn\tn\tNOUN\t_\t_\t2\tobj\t_\tSpaceAfter=No
4\to!?\to\tNOUN\t_\t_\t2\tobj\t_\t_

"""


@pytest.mark.parametrize("name", ["no-such-model", "somebody/no-such-model", "./no/such/folder"])
@pytest.mark.parametrize(
    "before", [["models", "check"], ["figure", "pattern", TEXT, "--out", "it.svg", "--model"], ["judge", "S1-01", "-m"]]
)
def test_an_unknown_model(refused, name, before):
    message = refused(*before, name)
    assert name in message or Path(name).name in message
    assert zoo.DEFAULT in message


def test_a_hub_name_without_network(refused):
    message = refused("models", "check", "openai-community/gpt2")
    assert "the hub cannot be reached" in message
    assert "give its folder" in message


def test_a_folder_without_a_model(refused, tmp_path):
    (tmp_path / "empty").mkdir()
    assert "empty holds no model; expected a folder with config.json" in refused("models", "check", "./empty")


def test_a_truncated_weights_file(refused, tmp_path, fresh, word_tokenizer):
    place = tmp_path / "cut"
    fresh("gpt2").save_pretrained(place)
    word_tokenizer().save_pretrained(place)
    weights = place / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:3000])
    message = refused("models", "check", "./cut")
    assert re.search(r"a safetensors file is damaged .*copy the folder again", message)


@pytest.mark.parametrize("text", ["", "   ", "\n"])
def test_an_empty_text(refused, text):
    assert "the text is empty; expected at least one word" in refused("figure", "pattern", text, "--out", "it.svg")


def test_a_text_of_one_token_has_nothing_that_predicts_it(refused):
    assert "expected two or more, or --token" in refused("figure", "contributions", "The", "--out", "it.svg")


def test_a_word_of_several_tokens(refused):
    message = refused("figure", "contributions", TEXT, "--token", "qwertyuiop", "--out", "it.svg")
    assert "'qwertyuiop' is not one token here but" in message
    assert "ask for one of its pieces" in message


def test_contributions_of_a_model_without_a_head(refused, minilm):
    assert "minilm: contributions is disabled, since" in refused("figure", "contributions", TEXT, "-m", "minilm", "--out", "it.svg")


@pytest.mark.parametrize(
    ("head", "told"),
    [
        ("L9H1", r"L9H1: this model has layers 0-5"),
        ("L0H99", r"L0H99: this model has heads 0-7 in each layer"),
        ("head 3", r"'head 3' is not a site; expected the form L5H1"),
        ("L1", r"L1 is a whole layer; expected a head, neuron, expert or sublayer, such as L1H0 or L1 FFN"),
    ],
)
def test_a_head_that_does_not_exist(refused, head, told):
    assert told in refused("figure", "pattern", TEXT, "--head", head, "--out", "it.svg")


def test_an_unknown_statistic(refused):
    message = refused("figure", "heads", TEXT, "--statistic", "importance", "--out", "it.svg")
    assert "'importance' is not known; expected one of: entropy, previous" in message


def test_an_unknown_figure(refused):
    assert "'mosaics' is not a figure; expected one of: pattern, lines, heads, experts, contributions, neurons, lens, statistic" in refused(
        "figure", "mosaics", TEXT, "--out", "it.svg"
    )


@pytest.fixture
def no_work(monkeypatch):
    """What cannot be written is refused before a model is loaded, not after hours of work."""

    def work(*arguments):
        raise AssertionError("a model was loaded")

    monkeypatch.setattr("interp.api.load", work)


@pytest.mark.usefixtures("no_work")
@pytest.mark.parametrize(
    "arguments",
    [
        ["figure", "pattern", TEXT, "--out"],
        ["judge", "S1-01", "--figure"],
        ["judge", "S1-01", "--out"],
    ],
)
def test_an_output_that_cannot_be_written(refused, tmp_path, arguments):
    (tmp_path / "there.svg").mkdir()
    message = refused(*arguments, "no/such/folder/it.svg")
    assert f"the folder {tmp_path}/no/such/folder does not exist; make it first" in message
    assert "there.svg is a folder; expected the name of a file in it" in refused(*arguments, "there.svg")
    if arguments[-1] == "--figure" or arguments[0] == "figure":
        assert "'it.docx' has the suffix '.docx'; a figure can be saved as .pdf" in refused(*arguments, "it.docx")


@pytest.mark.usefixtures("no_work")
def test_a_run_needs_a_folder(refused, tmp_path):
    assert "no/such does not exist; make it first" in refused("profile", "tales", "corpus.txt", "--out", "no/such/run")
    for name in ("corpus.txt", "profile.nc"):
        assert f"{name} is a file's name; expected a folder for the run" in refused("profile", "tales", "corpus.txt", "--out", name)


def test_bad_records_are_left_out_when_asked(command, tmp_path):
    (tmp_path / "some.jsonl").write_text('{"body": "She said nothing."}\n{"body": ""}\n{"body": "The old man."}\n')
    code, _, err = command("profile", "tales", "some.jsonl", "--field", "body", "--statistics", "entropy,next", "--out", "run")
    assert code == 2
    assert "some.jsonl, line 2: the text is empty" in err
    code, out, _ = command(
        "profile", "tales", "some.jsonl", "--field", "body", "--statistics", "entropy,next", "--out", "run", "--skip-bad"
    )
    assert code == 0
    assert "1 bad records left out, the first: some.jsonl, line 2: the text is empty" in out
    assert "2 texts, " in out
    assert {"entropy", "next"} == set(interp.read(tmp_path / "run" / "profile.nc").data_vars)


def test_a_missing_or_unreadable_corpus(refused, tmp_path):
    assert "nowhere.txt: no such file; expected a corpus: .txt" in refused("profile", "tales", "nowhere.txt", "--out", "run")
    (tmp_path / "corpus.docx").write_text("text")
    assert "expected .txt, .jsonl, .tsv, .conllu, plain or .gz" in refused("profile", "tales", "corpus.docx", "--out", "run")
    (tmp_path / "bytes.txt").write_bytes(b"a good line\n\xff\xfe a bad one\n")
    assert re.search(r"bytes\.txt, line 2: not UTF-8 .*--skip-bad", refused("profile", "tales", "bytes.txt", "--out", "run"))
    (tmp_path / "empty.txt").write_text("\n\n")
    assert "the corpus is empty; expected at least one text" in refused("profile", "tales", "empty.txt", "--out", "run")
    (tmp_path / "folder.txt").mkdir()
    assert "folder.txt: no such file" in refused("profile", "tales", "folder.txt", "--out", "run")


def test_a_refused_run_leaves_the_old_result_as_it_was(command, tmp_path):
    assert command("profile", "tales", "corpus.txt", "--statistics", "entropy", "--out", "run")[0] == 0
    before = {path: path.read_bytes() for path in (tmp_path / "run").rglob("*") if path.is_file()}
    (tmp_path / "bytes.txt").write_bytes(b"a good line\n\xff\xfe a bad one\n")
    code, _, err = command("profile", "tales", "bytes.txt", "--statistics", "entropy", "--out", "run")
    assert code == 2
    assert "run holds another run: corpus is" in err
    assert {path: path.read_bytes() for path in (tmp_path / "run").rglob("*") if path.is_file()} == before


@pytest.mark.parametrize("arguments", [["profile", "tales", "bad.conllu", "--out", "run"], ["judge", "S4-41-obj", "--data", "bad.conllu"]])
def test_a_broken_line_of_a_treebank(refused, tmp_path, arguments):
    good = UNALIGNED.splitlines()[:5]
    (tmp_path / "bad.conllu").write_text("\n".join([*good, "3\tno\tno", "", ""]))
    assert re.search(r"bad\.conllu, line 6: 3 columns; expected 10, with tabs between", refused(*arguments))


def test_a_treebank_of_which_no_word_has_tokens_of_its_own(tmp_path, command, default):
    from interp.core.errors import AlignmentError
    from interp.texts.sentences import annotate

    path = tmp_path / "unaligned.conllu"
    path.write_text(UNALIGNED)
    (sentence,) = interp.read_treebank(path)
    with pytest.raises(AlignmentError, match="'n'"):
        annotate(sentence, default.tokenizer)
    code, _, err = command("judge", "S4-41-obj", "--data", "unaligned.conllu")
    assert code == 2
    assert "no text that the model can read" in err
    assert "Traceback" not in err


def test_a_claim_that_does_not_exist_or_lacks_its_data(refused):
    told = refused("judge", "S4-99")
    assert "'S4-99' is not a claim; expected an id that `interp claims` lists (near it: S4-" in told
    assert "or a YAML file" in told
    assert "expected data=... in Python, --data FILE on the command line" in refused("judge", "S4-42")
    assert "tested on a treebank; corpus.txt came, expected a .conllu file" in refused("judge", "S4-41-obj", "--data", "corpus.txt")
    assert "nowhere.conllu: no such file" in refused("judge", "S4-41-obj", "--data", "nowhere.conllu")


def test_training_without_a_recipe_or_books(refused, tmp_path):
    assert "'novels' is not a recipe; expected one of: tales" in refused("zoo", "train", "novels")
    (tmp_path / "books").mkdir()
    assert "no .txt file under books" in refused("zoo", "train", "--data", "books", "--out", "runs")
    (tmp_path / "books" / "one.txt").write_text("Once.\n")
    assert "one .txt file under books" in refused("zoo", "train", "--data", "books", "--out", "runs")


@pytest.mark.parametrize(
    "arguments", [["nonsense"], ["judge"], ["figure", "pattern", TEXT], ["profile", "tales", "corpus.txt", "--out", "x", "--nope"]]
)
def test_a_command_written_wrong_is_exit_code_2_too(command, arguments):
    code, out, err = command(*arguments)
    assert (code, out) == (2, "")
    assert re.match(r"Usage: .*\bTry .*--help.*\bError: ", err, re.DOTALL)


def test_a_mistake_of_ours_is_not_dressed_up_as_the_users(command, monkeypatch):
    """Only errors raised on purpose become a message: a bug keeps its traceback."""

    def broken(*arguments, **options):
        raise ZeroDivisionError("a bug")

    monkeypatch.setattr("interp.api.capture", broken)
    with pytest.raises(ZeroDivisionError, match="a bug"):
        command("figure", "pattern", TEXT, "--out", "it.svg")


def test_the_real_entry_point_ends_with_2_and_a_message(tmp_path):
    """As a shell sees it: `[project.scripts]` names `interp.cli.main:run`, which is what the installed script calls."""
    installed = Path(sys.executable).with_name("interp")
    start = [str(installed)] if installed.exists() else [sys.executable, "-c", "from interp.cli.main import run; run()"]
    root = Path(interp.__file__).parents[1]
    assert 'interp = "interp.cli.main:run"' in (root / "pyproject.toml").read_text()
    done = subprocess.run(
        [*start, "figure", "pattern", TEXT, "--head", "L9H1", "--out", "it.svg"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(root), "HF_HUB_OFFLINE": "1"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr == "interp: L9H1: this model has layers 0-5\n"
    assert list(tmp_path.iterdir()) == []
