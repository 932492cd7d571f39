"""Pins and the page Report: what is pinned is what was drawn, in order, in this session; its files open."""

import io
import zipfile

import numpy as np
from streamlit.testing.v1 import AppTest

from interp import api
from interp.dashboard import footer, pins
from interp.dashboard.views.reading import TEXT


def opened(**query: str) -> AppTest:
    page = AppTest.from_file("../../app.py", default_timeout=120)
    for name, value in query.items():
        page.query_params[name] = value
    return page.run()


def button(page: AppTest, ending: str):
    return next(one for one in page.button if str(one.key).endswith(ending))


def words(page: AppTest, kind: str) -> str:
    return "\n".join(element.value for element in page.get(kind)).replace("\\", "")


def test_a_pin_holds_what_is_drawn_and_goes_again():
    page = opened(head="L2H3", statistic="previous")
    button(page, "L2H3-raw-pin").click().run()
    button(page, "previous-pin").click().run()
    assert not page.exception
    kept = page.session_state["pins"]
    assert [pin.name for pin in kept] == ["tales-L2H3-raw", "tales-previous"]
    seen = api.capture(api.load(), TEXT)
    np.testing.assert_array_equal(kept[0].description.values, seen.pattern("L2H3").values)
    assert "seen.pattern('L2H3')" in kept[0].python
    for part in ("head=L2H3", "statistic=previous", "model=tales", "text=The+bank"):
        assert part in kept[0].address
    assert button(page, "L2H3-raw-pin").label == "Pinned"
    button(page, "L2H3-raw-pin").click().run()
    assert [pin.name for pin in page.session_state["pins"]] == ["tales-previous"]
    assert button(page, "L2H3-raw-pin").label == "Pin"


def test_another_session_sees_none():
    one, other = opened(), opened()
    button(one, "-pin").click().run()
    assert len(one.session_state["pins"]) == 1
    other.run()
    assert not other.session_state["pins"]


def of_report() -> None:
    """The page by itself, with two pins."""
    import numpy as np
    import streamlit as st

    from interp.dashboard.views import report
    from interp.figures.description import Bars
    from interp.reports.pinned.pin import Pin

    def bars(title):
        return Bars(title=title, caption="Model tales.", n=2, labels=["a"], values=np.ones(1), value_title="v")

    if "began" not in st.session_state:
        st.session_state["began"] = True
        st.session_state["pins"] = [Pin(name=name, description=bars(f"*{name}* <b>"), python="1", address="http://h/?a=1") for name in "xy"]
    report.show(None)


def test_order_captions_and_files():
    page = AppTest.from_function(of_report, default_timeout=60).run()
    assert not page.exception
    assert "Model tales. n = 2." in words(page, "caption")
    page.button(key="pin-0-down").click().run()
    assert [pin.name for pin in page.session_state["pins"]] == ["y", "x"]
    page.text_area[0].set_value("What <i>y</i> shows").run()
    page.text_input(key="report-title").set_value("My <b>report</b>").run()
    assert [pin.caption for pin in page.session_state["pins"]] == ["What <i>y</i> shows", ""]
    assert "2 figures in **My <b>report</b>**" in words(page, "caption")
    page.button(key="pin-1-out").click().run()
    assert [pin.name for pin in page.session_state["pins"]] == ["y"]
    assert page.button(key="pin-0-up").disabled
    assert page.button(key="pin-0-down").disabled
    assert not page.exception
    page.button(key="pin-0-out").click().run()
    assert "Nothing is pinned yet" in words(page, "info")


def test_a_report_holds_so_many(monkeypatch):
    monkeypatch.setattr(pins, "MOST", 1)
    page = opened()
    button(page, "entropy-pin").click().run()
    button(page, "raw-pin").click().run()
    assert len(page.session_state["pins"]) == 1
    assert "A report holds 1 figures" in words(page, "toast")


def test_files_in_two_widths():
    seen = api.capture(api.load(), TEXT)
    figure = api.figure(seen.pattern("L2H3"))
    for suffix in ("pdf", "svg", "png"):
        one, two = (footer.made(figure, suffix, width)() for width in ("one", "two"))
        assert one != two
    assert b"/MediaBox [ 0 0 252.28" in footer.made(figure, "pdf", "one")()  # 89 mm
    assert b"/MediaBox [ 0 0 518.74" in footer.made(figure, "pdf", "two")()  # 183 mm


def test_zip_of_what_was_pinned():
    from interp.reports.pinned.bundle import as_zip

    page = opened(head="L1H1")
    button(page, "L1H1-raw-pin").click().run()
    with zipfile.ZipFile(io.BytesIO(as_zip(page.session_state["pins"], title="t"))) as packed:
        assert "report/figures/01-tales-L1H1-raw.pdf" in packed.namelist()
        assert "seen.pattern('L1H1')" in packed.read("report/figures.py").decode()
