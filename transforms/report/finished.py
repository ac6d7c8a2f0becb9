"""What a finished dataset says of itself, believed only as far as its own records hold together."""

from __future__ import annotations

from hashlib import sha256

from transforms import records
from transforms.dataset.checksums import Checksums
from transforms.dataset.output import CHECKSUMS_FILE, DATASET_FILE, REPORT_FILE, RUN_FILE, Output, run_file
from transforms.dataset.plan import Plan
from transforms.errors import UserError
from transforms.report.report import Report
from transforms.storage import Storage, uris

_REMEDY = "run cliptune prepare again, which finishes it"


def load(folder: str, storage: Storage) -> tuple[Report, Checksums]:
    """The report of a finished dataset, and the checksums of its files.

    A report alone proves nothing, for it may be of an earlier run: `dataset.json` is written last, and
    `checksums.json` says which report belongs to it.

    Args:
      folder: absolute folder or gs:// URI.
      storage: reads it.

    Raises:
      UserError: there is no finished dataset, or its files are not of one run.
      StorageError: the storage failed.
    """
    contents = {}
    for name in (DATASET_FILE, CHECKSUMS_FILE, REPORT_FILE, RUN_FILE):
        try:
            contents[name] = storage.read_record(uris.join(folder, name))
        except FileNotFoundError:
            raise UserError(f"{folder} holds no finished dataset: {name} is not there; {_REMEDY}") from None
    try:
        known = Checksums.load(contents[CHECKSUMS_FILE])
        report = Report.load(contents[REPORT_FILE])
    except records.DAMAGES as fault:
        raise UserError(f"{folder} holds no dataset that can be believed: {fault}; {_REMEDY}") from None
    for name in (DATASET_FILE, REPORT_FILE, RUN_FILE):
        if known.sha256.get(name) != sha256(contents[name]).hexdigest():
            raise UserError(f"{folder}/{name} is not of the run that {CHECKSUMS_FILE} lists; {_REMEDY}")
    return report, known


def of(plan: Plan, output: Output) -> Report:
    """The report of the dataset in the output, if it is the one that the plan asks for.

    Raises:
      UserError: as `load`; or the dataset is of another run.
      StorageError: the storage failed.
    """
    report, known = load(output.folder, output.storage)
    mine = sha256(run_file(plan, output.settings)).hexdigest()
    if (known.sha256[RUN_FILE], known.sources_digest) != (mine, plan.sources_digest):
        raise UserError(f"{output.folder} holds a dataset of another run; {_REMEDY}")
    return report
