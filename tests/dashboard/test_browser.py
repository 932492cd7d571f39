"""The dashboard in a real browser: what AppTest cannot do is click a chart, and see what HTML became."""

import csv
import re
import zipfile

import numpy as np
import pytest

from interp import api

SENTENCE = "She opened the <b>door</b> and looked at the sea"
PLACE = """([row, column]) => {
    const map = document.querySelectorAll('.js-plotly-plot')[0], box = map.getBoundingClientRect();
    const {xaxis, yaxis} = map._fullLayout;
    return [box.left + xaxis._offset + xaxis.l2p(column), box.top + yaxis._offset + yaxis.l2p(row)];
}"""
IDLE = "() => document.querySelector('[data-testid=stApp]').dataset.testScriptState === 'notRunning'"
DRAWN = "n => document.querySelectorAll('.js-plotly-plot')[1]?._fullData?.[0]?.z?.length === n"
TITLED = "title => document.querySelectorAll('.js-plotly-plot .gtitle')[1]?.textContent === title"
CELLS = "() => Array.from(document.querySelectorAll('.js-plotly-plot')[1]._fullData[0].z, row => Array.from(row))"


@pytest.mark.browser
def test_a_sentence_a_click_and_the_files(browser_page, address, tmp_path):
    page = browser_page
    page.goto(address)
    field = page.get_by_label("Text", exact=True)
    field.wait_for(timeout=90_000)
    field.fill(SENTENCE)
    field.press("Enter")
    page.locator(".chips", has_text="looked").wait_for(timeout=30_000)
    assert page.locator(".chips b").count() == 0
    assert "<" in page.locator(".chips").inner_text()

    expected = api.capture(api.load(), SENTENCE).pattern("L2H5").values
    page.wait_for_function(DRAWN, arg=len(expected), timeout=30_000)
    page.mouse.click(*page.evaluate(PLACE, [2, 5]))
    page.get_by_text("L2H5 · entropy of attention").wait_for(timeout=15_000)
    assert "head=L2H5" in page.url
    page.wait_for_function(TITLED, arg="Attention, L2H5", timeout=15_000)
    np.testing.assert_allclose(np.array(page.evaluate(CELLS)), expected, atol=1e-6)

    files = {suffix: _download(page, suffix, tmp_path) for suffix in ("pdf", "csv")}
    assert files["pdf"].read_bytes().startswith(b"%PDF")
    rows = list(csv.DictReader(files["csv"].read_text(encoding="utf-8").splitlines()))
    assert len(rows) == expected.size
    value = next(name for name in rows[0] if name.endswith("[probability]"))
    np.testing.assert_allclose([float(row[value]) for row in rows], expected.ravel(), atol=1e-6)

    page.locator(".st-key-head-map").focus()
    for key, site in {"ArrowRight": "L2H6", "ArrowDown": "L3H6"}.items():
        page.keyboard.press(key)
        page.get_by_text(f"{site} · entropy of attention").wait_for(timeout=30_000)
    assert "head=L3H6" in page.url
    seen = api.capture(api.load(), SENTENCE)
    row = seen.pattern("L3H6").values[4]
    page.wait_for_function(TITLED, arg="Attention, L3H6", timeout=15_000)
    page.locator(".lines .queries .word").nth(4).hover()
    token, most = seen.example.tokens[4].strip(), int(row.argmax())
    told = f"{token} (4) looks at {seen.example.tokens[most].strip()} ({most}) {row[most]:.2f}"
    page.locator(".lines .told", has_text=told).wait_for(timeout=5_000)
    assert page.locator(".lines svg path").count() == int((row >= 0.02).sum())
    assert page.locator(".lines b").count() == 0


def _download(page, suffix, folder):
    """The file behind the second figure's button, one column wide."""
    page.get_by_role("button", name="Save").nth(1).click()
    with page.expect_download(timeout=30_000) as told:
        page.get_by_role("button", name=re.compile(f"^{suffix.upper()}$")).first.click()
    assert told.value.suggested_filename == f"tales-L2H5-raw.{suffix}"
    told.value.save_as(folder / f"figure.{suffix}")
    page.keyboard.press("Escape")
    return folder / f"figure.{suffix}"


@pytest.mark.browser
def test_a_link_the_pin_and_the_report_by_keyboard(browser_page, address, tmp_path):
    page = browser_page
    page.goto(f"{address}/?head=L2H5&statistic=previous&text=She+opened+the+door")
    page.wait_for_function(TITLED, arg="Attention, L2H5", timeout=90_000)
    page.get_by_role("button", name="Link").nth(1).press("Enter")
    link = page.locator("[data-testid=stPopoverBody] code").first.inner_text()
    page.keyboard.press("Escape")
    for part in (address, "head=L2H5", "statistic=previous", "text=She+opened+the+door", "model=tales"):
        assert part in link
    page.get_by_role("button", name=re.compile("Pin$")).nth(1).press("Enter")
    page.get_by_text("The page Report has 1.").wait_for(timeout=15_000)

    page.get_by_role("link", name="Report").press("Enter")
    picture = page.locator("[data-testid=stImage] img")
    picture.wait_for(timeout=30_000)
    assert picture.get_attribute("alt").startswith("Attention, L2H5. Heat map")
    page.get_by_label("Caption").fill("The head looks <b>back</b>")
    page.get_by_label("Caption").press("Control+Enter")
    page.wait_for_timeout(1000)
    page.wait_for_function(IDLE, timeout=60_000)
    with page.expect_download(timeout=60_000) as told:
        page.get_by_role("button", name="Zip").press("Enter")
    told.value.save_as(tmp_path / "report.zip")
    with zipfile.ZipFile(tmp_path / "report.zip") as packed:
        assert "The head looks &lt;b&gt;back&lt;/b&gt;" in packed.read("report/report.html").decode()
        assert packed.read("report/figures/01-tales-L2H5-raw.svg").startswith(b"<?xml")

    other = page.context.browser.new_context().new_page()
    other.goto(link)
    other.wait_for_function(TITLED, arg="Attention, L2H5", timeout=30_000)
    assert other.get_by_label("Text", exact=True).input_value() == "She opened the door"
    assert other.get_by_text("L2H5 · weight on the previous token").count() == 1
    other.get_by_role("link", name="Report").click()
    other.get_by_text("Nothing is pinned yet").wait_for(timeout=15_000)


@pytest.mark.browser
def test_who_comes_while_the_libraries_are_loaded_sees_no_error_and_then_the_map(browser_page, just_started):
    browser_page.goto(just_started)
    framed = "() => document.querySelector('.js-plotly-plot') && document.body.innerText.includes('Loading the libraries')"
    browser_page.wait_for_function(framed, timeout=90_000)  # the browser can draw by now
    browser_page.wait_for_function("() => document.querySelector('.js-plotly-plot .hm, .stException')", timeout=90_000)
    assert browser_page.locator(".stException").count() == 0
    assert browser_page.get_by_text("Loading the libraries and the model").count() == 0
