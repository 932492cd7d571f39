"""Each command on the bundled model: what it prints and writes; and for bad input exit code 2, a message, and nothing written."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import interp
from interp.api import load as true_load
from interp.cli import main
from interp.models import zoo

TEXT = "The old man looked at the sea, and the old man said nothing."
CORPUS = "The old man looked at the sea.\nShe said nothing.\n\nThe old man looked at the sea again.\n"
UNALIGNED = """# newdoc id = d1
# sent_id = d1-1
# text = he said no!?
1\the\the\tPRON\t_\t_\t2\tnsubj\t_\t_
2\tsaid\tsay\tVERB\t_\t_\t0\troot\t_\t_
3\tn\tn\tNOUN\t_\t_\t2\tobj\t_\tSpaceAfter=No
4\to!?\to\tNOUN\t_\t_\t2\tobj\t_\t_

"""


@pytest.fixture(autouse=True)
def offline(monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")


@pytest.fixture(scope="module")
def default():
    return true_load()


@pytest.fixture
def loaded_once(default, monkeypatch):
    """The default model without loading it anew for each command; any other name is loaded as ever."""
    monkeypatch.setattr("interp.api.load", lambda name=None: default if name in (None, zoo.DEFAULT) else true_load(name))


@pytest.fixture
def command(tmp_path, monkeypatch, capsys, loaded_once):
    """Runs `interp ...` in this process, in an empty folder: (exit code, standard output, standard error)."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "corpus.txt").write_text(CORPUS)

    def run(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["interp", *arguments])
        code = 0
        try:
            main.run()
        except SystemExit as ended:
            code = int(ended.code or 0)
        out, err = capsys.readouterr()
        return code, out, err

    return run


@pytest.fixture
def refused(command, tmp_path):
    """Runs a command that must end with exit code 2, one message and an unchanged folder; gives the message."""

    def run(*arguments: str) -> str:
        before = sorted(path for path in tmp_path.rglob("*"))
        code, out, err = command(*arguments)
        assert code == 2, (code, out, err)
        assert "Traceback" not in err
        assert sorted(path for path in tmp_path.rglob("*")) == before, "something was left behind"
        assert out == ""
        message = err[err.rindex("interp: ") :]
        assert len(message.strip().splitlines()) == 1
        return message

    return run


# ---------------------------------------------------------------------------------------------------------------- what each command does


def test_models_list_names_what_needs_no_network(command):
    code, out, _ = command("models", "list")
    assert code == 0
    assert f"{zoo.DEFAULT}  (default)" in out.splitlines()
    assert out.splitlines()[-1].startswith("minilm")


def test_the_default_of_the_command_line_is_the_zoos():
    assert main.DEFAULT == zoo.DEFAULT


def test_models_check_gives_a_figure_and_a_tolerance_for_each_check(command):
    code, out, _ = command("models", "check")
    lines = out.splitlines()
    assert code == 0
    assert re.search(r"^tales  gpt2, \d+ layers × \d+ heads, \d+ neurons in each layer; pre-norm; .*; d_model \d+, [0-9a-f]{16}$", lines[0])
    findings = [line for line in lines if line.startswith("  pass")]
    assert len(findings) >= 7
    assert all(re.search(r"\d", line) for line in findings)
    assert re.fullmatch(r"\d+\.\d\d s", lines[-1])
    assert "FAIL" not in out


def test_models_check_ends_with_code_1_when_a_check_fails(command, monkeypatch):
    from interp.models import attention

    true = attention._softmax
    monkeypatch.setattr(attention, "_softmax", lambda scores, seen: true(scores, seen) * 0.99)
    code, out, _ = command("models", "check")
    assert code == 1
    assert "FAIL" in out


