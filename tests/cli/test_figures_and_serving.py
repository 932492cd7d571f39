"""`interp figure` for every kind of view, and `interp dashboard` for oneself and for others."""

import json
import subprocess
from pathlib import Path

import numpy as np
import pytest

import interp

TEXT = "The old man looked at the sea."


@pytest.fixture
def calls(monkeypatch):
    """What Streamlit would have been started with: (arguments, environment)."""
    found: list[tuple[list[str], dict[str, str]]] = []
    monkeypatch.setattr(subprocess, "call", lambda arguments, env: found.append((arguments, env)) or 0)
    return found


@pytest.mark.parametrize("kind", ["pattern", "lines", "heads", "contributions", "neurons", "lens"])
def test_every_view_of_a_text(command, tmp_path, kind):
    code, _, err = command("figure", kind, TEXT, "--out", "it.csv", "--layer", "1")
    assert code == 0, err
    seen = interp.capture(interp.load(), TEXT)
    result = {
        "pattern": lambda: seen.pattern("L0H0"),
        "lines": lambda: interp.word_lines(seen.pattern("L0H0")),
        "heads": lambda: seen.head_map("entropy"),
        "contributions": lambda: seen.contributions(seen.example.ids[-1], pos=len(seen.example) - 2),
        "neurons": lambda: seen.neurons(1),
        "lens": lambda: interp.logit_lens(seen.model, TEXT),
    }[kind]()
    assert (tmp_path / "it.csv").read_text() == interp.figure(result).csv()


def test_views_of_what_was_measured(command, tmp_path):
    assert command("profile", "tales", "corpus.txt", "--out", "run", "--statistics", "entropy,previous")[0] == 0
    assert command("figure", "statistic", "run", "--statistic", "previous", "--out", "map.csv")[0] == 0
    map_ = interp.read("run/profile.nc")["previous"].values
    drawn = np.array([float(line.rsplit(",", 1)[1]) for line in Path("map.csv").read_text().splitlines()[1:]])
    np.testing.assert_allclose(drawn, map_.ravel(), rtol=1e-6)
    assert command("figure", "training", "tales", "--out", "training.pdf", "--width", "two")[0] == 0
    assert b"/MediaBox [ 0 0 518.74" in Path("training.pdf").read_bytes()
    assert command("judge", "S1-01", "--out", "verdict.json")[0] == 0
    assert command("figure", "verdict", "verdict.json", "--out", "verdict.svg")[0] == 0
    assert command("report", "run")[0] == 0
    assert Path("run/report.pdf").read_bytes().startswith(b"%PDF")


def test_figures_that_cannot_be_made_are_told(refused):
    assert "width='three' came; expected 'one' (89 mm) or 'two'" in refused("figure", "heads", TEXT, "--out", "a.pdf", "--width", "three")
    assert "nowhere is not there; expected the folder of a run" in refused("figure", "statistic", "nowhere", "--out", "a.pdf")
    assert "no such folder" in refused("figure", "forest", "nowhere", "--out", "a.pdf")


def test_the_same_bytes_on_every_run(command):
    for name in ("a", "b"):
        assert command("figure", "neurons", TEXT, "--out", f"{name}.pdf")[0] == 0
    assert Path("a.pdf").read_bytes() == Path("b.pdf").read_bytes()
    assert b"/FontFile2" in Path("a.pdf").read_bytes()


def test_for_oneself_on_the_loopback_only(command, refused, calls):
    assert command("dashboard", "--host", "localhost")[0] == 0
    ((arguments, env),) = calls
    assert "--server.address=localhost" in arguments
    assert "INTERP_SERVED_MODELS" not in env
    assert env["MALLOC_ARENA_MAX"] == "2"  # a model that was left goes back to the system
    for host in ("0.0.0.0", "192.168.0.7", "example.org", "::"):
        assert "without --serve, and others could open every folder" in refused("dashboard", "--host", host)
        assert "without --serve" in refused("atlas", "run", "--host", host)
    assert "came without --serve" in refused("dashboard", "--models", "tales")
    assert len(calls) == 1


def test_for_others_the_listed_models(command, calls, tmp_path):
    assert command("dashboard", "--serve", "--host", "0.0.0.0", "--models", "small,tales", "--folder", ".")[0] == 0
    ((arguments, env),) = calls
    assert "--server.address=0.0.0.0" in arguments
    assert "--client.showErrorDetails=none" in arguments
    assert env["INTERP_SERVED_MODELS"].splitlines() == ["small", "tales"]
    assert env["INTERP_SERVED_FOLDERS"] == str(tmp_path)


def test_what_may_not_be_served(refused, calls, tmp_path):
    weights = tmp_path / "pickled"
    weights.mkdir()
    (weights / "config.json").write_text("{}")
    (weights / "pytorch_model.bin").write_bytes(b"")
    coded = tmp_path / "coded"
    coded.mkdir()
    (coded / "config.json").write_text(json.dumps({"auto_map": {"AutoModel": "code.Model"}}))
    (coded / "model.safetensors").write_bytes(b"")
    assert "a .bin file is a pickle" in refused("dashboard", "--serve", "--models", "pickled")
    assert "brings code of its own" in refused("dashboard", "--serve", "--models", "tales,coded")
    assert "is no bundled model and no folder" in refused("dashboard", "--serve", "--models", "somebody/model")
    assert "no such folder" in refused("dashboard", "--serve", "--folder", "nowhere")
    assert "expected it in --models" in refused("dashboard", "--serve", "--model", "tales")
    assert not calls
