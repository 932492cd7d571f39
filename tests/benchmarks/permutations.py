"""How long, and in how much memory, are p-values adjusted for 144 heads x 40 relations by 10,000 permutations? A table.

python tests/benchmarks/permutations.py [--heads 144] [--relations 40] [--documents 150] [--permutations 10000]

The numbers are random, since the time does not depend on them. Memory is what numpy asked for at its highest, beside the table itself: the
whole null of every member would be 460 MB. A script, not a test: `tests/claims/test_relation_table.py` holds the time below 30 s.
"""

import argparse
import time
import tracemalloc

import numpy as np

from interp.stats.permutation import sign_flip_max_t


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name, usual in (("heads", 144), ("relations", 40), ("documents", 150), ("permutations", 10_000)):
        parser.add_argument(f"--{name}", type=int, default=usual)
    asked = parser.parse_args()
    members = asked.heads * asked.relations
    differences = np.random.default_rng(0).normal(size=(members, asked.documents)).round(1)
    tracemalloc.start()
    began, wall = time.process_time(), time.perf_counter()
    found = sign_flip_max_t(differences, n_resamples=asked.permutations - 1, seed=0)
    taken, elapsed = time.process_time() - began, time.perf_counter() - wall
    peak = tracemalloc.get_traced_memory()[1]
    print(f"{members:,} members x {asked.documents} documents x {asked.permutations:,} permutations:")
    print(f"{taken:.1f} s of processor time ({elapsed:.1f} s by the clock), {peak / 1e6:.0f} MB at most")
    print(f"beside the table of {differences.nbytes / 1e6:.0f} MB; a whole null would be {8e-6 * members * asked.permutations:.0f} MB")
    print(f"smallest p {found.p.min():.2g}, adjusted {found.p_adjusted.min():.2g}: nothing is planted")


if __name__ == "__main__":
    main()
