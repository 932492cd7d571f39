"""A served dashboard and a real browser, for the browser tests and for `screenshots.py`; and what the pages promise of every figure.

`python_shown`: after a page was run, `python_shown.check()` runs the Python that stands under each of its figures and compares the numbers.
"""

import ast
import contextlib
import functools
import importlib.util
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

os.environ.setdefault("STREAMLIT_SERVER_ADDRESS", "127.0.0.1")  # as the project's config.toml says, wherever pytest was started
ROOT = Path(__file__).parents[2]
CHROMIUM = "/usr/bin/chromium"
ARGUMENTS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


def free_port() -> int:
    """A port of the loopback on which nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextlib.contextmanager
def served(**given: str) -> Iterator[str]:
    """The address of what `interp dashboard` starts, on a free loopback port. Args: given: environment variables, such as INTERP_RUN."""
    port = free_port()
    command = [sys.executable, "-m", "interp.dashboard", "--server.port", str(port), "--server.address", "127.0.0.1"]
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", **given}
    with subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as server:
        try:
            yield _answering(f"http://127.0.0.1:{port}", server)
        finally:
            server.terminate()


def _answering(address: str, server: subprocess.Popen) -> str:
    until = time.monotonic() + 60
    while time.monotonic() < until and server.poll() is None:
        with contextlib.suppress(OSError), urllib.request.urlopen(f"{address}/_stcore/health", timeout=2):
            return address
        time.sleep(0.2)
    raise RuntimeError(f"the dashboard did not answer at {address} within 60 s; run it by hand: interp dashboard")


@contextlib.contextmanager
def browsing(**options):
    """A page of a headless Chromium; options go to its context (viewport, color_scheme)."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        try:
            yield browser.new_context(**options).new_page()
        finally:
            browser.close()


@pytest.fixture
def just_started() -> Iterator[str]:
    """The address of a dashboard that answers, and still loads its libraries."""
    with served() as address:
        yield address


@pytest.fixture(scope="session")
def on_disk(tmp_path_factory) -> Callable[[str], str]:
    """The folder of a tiny model by the name of its form, with a tokenizer of whole words."""
    from tiny_families import FORMS, drawn, words

    folder = tmp_path_factory.mktemp("models")

    def saved(name: str) -> str:
        place = folder / name
        if not place.exists():
            drawn(name).save_pretrained(place)
            words(encoder=FORMS[name].encoder).save_pretrained(place)
        return str(place)

    return saved


@pytest.fixture
def address():
    if not Path(CHROMIUM).exists():
        pytest.skip(f"no browser at {CHROMIUM}; runs where Debian's chromium is installed")
    if importlib.util.find_spec("playwright") is None:
        pytest.skip("playwright is not installed; runs with the extra [test]")
    with served() as found:
        yield found


@pytest.fixture
def browser_page(address):
    with browsing(viewport={"width": 1440, "height": 1000}) as page:
        yield page


class PythonShown(dict[str, tuple[Any, str]]):
    """The figures of the pages that were run, by the names of their files: what is drawn, and the Python under it."""

    def check(self, *names: str) -> None:
        """Every Python (or that under the figures of these names) runs, and gives the numbers that are drawn. There must be one."""
        assert self, "no figure was drawn"
        for name in names or tuple(self):
            drawn, python = self[name]
            try:
                _assert_same(drawn, _value_of(python))
            except Exception as wrong:
                raise AssertionError(f"the Python under {name} does not give what is drawn: {wrong}\n{python}") from wrong


@pytest.fixture
def python_shown(monkeypatch) -> PythonShown:
    """Collects what stands under each figure of the pages run in this test; a model or a run is loaded once for pages and Python."""
    from interp import api
    from interp.dashboard import footer

    shown = PythonShown()
    under = footer.under

    def collecting(figure, *, name, python):
        shown[name] = figure.description, python
        under(figure, name=name, python=python)

    monkeypatch.setattr(footer, "under", collecting)
    for name in ("load", "atlas"):
        monkeypatch.setattr(api, name, functools.cache(getattr(api, name)))
    return shown


def _value_of(python: str) -> Any:
    """What the last line of a script is worth."""
    body = ast.parse(python).body
    last = body.pop()
    assert isinstance(last, ast.Expr), "the last line is not an expression"
    names: dict[str, Any] = {}
    exec(compile(ast.Module(body, []), "<shown>", "exec"), names)
    return eval(compile(ast.Expression(last.value), "<shown>", "eval"), names)


def _assert_same(drawn: Any, value: Any) -> None:
    """The same figure, cell for cell; of a result that is no figure by itself (numbers by name, rows turned) the same numbers."""
    from interp import api
    from interp.core.errors import InterpError

    description = getattr(value, "description", value)
    drawn_by_python = isinstance(description, type(drawn))
    if not drawn_by_python and not isinstance(value, dict | list | np.ndarray):
        with contextlib.suppress(InterpError, AttributeError, KeyError):
            description = api.figure(value).description
    if isinstance(description, type(drawn)):
        for field in ("row_labels", "column_labels", "labels") if drawn_by_python else ():
            assert getattr(drawn, field, None) == getattr(description, field, None), field
        np.testing.assert_allclose(_numbers(description), _numbers(drawn), rtol=1e-6)
    else:
        np.testing.assert_allclose(np.sort(_numbers(value)), np.sort(_numbers(drawn)), rtol=1e-6)


def _numbers(value: Any) -> np.ndarray:
    """All numbers of a description, a result or a mapping of such, one after another, in float32."""
    if isinstance(value, dict):
        return np.concatenate([_numbers(one) for one in value.values()])
    if hasattr(value, "series"):  # lines: what is at each x
        return np.concatenate([_numbers(one) for one in value.series.values()])
    if hasattr(value, "alt") or type(value).__name__ == "Series":
        found = [getattr(value, field, None) for field in ("x", "y", "values", "low", "high")]
        return np.concatenate([np.ravel(one) for one in found if one is not None]).astype(np.float32)
    return np.ravel(np.asarray(getattr(value, "values", value), dtype=np.float32))