def test_models_check_runs_on_the_device_and_in_the_type_that_are_named(command, refused):
    whole, half = (command("models", "check", "--device", "cpu", "--dtype", dtype)[1] for dtype in ("float32", "bfloat16"))
    assert whole.splitlines()[0] != half.splitlines()[0]  # another type is another fingerprint
    assert "(at most 1e-05)" in whole
    assert "(at most 6e-02)" in half
    assert "device='cuda:99' is not there; this machine" in refused("models", "check", "--device", "cuda:99")
    assert "dtype='int8' came; expected one of: float32, bfloat16, float16" in refused("models", "check", "--dtype", "int8")


def test_profile_writes_a_dataset_and_says_what_stands_out(command, tmp_path):
    code, out, _ = command("profile", "tales", "corpus.txt", "--out", "run")
    assert code == 0
    found = interp.read(tmp_path / "run" / "profile.nc")
    assert found.attrs["n_texts"] == 3
    assert f"3 texts, {found.attrs['n_tokens']} tokens -> run/profile.nc" in out
    shown = re.search(r"at most (\d\.\d{3}), (L\d+H\d+) \(n = (\d+)\)", out)
    previous = found["previous"]
    assert float(shown[1]) == pytest.approx(float(previous.max()), abs=5e-4)
    best = previous.where(previous == previous.max(), drop=True)
    assert shown[2] == str(best.site.item())
    assert int(shown[3]) == previous.attrs["n"]
    assert "weight on the next token: at most 0.000, in 48 heads" in out  # a decoder sees none: no head is the best
    assert not list(tmp_path.glob(".*"))


def test_claims_lists_the_catalogue(command):
    code, out, _ = command("claims")
    assert code == 0
    assert {line.split()[0] for line in out.splitlines()} >= {"S1-01", "S4-42", "S4-41-obj"}


def test_judge_prints_and_writes_the_verdict_and_its_figure(command, tmp_path):
    code, out, err = command("judge", "S1-01", "--out", "verdict.json", "--figure", "verdict.svg")
    assert code == 0
    verdict = json.loads((tmp_path / "verdict.json").read_text())
    assert verdict["outcome"] in ("supported", "refuted", "inconclusive")
    assert f"S1-01 {verdict['outcome'].upper()} on tales" in out
    assert verdict["fingerprint"] in (tmp_path / "verdict.json").read_text()
    assert (tmp_path / "verdict.svg").read_text().lstrip().startswith("<?xml")
    assert err.startswith("... ")
    assert not list(tmp_path.glob(".*"))


def test_a_plan_runs_nothing_and_a_kept_verdict_is_printed_again(command, tmp_path):
    code, out, _ = command("judge", "S1-01", "--plan", "--out", "verdict.json")
    assert code == 0
    assert out.startswith("Will be run: FFN")
    assert not (tmp_path / "verdict.json").exists()
    command("judge", "S1-01", "--out", "verdict.json")
    code, out, _ = command("verdict", "verdict.json", "--figure", "verdict.png")
    assert code == 0
    assert out.startswith("S1-01 ")
    assert "NOTE" not in out
    assert (tmp_path / "verdict.png").stat().st_size > 1000
    kept = tmp_path / "verdict.json"
    kept.write_text(kept.read_text().replace('"tolerance": 1e-05', '"tolerance": 1e-01'))
    assert "NOTE: The claim in this verdict was edited after its run" in command("verdict", "verdict.json")[1]
    assert command("verdict", "nowhere.json")[0] == 2


PRINTED = [(kind, suffix) for kind in ("pattern", "heads", "contributions") for suffix in ("svg", "csv", "pdf")]


@pytest.mark.parametrize(("kind", "suffix"), [*PRINTED, ("pattern", "png"), ("pattern", "html")])
def test_figure_writes_each_kind_in_each_form(command, tmp_path, kind, suffix):
    code, out, _ = command("figure", kind, TEXT, "--out", f"it.{suffix}")
    assert code == 0
    assert out == f"it.{suffix}\n"
    head = (tmp_path / f"it.{suffix}").read_bytes()[:200]
    begins = {"svg": b"<?xml", "pdf": b"%PDF", "png": b"\x89PNG", "html": b"<", "csv": b""}[suffix]
    assert head.lstrip().startswith(begins)
    assert len(head) > 100


