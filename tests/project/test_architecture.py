"""The project as a whole: what is exported, what an import costs, who may import whom, what lies in the zoo."""

import ast
import inspect
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import jaxtyping
import numpy as np
import pytest
import torch
from safetensors.torch import load_file

import interp
from interp import api
from interp.models import zoo
from interp.models.load import load_model
from interp.stats.order import order_p

ROOT = Path(interp.__file__).parents[1]
ENVIRONMENT = {**os.environ, "HF_HUB_OFFLINE": "1", "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])}
HEAVY = ("torch", "xarray", "transformers", "transformer_lens", "numpy", "scipy", "streamlit", "plotly", "matplotlib")
LARGEST = 12_000_000


def python(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], env=ENVIRONMENT, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_exported_names_are_the_interfaces():
    assert interp.__all__ == api.__all__
    assert interp.__all__ == sorted(interp.__all__)
    for name in interp.__all__:
        assert getattr(interp, name) is getattr(api, name), name
    assert set(interp.__all__) <= set(dir(interp))


def test_the_names_that_a_type_checker_sees_are_the_exported_ones():
    source = (ROOT / "interp" / "__init__.py").read_text()
    block = re.search(r"from interp\.api import \((.*?)\)", source, re.DOTALL)[1]
    assert re.findall(r"\w+", block) == interp.__all__
    typed = ast.parse((ROOT / "interp" / "api.py").read_text())
    imported = {
        name.asname or name.name: f"{found.module}.{name.name}"
        for found in ast.walk(typed)
        if isinstance(found, ast.ImportFrom)
        for name in found.names
    }
    for name, place in api.ROOMS.items():
        module, _, called = place.partition(":")
        assert imported[name] == f"interp.{module}.{called or name}", name
    assert {*api.ROOMS, "check", "judge_many", "load", "profile"} == set(interp.__all__)


def test_public_functions_say_what_they_are():
    for name in interp.__all__:
        found = getattr(interp, name)
        assert inspect.getdoc(found), name
        if inspect.isfunction(found):
            assert found.__annotations__.get("return") is not None, name


def test_every_annotated_shape_is_checked_while_tests_run():
    options = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["pytest"]["ini_options"]["addopts"]
    checked = next(one for one in options if one.startswith("--jaxtyping-packages=")).partition("=")[2].split(",")[:-1]
    for path in (ROOT / "interp").rglob("*.py"):
        module = ".".join(path.relative_to(ROOT).with_suffix("").parts)
        if "from jaxtyping import" in path.read_text():
            assert any(module == one or module.startswith(f"{one}.") for one in checked), module
    with pytest.raises(jaxtyping.TypeCheckError):
        order_p(np.zeros((2, 3)))


def test_an_unknown_name_is_refused_with_what_there_is():
    with pytest.raises(AttributeError, match=r"module 'interp' has no attribute 'capturee'; it has: Model, .*untrained"):
        interp.capturee  # noqa: B018
    assert not hasattr(interp, "torch")


def test_functions_are_not_hidden_by_rooms_of_a_like_name():
    """`interp.captures` and `interp.checks` are rooms; importing them, or a module, must not put itself in a function's place."""
    code = """
        import interp.captures.prompt, interp.checks.selfcheck, interp.lens.bridge, interp.claims.judge, interp.figures.figure
        import interp.interventions.ablate, interp.models.untrained, interp.cli.main, interp.texts, interp.lab.train, interp.api
        import interp
        import inspect
        for name in interp.__all__:
            assert not inspect.ismodule(getattr(interp, name)), name
        assert inspect.isfunction(interp.capture) and inspect.isfunction(interp.check) and inspect.isfunction(interp.profile)
    """
    python(inspect.cleandoc(code))


def test_importing_interp_or_its_command_line_loads_nothing_heavy():
    loaded = "import sys; print([name for name in {heavy!r} if name in sys.modules])"
    for module in ("interp", "interp.api", "interp.cli.main"):
        assert python(f"import {module}; " + loaded.format(heavy=HEAVY)) == "[]\n", module
    assert "torch" in python("import interp; interp.Model; " + loaded.format(heavy=HEAVY))  # the question can be answered with yes


def test_the_floors_are_kept():
    lint = shutil.which("lint-imports", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}")
    if lint is None:
        pytest.skip("import-linter is not installed; runs with the extra [test]")
    done = subprocess.run([lint, "--no-cache"], cwd=ROOT, env=ENVIRONMENT, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout[-3000:]
    assert re.search(r"Contracts: \d+ kept, 0 broken", done.stdout)


@pytest.mark.parametrize("name", zoo.names())
def test_a_bundled_model_is_whole_and_small(name):
    folder = zoo.folder(name)
    assert {"config.json", "model.safetensors", "tokenizer.json"} <= {path.name for path in folder.iterdir()}
    weights = folder / "model.safetensors"
    assert weights.stat().st_size <= LARGEST
    assert {tensor.dtype for tensor in load_file(weights).values()} == {torch.float16}
    assert not list(folder.glob("*.bin"))
    assert not list(folder.glob("*.py"))
    model = load_model(name)
    assert model.name == name
    assert model.anatomy.lm_head
    assert model.hf.config.model_type == json.loads((folder / "config.json").read_text())["model_type"]
    assert all(parameter.isfinite().all() for parameter in model.hf.parameters())


@pytest.mark.parametrize("name", zoo.names())
def test_a_bundled_models_card_is_of_these_weights(name):
    card = zoo.folder(name) / "README.md"
    if not card.exists():
        pytest.skip(f"{name} has no card yet; runs when its training has written README.md")
    text = card.read_text()
    model = load_model(name)
    assert f"`{model.fingerprint}`" in text
    anatomy = model.anatomy
    assert f"{anatomy.n_layers} layers x {anatomy.n_heads} heads, d_model {anatomy.d_model}, context {anatomy.n_ctx}" in text
    assert f"{sum(parameter.numel() for parameter in model.hf.parameters()):,} parameters" in text
    assert "Licence" in text
    assert "nan" not in text
    assert "{" not in text


def test_the_default_model_is_bundled():
    assert zoo.names()[0] == zoo.DEFAULT


@pytest.mark.parametrize("path", sorted((ROOT / "examples").glob("*.py")), ids=lambda path: path.name)
def test_an_example_runs(path):
    done = subprocess.run([sys.executable, str(path)], env=ENVIRONMENT, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()
