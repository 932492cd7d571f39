"""How long does the atlas take to load? 144 heads and 36,864 neurons, each page: in the process, and in a real browser.

python tests/benchmarks/atlas.py RUN [--runs 5] [--no-browser]

RUN is any finished run of a decoder with all statistics; its numbers are repeated to GPT-2-small's axes. A script, not a test: wall times
depend on what else the machine does, so the processor's time stands beside them. Exit code 1 when a median is over its limit.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

TESTS = Path(__file__).parents[1]
LIMIT_S = 2.0
PAGES = {
    "overview, map": ("overview", {}),
    "overview, 144 heads as points": ("overview", {"view": "Scatter"}),
    "overview, 36,864 neurons as points": ("overview", {"part": "neurons", "view": "Scatter"}),
    "overview, ranked neurons": ("overview", {"part": "neurons", "view": "List"}),
    "head": ("head", {"head": "L5H1"}),
    "neuron": ("neuron", {"neuron": "L7N2000"}),
    "layer": ("layer", {"layer": "5"}),
}
ADDRESSES = {"overview": "/", "head": "/atlas-head", "neuron": "/atlas-neuron", "layer": "/atlas-layer"}
DRAWN = """() => {
    const every = where => [...document.querySelectorAll(`[data-testid="${where}"]`)];
    const [figures, tables] = [every("stPlotlyChart"), every("stDataFrame")];
    return document.querySelector('[data-testid="stApp"]')?.dataset.testScriptState === "notRunning"
        && figures.length + tables.length > 0
        && figures.every(one => one.querySelector(".main-svg")) && tables.every(one => one.querySelector("canvas"));
}"""
FRESH = """
import time
from streamlit.testing.v1 import AppTest
began, cpu = time.perf_counter(), time.process_time()
page = AppTest.from_file({app!r}, default_timeout=120).run()
assert not page.exception and page.title[0].value == "Atlas"
print(time.perf_counter() - began, time.process_time() - cpu)
"""


def page(name):
    """A page on the run that the environment names."""
    from importlib import import_module

    from interp.dashboard.atlas import run

    import_module(f"interp.dashboard.atlas.{name}").show(run.chosen())


def fresh() -> tuple[float, float]:
    """Seconds of the first page in a new process: its libraries, opening the run, drawing."""
    code = FRESH.format(app=str(TESTS.parent / "app.py"))
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", code], check=True, capture_output=True, text=True, cwd=TESTS.parent)
    wall, cpu = done.stdout.split()[-2:]
    return float(wall), float(cpu)


def again(name: str, query: dict[str, str]) -> tuple[float, float]:
    """Seconds of a page in a new session, the run being open."""
    from streamlit.testing.v1 import AppTest

    asked = AppTest.from_function(page, default_timeout=120, kwargs={"name": name})
    for key, value in query.items():
        asked.query_params[key] = value
    began, cpu = time.perf_counter(), time.process_time()
    asked.run()
    assert not asked.exception
    return time.perf_counter() - began, time.process_time() - cpu


def in_browser(run: Path, runs: int) -> dict[str, list[float]]:
    """Seconds from the address to the last figure or table drawn; the very first load, which loads libraries, by itself."""
    from conftest import browsing, served

    found: dict[str, list[float]] = {}
    with served(INTERP_RUN=str(run)) as address, browsing(viewport={"width": 1440, "height": 1000}) as browser:
        for number in range(runs + 1):
            for what, (name, query) in PAGES.items():
                path = ADDRESSES[name] + "?" + "&".join(f"{key}={value}" for key, value in query.items())
                began = time.perf_counter()
                browser.goto(address + path)
                browser.wait_for_function(DRAWN, timeout=120_000)
                took = time.perf_counter() - began
                found.setdefault(what if number else f"{what}, first load", []).append(took)
    return found


def told(what: str, times: list[tuple[float, float]]) -> bool:
    wall, cpu = (statistics.median(each) for each in zip(*times, strict=True))
    print(f"{what:56} {wall:7.2f} s {cpu:7.2f} s of the processor{'  OVER' if cpu > LIMIT_S else ''}", flush=True)
    return cpu > LIMIT_S


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("run", type=Path)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--no-browser", action="store_true")
    asked = parser.parse_args(arguments)
    from small_runs import widened

    with tempfile.TemporaryDirectory() as place:
        run = widened(asked.run, Path(place) / "run")
        os.environ["INTERP_RUN"] = str(run)
        print(f"profile.nc: {(run / 'profile.nc').stat().st_size / 1e6:.0f} MB; load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
        over = told("first page in a new process", [fresh() for _ in range(asked.runs)])
        actions: dict[str, Callable[[], tuple[float, float]]] = {
            what: (lambda name=name, query=query: again(name, query)) for what, (name, query) in PAGES.items()
        }
        for what, action in actions.items():
            action()  # what is read first is kept
            over |= told(what, [action() for _ in range(asked.runs)])
        for what, times in {} if asked.no_browser else in_browser(run, asked.runs).items():
            print(f"{f'browser: {what}':56} {statistics.median(times):7.2f} s", flush=True)
    return int(over)


if __name__ == "__main__":
    sys.path[:0] = [str(TESTS / "dashboard"), str(TESTS)]  # here: pytest reads this file for doctests; both hold a conftest
    raise SystemExit(main(sys.argv[1:]))
