"""The dashboard's frame: page settings, navigation, the model in the sidebar."""

from collections.abc import Callable

import streamlit as st

from interp.dashboard import chosen
from interp.dashboard.views import claims, prompt
from interp.models.model import Model


def main() -> None:
    """Run the page that the address asks for."""
    st.set_page_config(page_title="interp", page_icon=":material/biotech:", layout="wide")
    model = chosen.model()
    st.navigation(
        [
            st.Page(_with(model, prompt.show), title="Prompt", icon=":material/text_fields:", url_path="prompt", default=True),
            st.Page(_with(model, claims.show), title="Claims", icon=":material/gavel:", url_path="claims"),
        ]
    ).run()


def _with(model: Model | None, show: Callable[[Model], None]) -> Callable[[], None]:
    """A page over the model; without one there is nothing to show but the message that says why."""

    def page() -> None:
        if model is not None:
            show(model)

    return page


if __name__ == "__main__":
    main()
