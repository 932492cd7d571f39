"""How does the dashboard feel? Seconds, bytes and memory as a person at a browser meets them: a table with its limits.

python tests/benchmarks/dashboard.py [--only first,pages,long,shape,sessions]

A script, not a test: times depend on the machine. It starts `interp dashboard` on a free port, drives it with Chromium, and looks at the
server's resident memory. Exit code 1 when a median is over its limit.

    first      from `interp dashboard` to the first page's map drawn
    pages      for each page of the navigation: a new sentence of 64 tokens, the bytes that came; on Prompt a click on a head
    long       1,024 tokens on each page: it answers, says its window, and a click is answered after
    shape      GPT-2-small's shape with random weights: a new sentence of 64 tokens; what is freed when the model is changed
    sessions   ten at once, each with its own sentence: each sees its own; the memory before, with them, and with ten more after they left
"""

import argparse
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import urlsplit

ROOT = Path(__file__).parents[2]
FIRST_S, SENTENCE_S, CLICK_S, SHAPE_S, PAYLOAD_MB = 6.0, 1.0, 0.5, 2.5, 2.0
SESSIONS = 10
KEPT_S = 130  # Streamlit keeps a session for 120 s, should its browser come back
WORDS = "the old man looked at the sea and said nothing to the woman who had come down from the house".split()  # noqa: SIM905
NO_TEXT = ("hierarchy", "claims", "report")  # pages that read no sentence of the visitor's
IDLE = "() => document.querySelector('[data-testid=\"stApp\"]')?.dataset.testScriptState === 'notRunning'"
DRAWN = "() => document.querySelectorAll('.js-plotly-plot .hm, .js-plotly-plot .heatmaplayer image').length > 0"
CHIPS = "[...document.querySelectorAll('.chip')].map(one => one.firstChild.textContent).join('')"
LAST_CHIP = "last => [...document.querySelectorAll('.chips')].some(one => one.lastElementChild?.textContent.startsWith(last))"
PLACE = """([row, column]) => {
    const map = document.querySelectorAll('.js-plotly-plot')[0], box = map.getBoundingClientRect();
    const {xaxis, yaxis} = map._fullLayout;
    return [box.left + xaxis._offset + xaxis.l2p(column), box.top + yaxis._offset + yaxis.l2p(row)];
}"""
TITLED = "site => [...document.querySelectorAll('.js-plotly-plot .gtitle')].some(one => one.textContent.includes(site))"


class Table:
    def __init__(self) -> None:
        self.over = False
        print(f"{'what':66} {'median':>9} {'limit':>8}")

    def row(self, what: str, value: float, unit: str, limit: float | None = None) -> None:
        over = limit is not None and value > limit
        self.over |= over
        shown = "" if limit is None else f"{limit:g} {unit}"
        print(f"{what:66} {value:7.3f} {unit:2} {shown:>8}{'  OVER' if over else ''}", flush=True)

    def said(self, what: str, found: bool) -> None:
        self.over |= not found
        print(f"{what:66} {'yes' if found else 'NO: OVER':>9}", flush=True)


class Server:
    """`interp dashboard`, and its memory."""

    def __init__(self, *arguments: str):
        self.port = free_port()
        self.address = f"http://127.0.0.1:{self.port}"
        environment = {**os.environ, "HF_HUB_OFFLINE": "1", "PYTHONPATH": str(ROOT)}
        environment.pop("PYTHONDONTWRITEBYTECODE", None)  # an installed package is compiled once
        command = [sys.executable, "-c", "from interp.cli.main import run; run()", "dashboard", "--port", str(self.port), *arguments]
        self.began = time.perf_counter()
        self.process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def memory_mb(self) -> float:
        """Resident bytes of the process that serves: the child of the command."""
        children = subprocess.run(["pgrep", "-P", str(self.process.pid)], capture_output=True, text=True, check=False).stdout.split()
        status = Path(f"/proc/{children[0] if children else self.process.pid}/status").read_text()
        return int(status.split("VmRSS:")[1].split()[0]) / 1024

    def stop(self) -> None:
        subprocess.run(["pkill", "-P", str(self.process.pid)], check=False)
        self.process.terminate()
        self.process.wait(20)


@contextmanager
def serving(*arguments: str) -> Iterator[Server]:
    server = Server(*arguments)
    try:
        yield server
    finally:
        server.stop()