def test_a_figures_numbers_are_those_of_the_interface(command, tmp_path, default):
    assert command("figure", "pattern", TEXT, "--head", "L2H3", "--out", "it.csv")[0] == 0
    pattern = interp.capture(default, TEXT).pattern("L2H3")
    assert (tmp_path / "it.csv").read_text() == interp.figure(pattern).csv()
    assert (tmp_path / "it.csv").read_text() != interp.figure(interp.capture(default, TEXT).pattern("L2H4")).csv()


def test_contributions_go_toward_the_last_token_though_the_same_word_stands_before(command, tmp_path, default):
    text = "and the sea was the sea"
    assert command("figure", "contributions", text, "--out", "it.csv")[0] == 0
    seen = interp.capture(default, text)
    last = len(seen.example) - 1
    assert (tmp_path / "it.csv").read_text() == interp.figure(seen.contributions(seen.example.ids[last], pos=last - 1)).csv()
    earlier = seen.contributions("sea")
    assert earlier.attrs["pos"] != last - 1
    assert (tmp_path / "it.csv").read_text() != interp.figure(earlier).csv()


def test_a_window_is_cut_only_when_it_is_asked_for(command, refused, default):
    long = "word " * (default.anatomy.n_ctx + 20)
    code, out, _ = command("figure", "heads", long, "--out", "it.csv", "--window")
    assert (code, out) == (0, "it.csv\n")
    Path("it.csv").unlink()
    assert f"the model's context holds {default.anatomy.n_ctx}" in refused("figure", "heads", long, "--out", "it.csv")
    Path("long.txt").write_text(long + "\n")
    assert "long.txt, line 1: the text has" in refused("profile", "tales", "long.txt", "--out", "run")
    assert command("profile", "tales", "long.txt", "--out", "run", "--window", "--statistics", "entropy")[0] == 0


def test_dashboard_starts_streamlit_on_the_loopback(command, monkeypatch):
    called: list[list[str]] = []
    monkeypatch.setattr(subprocess, "call", lambda arguments, env: called.append(arguments) or 0)
    assert command("dashboard", "--port", "9000")[0] == 0
    (arguments,) = called
    assert arguments[1:4] == ["-m", "streamlit", "run"]
    assert Path(arguments[4]).is_file()
    assert {"--server.port=9000", "--server.address=127.0.0.1"} <= set(arguments)


# ------------------------------------------------------------------------------------------------------------------------------ bad input


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
        ("L1", r"L1 is a whole layer; expected a head, neuron or expert, such as L1H0"),
    ],
)
def test_a_head_that_does_not_exist(refused, head, told):
    assert told in refused("figure", "pattern", TEXT, "--head", head, "--out", "it.svg")


def test_an_unknown_statistic(refused):
    message = refused("figure", "heads", TEXT, "--statistic", "importance", "--out", "it.svg")
    assert "'importance' is not known; expected one of: entropy, previous" in message


def test_an_unknown_figure(refused):
    assert "'neurons' is not a figure; expected pattern, heads, experts or contributions" in refused(
        "figure", "neurons", TEXT, "--out", "it.svg"
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
    assert "'S9-99' is not a claim; expected one of S1-01, S4-41-obj, S4-42, or a YAML file" in refused("judge", "S9-99")
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


# --------------------------------------------------------------------------------------------------------------- other kinds of model


@pytest.fixture
def tiny_folder(tmp_path_factory):
    """A tiny model of a form, saved: a folder that every command takes."""
    from tiny_families import drawn, words

    def saved(name: str) -> str:
        folder = tmp_path_factory.mktemp(name)
        drawn(name).save_pretrained(folder)
        words().save_pretrained(folder)
        return str(folder)

    return saved


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("t5", ["pattern", "the old man", "--target", "she said", "--head", "XL0H1"]),
        ("t5", ["pattern", "the old man", "--target", "she said"]),
        ("t5", ["heads", "the old man", "--target", "she said", "--stack", "E"]),
        ("t5", ["contributions", "the old man", "--target", "she said nothing"]),
        ("mixtral", ["experts", "the old man", "--layer", "1"]),
    ],
)
def test_figures_of_encoder_decoders_and_mixtures(command, tiny_folder, tmp_path, name, arguments):
    code, out, err = command("figure", *arguments, "--model", tiny_folder(name), "--out", "figure.csv")
    assert code == 0, err
    assert out.strip() == "figure.csv"
    assert len((tmp_path / "figure.csv").read_text().splitlines()) > 2


