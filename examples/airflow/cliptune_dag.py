"""From a manifest to an evaluated model, on Airflow 3: copy this file into the dags folder and edit the first part.

docs/airflow.md says how Airflow and Cliptune are installed, and what each task promises.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow.sdk import dag, task
from airflow.sdk.exceptions import AirflowFailException

from cliptune.airflow import CliptuneOperator, CliptunePrepareOperator

# The program, in its own environment: on the workers and on the triggerers.
CLIPTUNE = "/opt/cliptune/bin/cliptune"
MANIFEST = "gs://B/clips.csv"
DATASET = "gs://B/dataset"
# Empty: prepared on the worker.
DATAFLOW = ["--project=P", "--region=us-central1", "--temp_location=gs://B/tmp"]
SERVICE: list[str] = []
TUNE = ["--project=P", "--location=us-central1"]
# What is priced, and then tuned.
MODEL = ["--base_model=gemini-3.1-flash-lite", "--epochs=3"]

# Where it stops for a person.
MAX_REJECTED_FRACTION = 0.05
MIN_VALIDATION_SHARE = 0.01
MAX_COST_USD = 20.0
FAIL_IF = "wer(tuned) > wer(base)"

POLL_SECONDS = 60.0
RETRY_SECONDS = 60.0


def broken_limits(report: dict[str, Any], check: dict[str, Any]) -> list[str]:
    """What is wrong with the dataset, one sentence each.

    Args:
      report: what `cliptune prepare` prints.
      check: what `cliptune check` prints.
    """
    rejected = report["rejected"] / report["rows"]
    validation = report["splits"].get("validation", {}).get("examples", 0) / max(1, report["accepted"])
    cost = (check["estimate"] or {}).get("upper_cost")
    price = "an unknown sum" if cost is None else f"${cost}"
    limits = {
        f"{rejected:.1%} of the rows were rejected, at most {MAX_REJECTED_FRACTION:.1%} may be: {report['reasons']}": (
            rejected > MAX_REJECTED_FRACTION
        ),
        f"{validation:.1%} of the examples are for validation, at least {MIN_VALIDATION_SHARE:.1%} must be": (
            validation < MIN_VALIDATION_SHARE
        ),
        f"tuning may cost {price}, at most ${MAX_COST_USD} may be spent": cost is None or cost > MAX_COST_USD,
    }
    return [sentence for sentence, broken in limits.items() if broken]


@dag(
    dag_id="cliptune",
    schedule=None,
    catchup=False,
    max_active_runs=1,
    default_args={"retries": 2, "retry_delay": timedelta(seconds=RETRY_SECONDS)},
    tags=["cliptune"],
)
def cliptune_dag() -> None:
    """Prepare, check, gate, tune, watch, predict, evaluate."""

    def step(task_id: str, *words: str) -> CliptuneOperator:
        return CliptuneOperator(task_id=task_id, command=words, cliptune=CLIPTUNE, poll_seconds=POLL_SECONDS)

    @task(retries=0)
    def gate(report: dict[str, Any], check: dict[str, Any]) -> None:
        if problems := broken_limits(report, check):
            raise AirflowFailException("; ".join(problems))

    prepare = CliptunePrepareOperator(
        task_id="prepare",
        # The gate has the last word on rejected rows.
        command=["prepare", f"--manifest={MANIFEST}", f"--output={DATASET}", "--max_rejected_fraction=1"],
        dataflow=DATAFLOW,
        cliptune=CLIPTUNE,
        poll_seconds=POLL_SECONDS,
    )
    check = step("check", "check", DATASET, *MODEL)
    # The same request attaches to its job: on a retry, in a backfill, after a clear.
    tune = step("tune", "tune", DATASET, *SERVICE, *TUNE, *MODEL, f"--max_cost={MAX_COST_USD}", "--no_watch")
    watch = step("watch", "watch", DATASET, *SERVICE, "--timeout=1")
    predict = step("predict", "predict", DATASET, *SERVICE)
    predict_base = step("predict_base", "predict", DATASET, *SERVICE, "--model=base")
    evaluate = step("evaluate", "evaluate", DATASET, f"--fail_if={FAIL_IF}")

    prepare >> check >> gate(prepare.output, check.output) >> tune >> watch
    watch >> [predict, predict_base] >> evaluate


cliptune_dag()