def opened(browser, address: str, received: list[int] | None = None):
    """A page in a session of its own. Args: received: gets the bytes of each message from the server."""
    page = browser.new_context(viewport={"width": 1440, "height": 1000}).new_page()
    if received is not None:
        page.on("websocket", lambda channel: channel.on("framereceived", lambda data: received.append(len(data))))
    listening(address)
    page.goto(address)
    return page


def listening(address: str, timeout_s: float = 60) -> None:
    """Until the server listens: a browser that is sent to a closed port again and again takes a core from it."""
    place, until = urlsplit(address), time.monotonic() + timeout_s
    while True:
        try:
            socket.create_connection((place.hostname, place.port), 1).close()
            return
        except OSError:
            if time.monotonic() > until:
                raise
            time.sleep(0.05)


def settled(page, timeout_s: float = 120) -> None:
    """Until the script has come to its end."""
    page.wait_for_function(IDLE, timeout=timeout_s * 1000)


def sentence(n: int, seed: int) -> str:
    """A new text of about so many tokens of `tales`."""
    return " ".join(f"{WORDS[(at * 7 + seed) % len(WORDS)]}" for at in range(n - 2)) + f" {WORDS[seed % len(WORDS)]} {seed}"


def typed_s(page, text: str) -> float:
    """Seconds from Enter until the page shows the new text and has come to rest."""
    field = page.get_by_label("Text", exact=True)
    field.fill(text)
    began = time.perf_counter()
    field.press("Enter")
    page.wait_for_function(LAST_CHIP, arg=text.split()[-1][:1])
    page.wait_for_function(IDLE)
    return time.perf_counter() - began


def clicked_s(page, row: int, column: int) -> float:
    """Seconds from the click on a head until its pattern stands there."""
    place = page.evaluate(PLACE, [row, column])
    began = time.perf_counter()
    page.mouse.click(*place)
    page.wait_for_function(TITLED, arg=f"L{row}H{column}", timeout=30_000)
    return time.perf_counter() - began


def pages() -> list[str]:
    from interp.dashboard.links import ENTRIES

    return [name for name, entry in ENTRIES.items() if not entry.atlas]


def path(name: str) -> str:
    """Where a page is; the first one has no name in the address."""
    return "" if name == "prompt" else name


def first(table: Table, browser) -> None:
    taken = []
    for _ in range(3):
        with serving() as server:
            page = opened(browser, server.address)
            page.wait_for_function(DRAWN, timeout=90_000)
            taken.append(time.perf_counter() - server.began)
            page.context.close()
    table.row("first page drawn, from `interp dashboard`", statistics.median(taken), "s", FIRST_S)


def on_pages(table: Table, browser) -> None:
    with serving() as server:
        for name in pages():
            received: list[int] = []
            page = opened(browser, f"{server.address}/{path(name)}", received)
            page.get_by_role("heading", level=1).wait_for(timeout=90_000)
            page.wait_for_timeout(500)
            settled(page)
            table.row(f"{name}: bytes of the page", sum(received) / 1e6, "MB", PAYLOAD_MB)
            if name not in NO_TEXT:
                page.get_by_label("Text", exact=True).wait_for(timeout=90_000)
                taken = [typed_s(page, sentence(64, seed)) for seed in range(1, 6)]
                table.row(f"{name}: a new sentence of 64 tokens", statistics.median(taken[1:]), "s", SENTENCE_S)
            if name == "prompt":
                taken = [clicked_s(page, row, 7 - row) for row in range(1, 6)]
                table.row(f"{name}: a click on a head", statistics.median(taken[1:]), "s", CLICK_S)
            page.context.close()


def long_texts(table: Table, browser) -> None:
    text = sentence(1024, 3)
    with serving() as server:
        for name in [one for one in pages() if one not in NO_TEXT]:
            received: list[int] = []
            page = opened(browser, f"{server.address}/{path(name)}", received)
            page.get_by_role("heading", level=1).wait_for(timeout=90_000)
            settled(page)
            field = page.get_by_label("Text", exact=True)
            field.wait_for(timeout=90_000)
            received.clear()
            field.fill(text)
            began = time.perf_counter()
            field.press("Enter")
            page.get_by_text("its first").first.wait_for(timeout=120_000)
            settled(page)
            table.row(f"{name}: 1,024 tokens, its window said", time.perf_counter() - began, "s")
            table.row(f"{name}: bytes of that", sum(received) / 1e6, "MB", PAYLOAD_MB)
            if name == "prompt":
                table.row(f"{name}: a click on a head in it", clicked_s(page, 2, 5), "s", CLICK_S)
            page.context.close()


