"""`python -m interp.dashboard OPTIONS`: Streamlit on the dashboard; options as `streamlit run` takes them."""

import os
import sys
from pathlib import Path

from interp.dashboard import ahead

MODEL, SERVED, RUN = "INTERP_MODEL", "INTERP_SERVED_MODELS", "INTERP_RUN"


def main() -> None:
    """Begin with what the first page needs as soon as Streamlit itself is there, then serve."""
    from streamlit.web import cli

    if RUN not in os.environ:  # an atlas opens without a model
        ahead.begin(_offered_first())
    sys.argv = ["streamlit", "run", str(Path(__file__).with_name("app.py")), *sys.argv[1:]]
    cli.main(prog_name="streamlit")


def _offered_first() -> str:
    from interp.models.zoo import DEFAULT

    return os.environ.get(MODEL) or (os.environ.get(SERVED) or DEFAULT).splitlines()[0]


if __name__ == "__main__":
    main()