def test_atlas_serves_a_finished_run_and_refuses_anything_else(command, refused, tmp_path, monkeypatch):
    served: list[tuple[list[str], dict[str, str]]] = []
    monkeypatch.setattr(subprocess, "call", lambda arguments, env: served.append((arguments, env)) or 0)
    assert command("profile", "tales", "corpus.txt", "--out", "run", "--statistics", "entropy")[0] == 0
    code, out, err = command("atlas", "run", "--port", "9001")
    assert code == 0, err
    assert out.startswith("tales over 3 texts, ")
    ((arguments, env),) = served
    assert env["INTERP_RUN"] == str(tmp_path / "run")
    assert "--server.address=127.0.0.1" in arguments
    assert "--server.port=9001" in arguments
    (tmp_path / "run" / "profile.nc").unlink()
    assert "the run in it is not finished" in refused("atlas", "run")
    assert "nowhere is not there; expected the folder of a run" in refused("atlas", "nowhere")
    assert len(served) == 1


def test_what_other_kinds_of_model_cannot_give_is_refused(refused, tiny_folder):
    paired, mixture = tiny_folder("t5"), tiny_folder("mixtral")
    assert "expected a second text" in refused("figure", "pattern", "the old man", "--model", paired, "--out", "a.csv")
    assert "an encoder-decoder reads pairs: expected .tsv" in refused("profile", paired, "corpus.txt", "--out", "run")
    assert "reads one text" in refused("figure", "heads", "the man", "--target", "she", "--model", mixture, "--out", "a.csv")
    assert "no mixture of experts" in refused("figure", "experts", "the man", "--out", "a.csv")


def test_a_profile_says_what_it_leaves_out(command, tiny_folder):
    code, out, err = command("profile", tiny_folder("ffn-only"), "corpus.txt", "--out", "run")
    assert code == 0, err
    assert "left out: head statistics: the model has no attention" in out


def test_a_claim_that_does_not_apply_is_a_verdict(command, tiny_folder):
    code, out, err = command("judge", "S4-42", "--model", tiny_folder("t5"))
    assert code == 0, err
    assert "NOT APPLICABLE (out_of_scope)" in out


def test_the_dashboard_takes_a_folder(command, tiny_folder, monkeypatch):
    seen = {}
    monkeypatch.setattr(subprocess, "call", lambda command, env: seen.update(env) or 0)
    folder = tiny_folder("t5")
    assert command("dashboard", "--model", folder)[0] == 0
    assert seen["INTERP_MODEL"] == folder
    code, _, err = command("dashboard", "--model", "/no/such/folder")
    assert code == 2
    assert "no such folder" in err


def test_a_profile_of_pairs(command, tiny_folder, tmp_path):
    (tmp_path / "pairs.tsv").write_text("source\ttarget\nthe old man\tshe said\nthe sea\nthe dog\tit was cold then\n")
    code, out, err = command("profile", tiny_folder("marian"), "pairs.tsv", "--out", "run")
    assert (code, out) == (2, "")
    assert "pairs.tsv, line 3: 1 text came; expected a pair" in err
    code, out, err = command("profile", tiny_folder("marian"), "pairs.tsv", "--out", "run", "--skip-bad")
    assert code == 0, err
    assert "1 bad records left out, the first: pairs.tsv, line 3" in out
    assert "2 texts, " in out
    assert interp.read(tmp_path / "run" / "profile.nc")["entropy"].dims == ("stack", "layer", "head")
