"""A bundled model whose files were damaged is refused by name, before it is loaded."""

import json
import re
import shutil
import time

import pytest

import interp
from interp.core.errors import ModelDamaged, ModelNotFound
from interp.models import zoo
from interp.models.zoo.checksums import FILE, LOADED, checksums, refuse_damaged, seal

WEIGHTS = "model.safetensors"


@pytest.fixture
def own_zoo(tmp_path, monkeypatch):
    """A zoo of its own with one model, `little`: the default's files."""
    shutil.copytree(zoo.place(zoo.DEFAULT), tmp_path / "little")
    monkeypatch.setattr(zoo, "_HERE", tmp_path)
    seal(tmp_path / "little")
    return tmp_path / "little"


def test_a_whole_model_loads(own_zoo):
    assert zoo.names() == ["little"]
    assert interp.load("little").name == "little"


def flip(path):
    """One bit, in the middle: the file is as long as it was and can be read."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def cut(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


@pytest.mark.parametrize("damage", [flip, cut])
@pytest.mark.parametrize("name", [WEIGHTS, "tokenizer.json", "config.json"])
def test_a_damaged_file_is_said_by_name(own_zoo, damage, name):
    damage(own_zoo / name)
    n_bytes = f"{(own_zoo / name).stat().st_size:,} bytes"
    with pytest.raises(
        ModelDamaged, match=rf"'little' is damaged: .*{re.escape(name)} has {n_bytes} .*; expected .*: install interp again"
    ):
        interp.load("little")


@pytest.mark.parametrize("name", LOADED)
def test_a_missing_file_is_said_by_name(own_zoo, name):
    (own_zoo / name).unlink()
    with pytest.raises(ModelDamaged, match=rf"'little' has no file {re.escape(name)} in .*: install interp again"):
        interp.load("little")


def test_a_damaged_list_is_refused_and_a_missing_one_is_no_model(own_zoo):
    (own_zoo / FILE).write_text("{")
    with pytest.raises(ModelDamaged, match=r"'little' has no readable checksums\.json"):
        interp.load("little")
    (own_zoo / FILE).unlink()
    assert zoo.names() == []
    with pytest.raises(ModelNotFound):
        interp.load("little")


def test_the_card_may_be_edited(own_zoo):
    (own_zoo / "README.md").write_text("mine")
    refuse_damaged(own_zoo)
    assert json.loads((own_zoo / FILE).read_text()) != checksums(own_zoo)  # the test on shipped files sees it


def test_a_users_own_folder_needs_no_checksums(own_zoo):
    (own_zoo / FILE).unlink()
    assert interp.load(own_zoo).anatomy.lm_head


def test_a_look_at_the_checksums_takes_little():
    began = time.perf_counter()
    zoo.folder(zoo.DEFAULT)
    assert time.perf_counter() - began < 0.5