def of_shape(table: Table, browser) -> None:
    with tempfile.TemporaryDirectory() as place, serving() as server:
        large_model(Path(place))
        before = _answered(browser, server, server.address)
        page = opened(browser, f"{server.address}/?source={place}")
        page.wait_for_function(DRAWN, timeout=180_000)
        settled(page)
        taken = [typed_s(page, sentence(64, seed)) for seed in range(1, 5)]
        table.row("GPT-2-small's shape: a new sentence of 64 tokens", statistics.median(taken[1:]), "s", SHAPE_S)
        with_it = server.memory_mb()
        field = page.get_by_label("or a folder or hub name", exact=True)
        field.fill("")
        field.press("Enter")
        page.get_by_text("6 layers", exact=False).first.wait_for(timeout=60_000)
        settled(page)
        page.wait_for_timeout(1500)
        table.row("memory: with tales", before, "MB")
        table.row("memory: with GPT-2-small's shape", with_it, "MB")
        table.row("memory: after going back to tales", server.memory_mb(), "MB", before + 0.3 * (with_it - before))
        page.context.close()


def large_model(place: Path) -> None:
    """Random weights in GPT-2-small's shape, with the tokenizer of tales."""
    import torch
    import transformers

    import interp

    torch.manual_seed(0)
    config = transformers.GPT2Config(bos_token_id=0, eos_token_id=0)
    transformers.GPT2LMHeadModel(config).save_pretrained(place)
    interp.load().tokenizer.save_pretrained(place)


def _answered(browser, server: Server, address: str) -> float:
    """Memory once a page was drawn."""
    page = opened(browser, address)
    page.wait_for_function(DRAWN, timeout=90_000)
    settled(page)
    page.wait_for_timeout(500)
    page.context.close()
    return server.memory_mb()


def at_once(table: Table, browser) -> None:
    """Ten come, leave, and ten others come: what the first ten held must be there for these."""
    with serving() as server:
        before = _answered(browser, server, server.address)
        seconds, own, first_ten = _ten(browser, server, 0)
        time.sleep(KEPT_S)
        _answered(browser, server, server.address)  # Streamlit lets go of those who left when the next one leaves
        _, others_own, ten_more = _ten(browser, server, SESSIONS)
        table.row(f"{SESSIONS} sessions at once, a sentence each: all answered", seconds, "s")
        table.said(f"{SESSIONS} sessions at once: each sees its own only", own == others_own == SESSIONS)
        table.row("memory: before they came", before, "MB")
        table.row(f"memory: with {SESSIONS} sessions", first_ten, "MB")
        table.row(f"memory: with {SESSIONS} more after those had left", ten_more, "MB", first_ten + 0.3 * max(first_ten - before, 30))


def _ten(browser, server: Server, seed: int) -> tuple[float, int, float]:
    """Sessions that each type a sentence and leave: seconds until all were answered, how many saw their own only, memory with all."""
    words = [f"word{seed + number}end" for number in range(SESSIONS)]
    sessions = [opened(browser, server.address) for _ in words]
    for page in sessions:
        page.wait_for_function(DRAWN, timeout=120_000)
        settled(page)
    began = time.perf_counter()
    for number, (page, word) in enumerate(zip(sessions, words, strict=True)):
        field = page.get_by_label("Text", exact=True)
        field.fill(f"{sentence(30, seed + number)} {word}")
        field.press("Enter")
    own = sum(_sees_its_own(page, word, words) for page, word in zip(sessions, words, strict=True))
    seconds, memory = time.perf_counter() - began, server.memory_mb()
    for page in sessions:
        page.context.close()
    return seconds, own, memory


def _sees_its_own(page, word: str, words: list[str]) -> bool:
    with suppress(Exception):
        page.wait_for_function(f"word => ({CHIPS}).includes(word)", arg=word, timeout=60_000)
        settled(page)
        shown = page.evaluate(f"() => {CHIPS}")
        return not any(other in shown for other in words if other != word)
    return False


PARTS: dict[str, Callable[[Table, object], None]] = {
    "first": first,
    "pages": on_pages,
    "long": long_texts,
    "shape": of_shape,
    "sessions": at_once,
}


def main() -> int:
    from playwright.sync_api import sync_playwright

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", default=",".join(PARTS), help="parts, such as first,pages")
    chosen = parser.parse_args().only.split(",")
    table = Table()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        for name in chosen:
            PARTS[name](table, browser)
        browser.close()
    return int(table.over)


if __name__ == "__main__":
    sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "dashboard")]  # here: pytest reads this file for doctests
    from conftest import ARGUMENTS, CHROMIUM, free_port

    raise SystemExit(main())
