"""Pictures of the pages, light and dark: `python tests/dashboard/screenshots.py FOLDER`; with a RUN behind it, of that run's atlas."""

import re
import sys
from pathlib import Path

LAPTOP = 1100  # pixels across
PAGES = {
    "prompt-heads": "/?head=L0H2&statistic=previous",
    "prompt-difference": "/?head=L3H5&less=L1H3&text=The+old+man+looked+at+the+sea+and+the+old+man+looked+at+the+boat",
    "prompt-all-heads": "/?view=All+heads",
    "prompt-cross-attention": "/?model=en-zh&head=XL2H3",
    "prompt-routing": "/?model=small-moe&view=Routing",
    "ffn-neurons": "/ffn?layer=2",
    "ffn-one-neuron": "/ffn?view=One+neuron",
    "ffn-experts": "/ffn?model=small-moe&view=Experts",
    "prompt-long": "/?text=" + "The+old+man+looked+at+the+sea+and+said+nothing+to+her.+" * 6,
    "prompt-minilm": "/?model=minilm&head=L2H10&form=moved",
    "residual-contributions": "/residual?by=head&against=in",
    "residual-lens": "/residual?view=Logit+lens",
    "residual-layers": "/residual?view=Layers",
    "interventions-off": "/interventions?off=L0H2,+L1+FFN",
    "interventions-edges": "/interventions?view=Hide+edges",
    "interventions-patch": "/interventions?view=Patch",
    "hierarchy": "/hierarchy",
    "compare": "/compare",
    "compare-twin": "/compare?with=its+untrained+twin&show=Next+token",
    "claims": "/claims",
}
ATLAS = {
    "atlas": "/",
    "atlas-scatter": "/?view=Scatter",
    "atlas-neurons": "/?part=neurons&view=Scatter",
    "atlas-list": "/?part=neurons&view=List",
    "atlas-head": "/atlas-head",
    "atlas-neuron": "/atlas-neuron",
    "atlas-layer": "/atlas-layer?layer=1",
}


def main(folder: Path) -> None:
    """Write the pictures."""
    from conftest import browsing, served  # beside this file; pytest, which imports it for doctests, does not look there

    folder.mkdir(parents=True, exist_ok=True)
    with served() as address:
        for theme in ("light", "dark"):
            with browsing(viewport={"width": 1440, "height": 1000}, color_scheme=theme) as page:
                for name, path in PAGES.items():
                    page.goto(address + path)
                    page.get_by_role("heading", level=1).wait_for(timeout=90_000)
                    for width in (1440, LAPTOP):
                        page.set_viewport_size({"width": width, "height": 1000})
                        page.wait_for_selector('[data-testid="stStatusWidget"]', state="detached", timeout=90_000)
                        page.wait_for_timeout(2000)
                        page.screenshot(path=folder / f"{name}-{theme}{'' if width == 1440 else '-laptop'}.png")
                page.goto(f"{address}/claims")
                page.get_by_role("button", name="Run on tales").click()
                page.get_by_text("Evidence", exact=True).wait_for(timeout=90_000)
                page.set_viewport_size({"width": 1440, "height": 1900})
                page.get_by_text("Self-check passed").click()
                page.get_by_text(re.compile(r"(\d+) of \1 passed")).wait_for(timeout=90_000)
                page.wait_for_timeout(2500)
                page.screenshot(path=folder / f"claims-verdict-{theme}.png")
                _report(page, address, folder / f"report-{theme}.png")
        with browsing(viewport={"width": 1440, "height": 1500}) as page:
            _senses(page, address, folder / "hierarchy-senses-light.png")


def _senses(page, address: str, file: Path) -> None:
    """A run of the page Hierarchy that says what brings a word's sense."""
    page.goto(f"{address}/hierarchy?model=small&part=Disambiguation&words=500")
    page.get_by_role("button", name="Run on small").click(timeout=90_000)
    page.get_by_text("Accuracy of the sense that is added").wait_for(timeout=600_000)
    page.locator(".js-plotly-plot").nth(1).wait_for(timeout=90_000)
    page.wait_for_timeout(2500)
    page.screenshot(path=file)


def _report(page, address: str, file: Path) -> None:
    """The page Report with two pins, one with a caption."""
    page.set_viewport_size({"width": 1440, "height": 1000})
    page.goto(f"{address}/?head=L0H7&statistic=previous")
    for at in (1, 0):
        page.get_by_role("button", name="Pin", exact=False).nth(at).wait_for(timeout=90_000)
        page.get_by_role("button", name="Pin", exact=False).nth(at).click()
        page.get_by_text(f"The page Report has {2 - at}.").wait_for(timeout=30_000)
    page.get_by_role("link", name="Report").click()
    page.get_by_label("Caption").first.fill("L0H7 looks at the token before, whatever it is.")
    page.get_by_role("heading", level=1).click()
    page.wait_for_timeout(6000)
    page.screenshot(path=file)


def atlas(folder: Path, run: Path, themes: tuple[str, ...] = ("light", "dark"), **query: str) -> None:
    """Write the pictures of a run's atlas. Args: query: what the pages are to show, such as `head="L0H2"`."""
    from conftest import browsing, served

    folder.mkdir(parents=True, exist_ok=True)
    asked = "".join(f"&{name}={value}" for name, value in query.items())
    with served(INTERP_RUN=str(run.absolute())) as address:
        for theme in themes:
            with browsing(viewport={"width": 1440, "height": 1500}, color_scheme=theme) as page:
                for name, path in ATLAS.items():
                    page.goto(f"{address}{path}{'' if '?' in path else '?'}{asked}")
                    page.get_by_role("heading", level=1).wait_for(timeout=90_000)
                    page.wait_for_selector('[data-testid="stStatusWidget"]', state="detached", timeout=90_000)
                    page.wait_for_timeout(2500)
                    page.screenshot(path=folder / f"{name}-{theme}.png")


if __name__ == "__main__":
    if sys.argv[2:]:
        atlas(Path(sys.argv[1]), Path(sys.argv[2]), **dict(each.split("=", 1) for each in sys.argv[3:]))
    else:
        main(Path(sys.argv[1]))
