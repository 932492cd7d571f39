"""A served dashboard and a real browser, for the browser test and for `screenshots.py`."""

import contextlib
import importlib.util
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

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


@contextlib.contextmanager
def served(**given: str) -> Iterator[str]:
    """The address of `streamlit run app.py` on a free loopback port. Args: given: environment variables, such as INTERP_RUN."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "streamlit", "run", "app.py", "--server.port", str(port), "--server.address", "127.0.0.1"]
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
    raise RuntimeError(f"the dashboard did not answer at {address} within 60 s; run it by hand: streamlit run app.py")


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
