"""Many claims on many models, each verdict kept in a file as soon as it is there: a stopped run goes on, what is known is not run again.

    OUT/MODEL/S1-01.json     a verdict on a model
    OUT/general/S4-34.json   a verdict of a claim that is about no model at hand (publications, configurations, bundled models compared)
    OUT/MODEL/not_run.json   claim -> why it was not run: no data marks what it needs

A verdict is taken from its file where claim, model, data, seed, the code that it rests on and the libraries are the same; `OUT/MODEL/.keys`
has a hash of all that for each. Claims of one protocol on one model are judged one after the other by one process, which holds what they
share (see `shared`): the same question is asked once.
"""

import hashlib
import json
import multiprocessing
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import torch
from threadpoolctl import threadpool_limits

from interp.claims.claim import Claim
from interp.claims.judge import judge
from interp.claims.kept import read_verdict
from interp.claims.shared import Shared
from interp.claims.tested_on import data_stamp
from interp.claims.verdict import Verdict
from interp.core.errors import ClaimError, DataError
from interp.core.files import write_whole
from interp.core.provenance import own_source, versions
from interp.models import zoo
from interp.models.model import Model
from interp.models.zoo import checksums

GENERAL = "general"
ROOMS = ("core", "stats", "texts", "measures", "models", "captures", "interventions", "lens", "checks", "claims")  # what a verdict rests on
KEYS, NOT_RUN = ".keys", "not_run.json"
Load = Callable[[str], Model]


@dataclass(frozen=True, kw_only=True)
class Judged:
    """What came of one claim on one model.

    Attributes:
        model: its name, or "general".
        verdict: None where it was not run.
        why_not: why it was not run; "" where it was.
        kept: it was there already.
    """

    claim: Claim
    model: str
    verdict: Verdict | None
    why_not: str = ""
    kept: bool = False


@dataclass(frozen=True, kw_only=True)
class Job:
    """One claim on one model. `data` are tried in their order: the first that serves is taken."""

    claim: Claim
    model: str
    data: tuple[str, ...]
    out: Path
    seed: int

    @property
    def general(self) -> bool:
        """Whether the claim is about no model at hand."""
        return bool(self.claim.protocol.subject(self.claim.test))

    @property
    def together(self) -> tuple[str, str]:
        """What jobs have in common that share things."""
        return self.model, self.claim.test.protocol

    @property
    def folder(self) -> Path:
        return self.out / (GENERAL if self.general else Path(self.model).name)

    @property
    def file(self) -> Path:
        return self.folder / f"{self.claim.id}.json"

    @property
    def key_file(self) -> Path:
        return self.folder / KEYS / self.claim.id

    def key(self, model: Model) -> str:
        """A hash of all that the verdict depends on."""
        parts = [self.claim.hash, "" if self.general else model.fingerprint, self.seed, own_source(ROOMS), versions()]
        stamps = [data_stamp(one) for one in self.data] if self.claim.needs else []
        stamps += [(zoo.folder(name) / checksums.FILE).read_text(encoding="utf-8") for name in getattr(self.claim.test, "models", ())]
        return hashlib.blake2b(json.dumps([*parts, *stamps], sort_keys=True).encode(), digest_size=8).hexdigest()


def judge_many(
    claims: Sequence[Claim],
    models: Sequence[str],
    data: Sequence[str],
    *,
    out: str | Path,
    load: Load,
    seed: int = 0,
    workers: int = 1,
    progress: Callable[[str], None] | None = None,
) -> list[Judged]:
    """Judge claims on models, and keep the verdicts in a folder.

    Args:
        claims: a claim about no model at hand is judged once, whatever the models.
        models: names or folders, as `load` takes them.
        data: files, folders, or "grammar"; for each claim the first that it can be tested on.
        out: the folder, made where it is not there.
        load: makes a model of a name.
        workers: processes, which share the threads; each loads the models that it needs.
        progress: called with what was done.
    Returns: in the order of models and claims.
    Raises: ClaimError for a folder that is a file, or no claim or model.
    """
    out, tell = Path(out), progress or (lambda what: None)
    if out.exists() and not out.is_dir():
        raise ClaimError(f"{out} is a file; expected a folder for the verdicts, a new one or one that such a run began")
    if not claims or not models:
        raise ClaimError(f"{len(claims)} claims and {len(models)} models came; expected one at least of each")
    jobs = list(_jobs(claims, models, tuple(data), out, seed))
    _refuse_one_place_for_two(jobs)
    done: dict[int, Judged] = {}
    for number, judged in _run(jobs, load, workers):
        done[number] = judged
        tell(f"{len(done)} of {len(jobs)}: {_told(judged)}")
    found = [done[number] for number in range(len(jobs))]
    _keep_reasons(jobs, found)
    return found


def _jobs(claims: Iterable[Claim], models: Sequence[str], data: tuple[str, ...], out: Path, seed: int) -> Iterator[Job]:
    for number, model in enumerate(models):
        for claim in claims:
            job = Job(claim=claim, model=model, data=data, out=out, seed=seed)
            if number == 0 or not job.general:
                yield job


