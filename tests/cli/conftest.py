"""A command run in this process, on a default model that is loaded once; and one that must be refused."""

import sys

import pytest

from interp.api import load as true_load
from interp.cli import main
from interp.models import zoo

CORPUS = "The old man looked at the sea.\nShe said nothing.\n\nThe old man looked at the sea again.\n"


@pytest.fixture(autouse=True)
def offline(monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")


@pytest.fixture(scope="session")
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
