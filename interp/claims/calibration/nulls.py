"""Cases in which a claim is not true. A protocol that calls them supported finds what is not there.

"Untrained" models have heads that look somewhere, "shuffled" labels meet heads that look at something, "scrambled" models have all but
the circuit, and others are written so that what is claimed is false. Where labels are drawn by coins or exchanged, and one head or one
layer is asked, p-values must be uniform as well: a rule that never says yes would have no false positives either.
"""

from interp.claims.calibration.cases import Known
from interp.claims.calibration.nulls_of_heads import OF_HEADS
from interp.claims.calibration.nulls_of_parts import OF_PARTS
from interp.claims.calibration.nulls_of_words import OF_WORDS

# Their verdicts carry a control that must show an effect; sampling plays no part in them. The last one decides nothing, ever.
EXACT = (
    "approximation",
    "configuration_arithmetic",
    "ffn_is_positionwise",
    "published_number",
    "published_order",
    "wiring",
    "unanswered",
)
NULLS: tuple[Known, ...] = (*OF_HEADS, *OF_WORDS, *OF_PARTS)
