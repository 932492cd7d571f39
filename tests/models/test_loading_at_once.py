"""Two sessions that load at the same moment: transformers builds models under settings of the whole process."""

import threading

from interp.models.load import load_model
from interp.models.untrained import untrained


def test_models_built_in_several_threads_are_whole():
    """Without the lock most of these threads end with "Cannot copy out of meta tensor" (seen)."""
    first = load_model()
    expected = {first.fingerprint, untrained(first, seed=0).fingerprint}
    found, failed = [], []

    def build():
        try:
            model = load_model()
            found.extend([model.fingerprint, untrained(model, seed=0).fingerprint])
        except Exception as error:  # a thread's error would otherwise be lost
            failed.append(error)

    threads = [threading.Thread(target=build) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed
    assert len(found) == 8
    assert set(found) == expected
