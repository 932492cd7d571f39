"""The dashboard: `streamlit run app.py`."""

from interp.dashboard.app import main

main()
