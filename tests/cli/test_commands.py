"""Each command on the bundled model, and on other kinds of model: what it prints and writes."""

import json
import re
import subprocess
from pathlib import Path

import pytest

import interp
from interp.claims.claim_files import catalogue, claim_from_yaml
from interp.cli import main
from interp.models import zoo

TEXT = "The old man looked at the sea, and the old man said nothing."


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


def test_claims_as_json_and_one_by_itself(command):
    code, out, _ = command("claims", "list", "--json")
    told = {claim["id"]: claim for claim in json.loads(out)}
    assert (code, len(told)) == (0, len(catalogue()))
    assert told["S4-34"]["quotation"] == catalogue()["S4-34"].quotation
    code, out, _ = command("claims", "show", "S4-34")
    assert code == 0
    assert claim_from_yaml(out, "what was printed") == catalogue()["S4-34"]
    assert "# Control: another number of the table" in out


def test_several_verdicts_go_to_a_folder_and_become_a_report(command, tmp_path):
    code, out, err = command("judge", "S4-20", "S4-34", "--models", "small,small-attn", "--out", "verdicts")
    assert code == 0
    assert [line.split()[:3] for line in out.splitlines()[:-1]] == [
        ["S4-20", "small", "SUPPORTED"], ["S4-34", "general", "REFUTED"], ["S4-20", "small-attn", "SUPPORTED"],
    ]  # fmt: skip
    assert out.splitlines()[-1] == "2 supported, 1 refuted"
    assert "3 of 3" in err
    code, out, _ = command("report", "verdicts")
    assert (code, out.strip()) == (0, "verdicts/report.html")
    assert {path.name for path in (tmp_path / "verdicts").glob("report.*")} == {"report.html", "report.md", "report.csv", "report.json"}


def test_one_claim_on_several_models_is_put_together(command):
    code, out, _ = command("judge", "S1-01", "--models", "small,small-bert,small-attn", "--out", "across")
    assert code == 0
    assert out.startswith("small-attn: ")
    assert "The role came again. (2 supported)" in out


def test_what_does_not_go_together_is_told(command):
    for words, told in {
        ("judge",): "no claim came; expected an id",
        ("judge", "S4-20", "S4-34"): "expected --out FOLDER",
        ("judge", "S4-20", "S4-34", "--out", "x", "--plan"): "--plan, --figure or --stages came with several claims",
        ("report", "nowhere"): "no such folder",
    }.items():
        code, _, err = command(*words)
        assert code == 2
        assert told in err


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
    assert arguments[1:3] == ["-m", "interp.dashboard"]
    assert {"--server.port=9000", "--server.address=127.0.0.1"} <= set(arguments)


# --------------------------------------------------------------------------------------------------------------- other kinds of model


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
