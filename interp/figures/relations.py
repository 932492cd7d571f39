"""A table of relations as bars: how much better than the best fixed offset each relation's head is, with its interval."""

import numpy as np

from interp.claims.relation_table import RelationTable
from interp.figures.description import Bars, Reference


def relation_bars(table: RelationTable) -> Bars:
    """Gain over the best fixed offset on the confirmation half, a bar for each relation; the line is the smallest gain that matters."""
    rows, first = table.rows(), table.verdicts[0]
    margin = first.claim["test"]["margin"]
    supported = [row["relation"] for row in rows if row["outcome"] == "supported"]
    told = f"Supported: {', '.join(supported) or 'none'}."
    if any(row["reason"] == "null_not_run" for row in rows):
        told = "The untrained twins were not run, without which nothing counts as supported."
    return Bars(
        title=f"{first.model}: the best head of each relation",
        caption="Dependent to head, or (reversed) the other way; in brackets the accuracy. Head and direction were chosen on one "
        f"half of the documents and tested on the other; intervals are 95 % over documents. {told}",
        labels=[f"{row['relation']} {row['head']}{' reversed' * (row['from'] == 'head')} ({row['accuracy']:.0%})" for row in rows],
        values=np.array([row["gain"] for row in rows]),
        low=np.array([row["low"] for row in rows]),
        high=np.array([row["high"] for row in rows]),
        label_title="relation, head, accuracy",
        value_title="accuracy over the best fixed offset",
        reference=Reference(value=margin, label="smallest gain that matters"),
    )