def _refuse_one_place_for_two(jobs: Sequence[Job]) -> None:
    twice = [str(file) for file, n in Counter(job.file for job in jobs).items() if n > 1]
    if twice:
        raise ClaimError(
            f"two verdicts would be kept as {twice[0]}; expected claims with ids, and folders of models with names, of their own"
        )


def _run(jobs: Sequence[Job], load: Load, workers: int) -> Iterator[tuple[int, Judged]]:
    if workers <= 1:
        worker = _Worker(load)
        yield from ((number, worker(jobs[number])) for group in _groups(jobs) for number in group)
        return
    context = multiprocessing.get_context("spawn")
    threads = max(1, torch.get_num_threads() // workers)
    with ProcessPoolExecutor(workers, mp_context=context, initializer=_begin, initargs=(load, threads)) as pool:
        with _without_main():
            waiting: Mapping[Future[list[Judged]], list[int]] = {
                pool.submit(_work, [jobs[number] for number in group]): group for group in _groups(jobs)
            }
        for future in as_completed(waiting):
            yield from zip(waiting[future], future.result(), strict=True)


@contextmanager
def _without_main() -> Iterator[None]:
    """Processes started inside do not run the script once more that starts them: it may have no `if __name__ == "__main__"`."""
    main = sys.modules["__main__"]
    sys.modules["__main__"] = ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = main


def _groups(jobs: Sequence[Job]) -> list[list[int]]:
    """The numbers of the jobs that share things, those of one model behind each other."""
    found: dict[tuple[str, str], list[int]] = {}
    for number, job in enumerate(jobs):
        found.setdefault(job.together, []).append(number)
    return list(found.values())


class _Worker:
    """Judges one job after another; holds the model of the last one, and what claims on it share."""

    def __init__(self, load: Load):
        self.load = load
        self.loaded: tuple[str, Model] | None = None
        self.shared = Shared()

    def __call__(self, job: Job) -> Judged:
        model = self._model(job.model)
        key = job.key(model)
        if (kept := _kept(job, key)) is not None:
            return Judged(claim=job.claim, model=job.folder.name, verdict=kept, kept=True)
        verdict, why = _verdict(job, model, self.shared)
        if verdict is not None:
            _keep(job, key, verdict)
        else:
            _forget(job)
        return Judged(claim=job.claim, model=job.folder.name, verdict=verdict, why_not=why)

    def _model(self, name: str) -> Model:
        if self.loaded is None or self.loaded[0] != name:
            self.loaded, self.shared = (name, self.load(name)), Shared()
        return self.loaded[1]


_WORKER: list[_Worker] = []


def _begin(load: Load, threads: int) -> None:
    torch.set_num_threads(threads)
    threadpool_limits(threads)  # probes are fitted by numpy's and scipy's BLAS, which else takes every core in every process
    _WORKER[:] = [_Worker(load)]


def _work(jobs: list[Job]) -> list[Judged]:
    return [_WORKER[0](job) for job in jobs]


def _verdict(job: Job, model: Model, shared: Shared) -> tuple[Verdict | None, str]:
    """The verdict on the first data that serves; or why there is none: what each of them lacks, or what failed."""
    why = []
    for data in job.data if job.claim.needs and job.data else (None,):
        try:
            return judge(job.claim, model, data, seed=job.seed, shared=shared), ""
        except (ClaimError, DataError) as error:
            why.append(str(error))
        except Exception as error:  # one claim's failure must not cost the others their verdicts; it is told, and no other data are taken
            return None, f"{type(error).__name__}: {error}"
    return None, "; ".join(why)


def _kept(job: Job, key: str) -> Verdict | None:
    known = job.key_file.read_text(encoding="utf-8") if job.key_file.exists() else ""
    if known != key or not job.file.exists():
        return None
    try:
        return read_verdict(job.file)
    except ClaimError:
        return None  # damaged: judged again


def _forget(job: Job) -> None:
    """What it came to before no longer holds: the claim cannot be run now."""
    for file in (job.file, job.key_file):
        file.unlink(missing_ok=True)


def _keep(job: Job, key: str, verdict: Verdict) -> None:
    job.key_file.parent.mkdir(parents=True, exist_ok=True)
    job.key_file.unlink(missing_ok=True)
    write_whole(job.file, verdict.to_json() + "\n")
    write_whole(job.key_file, key)


def _keep_reasons(jobs: Sequence[Job], found: Sequence[Judged]) -> None:
    """By folder, what was not run; a reason of another run stands until its claim is run."""
    for folder in {job.folder for job in jobs}:
        here = [judged for job, judged in zip(jobs, found, strict=True) if job.folder == folder]
        known = not_run(folder) | {judged.claim.id: judged.why_not for judged in here}
        left = {claim: why for claim, why in known.items() if why}
        folder.mkdir(parents=True, exist_ok=True)
        write_whole(folder / NOT_RUN, json.dumps(left, indent=2, ensure_ascii=False) + "\n")


def not_run(folder: Path) -> dict[str, str]:
    """Claim -> why it was not run, as the folder of a model says."""
    file = folder / NOT_RUN
    return dict(json.loads(file.read_text(encoding="utf-8"))) if file.exists() else {}


def _told(judged: Judged) -> str:
    came = "not run" if judged.verdict is None else judged.verdict.outcome
    return f"{judged.claim.id} on {judged.model}: {came}{', as before' if judged.kept else ''}"
