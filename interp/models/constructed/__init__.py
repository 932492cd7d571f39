"""Models written weight by weight, whose circuits are known: what a measure or a judge must find, and must not find beside it.

`words` is what they read, `heads` how a head is written, `circuits` the models, `scrambling` their twins without the circuit.
"""

from interp.models.constructed.circuits import NAMES, Constructed, constructed
from interp.models.constructed.scrambling import scrambled
from interp.models.constructed.words import CLASSES, subject_sentences

__all__ = ["CLASSES", "NAMES", "Constructed", "constructed", "scrambled", "subject_sentences"]
