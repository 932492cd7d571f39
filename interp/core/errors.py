"""Every error that interp raises on purpose, as one tree.

    InterpError
    ├── ModelError              a model that cannot be had or used
    │   ├── ModelNotFound       no such bundled model, folder or hub name
    │   ├── ModelDamaged        its files do not make a whole model
    │   └── ModelUnsupported    a family or a feature that nobody verified
    ├── TextError               a text that cannot be read as asked
    │   ├── EmptyText
    │   ├── TextTooLong
    │   └── AlignmentError      a word without a token of its own
    ├── DataError               a corpus, treebank or file that is not as it should be
    ├── SiteError               a head, neuron or layer that does not exist
    ├── MemoryLimit             a capture that would take more memory than allowed
    ├── CheckFailed             what was asked rests on a self-check that failed
    ├── InterventionError       an edit that never took place
    ├── ClaimError              a claim that cannot be judged as written
    └── Stopped                 long work that somebody stopped

A message says what came, what was expected and what to do. The command line turns any of these into exit code 2.
"""


class InterpError(Exception):
    """Root of all errors that interp raises on purpose."""


class ModelError(InterpError):
    """A model that cannot be had or used."""


class ModelNotFound(ModelError):
    """No such bundled model, folder or hub name."""


class ModelDamaged(ModelError):
    """The files found do not make a whole model."""


class ModelUnsupported(ModelError):
    """A family, or a feature of one, that nobody has verified."""


class TextError(InterpError):
    """A text that cannot be read as asked."""


class EmptyText(TextError):
    """No token in the text."""


class TextTooLong(TextError):
    """More tokens than the model's context holds."""


class AlignmentError(TextError):
    """A word that has no token of its own."""


class DataError(InterpError):
    """A corpus, treebank or file that is not as it should be."""


class SiteError(InterpError):
    """A head, neuron or layer that does not exist in this model."""


class MemoryLimit(InterpError):
    """A capture that would take more memory than allowed."""


class CheckFailed(InterpError):
    """What was asked rests on a self-check that failed for this model."""


class InterventionError(InterpError):
    """An edit that never took place, or changed nothing where it must."""


class ClaimError(InterpError):
    """A claim that cannot be judged as written."""


class Stopped(InterpError):
    """Long work that somebody stopped."""
