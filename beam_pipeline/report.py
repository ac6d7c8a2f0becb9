"""What a finished dataset holds, said from its own files: as the command that prepared it would have said it."""

from __future__ import annotations

from pathlib import Path

from beam_pipeline import prepare
from beam_pipeline.job import Ran
from beam_pipeline.prepare import Prepared
from beam_pipeline.requests import ReportRequest
from transforms.listener import SILENT, Listener
from transforms.report import finished
from transforms.storage import Storage, uris


def run(request: ReportRequest, listener: Listener = SILENT) -> Prepared:
    """Says what a finished dataset holds. No clip counts as reused, for the dataset does not say which run made it.

    Raises:
      UserError: there is no finished dataset, or its files are not of one run.
      StorageError: the storage failed, after retries.
    """
    folder = uris.absolute(request.dataset.rstrip("/") or request.dataset, str(Path.cwd()))
    storage = Storage(request.billing_project)
    report, _ = finished.load(folder, storage.within([folder]))
    return prepare.prepared(report, Ran(0), request)
