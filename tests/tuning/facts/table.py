"""The facts: one row a fact, as Google's documentation, its pricing page and users' reports have them.

They were transcribed from copies of the documentation, the newest of 2026-09-25. None of them was tried against the
live service. Where a number is bound by a file that would be large, the limit is lowered.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any

import httpx
import pytest
from google.genai import types

from tests.tuning.facts.bench import (
    AUDIO,
    CLOSED,
    DOUBTFUL,
    FLASH,
    KEY,
    LITE,
    REQUEST,
    SEVERAL,
    Answered,
    Bench,
    bad,
    examples,
)
from tests.tuning.providers.test_rows import ANSWER, FLAC, PROMPT, WAV, blob, model, row, uri, user
from transforms import limits
from transforms.errors import UserError
from transforms.storage import gcs
from tuning import asking, requests
from tuning.providers.base import TERMINAL, Answer
from tuning.providers.vertex import models, tuner
from tuning.providers.vertex.rows import check_line
from tuning.providers.vertex.tuner import VertexTuner

DOCUMENTED, TRANSCRIBED, REPORTED, DOUBTED = "documented", "transcribed", "reported", "unverified"
M = models.MODELS
THIRD = (M[FLASH], M[LITE])
SECOND = tuple(M[name] for name in ("gemini-2.5-flash", "gemini-2.5-flash-lite", "gemini-2.5-pro"))
ELSEWHERE = re.compile("/locations/[^/]+/")
OCTOBER = date(2026, 10, 20)


@dataclass(frozen=True)
class Fact:
    """A fact of the service.

    Attributes:
      says: the fact.
      sources: keys of `limits.SOURCES` or of the models' sources, with the mark that each has.
      code: whether the code says so.
      docs: what docs/tuning.md says of it.
      broken: breaks it; None where a request cannot, as for what the service does by itself.
      told: status and words of the answer.
      lenient: status in a lenient scenario.
      lowered: limits that are lowered for it.
    """

    says: str
    sources: Mapping[str, str]
    code: Callable[[], bool]
    docs: tuple[str, ...]
    broken: Callable[[Bench], Answered] | None = None
    told: tuple[int, str] = (400, "")
    lenient: int | None = None
    lowered: Mapping[str, Any] = field(default_factory=dict)


def refused(name: str, location: str = "us-central1", size: int | None = None, **more: Any) -> str:
    """What the code says to a request before it is sent; "" if it is sent."""
    try:
        models.refuse_wrong(models.find(name), location, size, more.pop("today", date(2026, 9, 25)), **more)
    except UserError as fault:
        return str(fault)
    return ""


def spec() -> dict[str, Any]:
    """What is sent of a job's files and parameters."""
    body = VertexTuner("p", "us-central1", None).body(REQUEST)["body"]
    found: dict[str, Any] = body["supervisedTuningSpec"]
    return found


def rules(line: bytes) -> set[tuple[str, str]]:
    """Severity and rule of the problems of a row."""
    return {(problem.severity, problem.rule) for problem in check_line(line, "f:1")[0]}


def asked(part: Any) -> bytes:
    """An example with this audio."""
    line: bytes = row(user(PROMPT, part), model(ANSWER))
    return line


def dropped(bench: Bench, part: Any) -> Answered:
    """What becomes of one bad example among twenty: the job ends well, and names it."""
    found = bench.tune([*examples(20), asked(part)])
    stats = found.job.data_stats if found.job else None
    return Answered(found.code, str((stats or {}).get("dropped_example_reasons")), found.job)


DATASET = {
    "one file": Fact(
        "training data is one .jsonl object: no wildcard, no list, no folder",
        {},
        lambda: [key for key in spec() if key.endswith("Uri")] == ["trainingDatasetUri"],
        ("one .jsonl object a split",),
        lambda bench: bench.tune("gs://bucket/train-*.jsonl"),
        (400, "must be a single .jsonl file"),
    ),
    "a folder": Fact(
        "nor a folder",
        {},
        lambda: spec()["trainingDatasetUri"] == "gs://bucket/train.jsonl",
        ("one .jsonl object a split",),
        lambda bench: bench.tune("gs://bucket/train/"),
        (400, "must be a single .jsonl file"),
    ),
    "compose": Fact("compose takes at most 32 sources a call", {}, lambda: gcs.COMPOSE_LIMIT == 32, (), None),
    "1 GB": Fact(
        "at most 1 GB a file, read as 1e9 bytes",
        {"MAX_FILE_BYTES": DOCUMENTED},
        lambda: limits.MAX_FILE_BYTES == 1_000_000_000,
        ("1e9 bytes",),
        lambda bench: bench.tune(),
        (400, "bytes, over the limit of 1,000"),
        200,
        {"MAX_FILE_BYTES": 1_000},
    ),
    "300,000 examples": Fact(
        "at most 300,000 multimodal examples",
        {"MAX_TRAIN_EXAMPLES": DOCUMENTED},
        lambda: limits.MAX_TRAIN_EXAMPLES == 300_000,
        ("300,000 examples",),
        lambda bench: bench.tune(examples(21)),
        (400, "21 examples, over the limit of 20"),
        200,
        {"MAX_TRAIN_EXAMPLES": 20},
    ),
    "5,000 for validation": Fact(
        "at most 5,000 validation examples",
        {"MAX_VALIDATION_EXAMPLES": DOCUMENTED},
        lambda: limits.MAX_VALIDATION_EXAMPLES == 5_000,
        ("5,000 examples",),
        lambda bench: bench.tune(validation=examples(5_001, 100)),
        (400, "5,001 examples, over the limit of 5,000"),
        200,
    ),
    "30 %": Fact(
        "more than 1,000 validation examples may be at most 30 % of those for training",
        {"MAX_VALIDATION_SHARE": DOCUMENTED, "VALIDATION_SHARE_FROM": DOCUMENTED},
        lambda: (
            [limits.validation_fits(*pair) for pair in ((1_000, 1), (1_001, 3_336), (1_001, 3_337))]
            == [True, False, True]
        ),
        ("from 1,001 examples on 30 % of those for training",),
        lambda bench: bench.tune(examples(900), examples(1_200, 1_000)),
        (400, "1,200 validation examples, over 30 % of the 900 for training"),
        200,
    ),
    "400 of 1,100": Fact(
        "1,100 for training with 400 for validation are allowed",
        {"VALIDATION_SHARE_FROM": DOCUMENTED},
        lambda: limits.validation_fits(400, 1_100) and not limits.validation_fits(1_200, 900),
        ("1,100 with 400 for validation are accepted, 900 with 1,200 are not",),
        lambda bench: bench.tune(examples(1_100), examples(400, 2_000)),
        (200, "SUCCEEDED"),
    ),
    "25 % of the bytes": Fact(
        "one of Google's samples has at most 25 % of the training bytes for validation: a warning",
        {"MAX_VALIDATION_BYTES_SHARE": DOUBTED},
        lambda: limits.MAX_VALIDATION_BYTES_SHARE == 0.25,
        ("25 % of the bytes for training", "a warning"),
        lambda bench: bench.tune(validation=examples(19, 100)),
        (200, "SUCCEEDED"),
    ),
    "10 % dropped": Fact(
        "a job fails if more than 10 % of its examples are dropped",
        {"MAX_DROPPED_FRACTION": DOCUMENTED},
        lambda: limits.MAX_DROPPED_FRACTION == 0.1,
        ("more than a tenth are bad",),
        lambda bench: bench.tune([*examples(18), *bad(3)]),
        (200, "FAILED: 3 examples are invalid, more than 10 %"),
    ),
    "dropped without a word": Fact(
        "examples over a limit are dropped silently; only the job's statistics name them",
        {},
        lambda: rules(asked(blob(WAV, "audio/flac"))) == {("error", "mime_type")},
        ("the examples that the service left out",),
        lambda bench: dropped(bench, blob(WAV, "audio/flac")),
        (200, "mime_type must be that of the data"),
    ),
    "one recording an example": Fact(
        "one audio file an example (written for 2.5 only)",
        {"MAX_AUDIO_PARTS": DOCUMENTED},
        lambda: limits.MAX_AUDIO_PARTS == 1 and rules(SEVERAL) == {("error", "audio_part")},
        ("one recording an example",),
        lambda bench: bench.tune([*examples(20), SEVERAL]),
        (400, "exactly one audio part"),
        200,
    ),
    "60 minutes": Fact(
        "at most 60 minutes a recording",
        {"MAX_AUDIO_SECONDS": DOCUMENTED},
        lambda: limits.MAX_AUDIO_SECONDS == 3_600,
        ("60 minutes",),
        lambda bench: dropped(bench, blob()),
        (200, "1 s of audio, over the limit of 0.5 s"),
        lowered={"MAX_AUDIO_SECONDS": 0.5},
    ),
    "100 MB": Fact(
        "at most 100 MB a recording",
        {"MAX_AUDIO_BYTES": DOCUMENTED},
        lambda: limits.MAX_AUDIO_BYTES == 100_000_000,
        ("100 MB",),
        lambda bench: dropped(bench, blob()),
        (200, f"{len(FLAC):,} bytes of audio, over the limit of 1,000"),
        lowered={"MAX_AUDIO_BYTES": 1_000},
    ),
    "131,072 tokens": Fact(
        "input and output of an example have at most 131,072 tokens",
        {"MAX_TOKENS_PER_EXAMPLE": DOCUMENTED},
        lambda: limits.MAX_TOKENS_PER_EXAMPLE == 131_072,
        ("131,072 tokens",),
        lambda bench: dropped(bench, blob()),
        (200, "tokens, over the limit of 30"),
        lowered={"MAX_TOKENS_PER_EXAMPLE": 30},
    ),
    "types": Fact(
        "eleven audio types; audio/aac is the Developer API's",
        {"MIME_TYPES": DOCUMENTED},
        lambda: (
            {
                *("audio/x-aac", "audio/flac", "audio/mp3", "audio/m4a", "audio/mpeg", "audio/mpga", "audio/mp4"),
                *("audio/ogg", "audio/pcm", "audio/wav", "audio/webm"),
            }
            == limits.MIME_TYPES
        ),
        ("audio/x-aac", "`audio/aac` is the Developer API's"),
        lambda bench: dropped(bench, uri(mime="audio/aac")),
        (200, "mime_type must be one of audio/flac"),
    ),
    "web addresses": Fact(
        "the URI of audio may be a public HTTP or HTTPS address: a warning",
        {},
        lambda: rules(asked(uri("https://example.com/a.flac"))) == {("warning", "file_uri")},
        ("a public web address",),
        lambda bench: bench.tune([*examples(20), asked(uri("https://example.com/a.flac"))]),
        (200, "SUCCEEDED"),
    ),
    "32 tokens a second": Fact(
        "audio costs about 32 tokens a second; users measured 31.7",
        {"TOKENS_PER_SECOND": DOCUMENTED, "MIN_TOKENS_PER_SECOND": DOUBTED, "MAX_TOKENS_PER_SECOND": DOUBTED},
        lambda: (limits.MIN_TOKENS_PER_SECOND, limits.TOKENS_PER_SECOND, limits.MAX_TOKENS_PER_SECOND) == (30, 32, 35),
        ("about 32 tokens a second; users measured 31.7",),
    ),
}

MODELS = {
    "tuning regions": Fact(
        "Gemini 3 is tuned in us-central1 and europe-west4",
        {"locations": DOCUMENTED},
        lambda: (
            all(each.locations == ("us-central1", "europe-west4") for each in THIRD)
            and "use --location us-central1 or europe-west4" in refused(LITE, "asia-east1")
        ),
        ("| gemini-3.1-flash-lite | 1, 2, 4, 8, 16 | us-central1, europe-west4 | us, eu | global, us, eu |",),
        lambda bench: bench.tune(location="asia-east1"),
        (400, "not supported in location asia-east1"),
        400,
    ),
    "global": Fact(
        "location global is refused for tuning",
        {"locations": DOCUMENTED},
        lambda: all("cannot tune" in refused(name, "global", allow_retired=True) for name in M),
        ("`global` and multi-regions cannot tune any model",),
        lambda bench: bench.tune(location="global"),
        (400, "not supported in location global"),
        400,
    ),
    "multi-region": Fact(
        "nor does a multi-region tune",
        {"locations": DOCUMENTED},
        lambda: all("cannot tune" in refused(name, place) for name in M for place in ("us", "eu")),
        ("`global` and multi-regions cannot tune any model",),
        lambda bench: bench.tune(location="eu", base_model=DOUBTFUL),
        (400, "not supported in location eu"),
        200,
    ),
    "endpoints in us": Fact(
        "an endpoint of Gemini 3 lands in the multi-region",
        {"serving_locations": DOCUMENTED},
        lambda: all(each.serving_locations == ("us", "eu") for each in THIRD),
        ("| us, eu | global, us, eu |",),
        lambda bench: bench.ask(str(bench.tuned().endpoint).replace("/us/", "/us-central1/"), "us-central1"),
        (404, "was not found"),
        200,
    ),
    "endpoints in eu": Fact(
        "likewise eu, of what was tuned in europe-west4",
        {"serving_locations": DOCUMENTED},
        lambda: models.lands_in("europe-west4") == ("europe-west4", "eu"),
        ("Questions go to the endpoint's own location",),
        lambda bench: bench.ask(str(bench.tuned(FLASH, "europe-west4").endpoint), "eu"),
        (200, "[emulator] heard 1.0 s"),
    ),
    "base in a region": Fact(
        "a base model of Gemini 3 answers at global, us and eu, and is a 404 in a tuning region",
        {"base_locations": REPORTED},
        lambda: (
            all(each.base_locations == ("global", "us", "eu") for each in (*THIRD, M[DOUBTFUL]))
            and models.base_location(M[LITE], "us-central1") == "us"
        ),
        ("of Gemini 3 that is the multi-region around the tuning region (`us`, `eu`), or `global`",),
        lambda bench: bench.ask(LITE, "us-central1"),
        (404, "this model answers only in global, us, eu"),
        200,
    ),
    "base at us": Fact(
        "it answers there",
        {"base_locations": REPORTED},
        lambda: [models.base_location(M[LITE], place) for place in ("europe-west4", "asia-east1")] == ["eu", "global"],
        ("of Gemini 3 that is the multi-region",),
        lambda bench: bench.ask(LITE, "us"),
        (200, "[emulator]"),
    ),
    "base of 2.5": Fact(
        "a base model of Gemini 2.5 answers in its region",
        {"base_locations": REPORTED},
        lambda: all(each.base_locations == () for each in SECOND),
        ("| where it was tuned | in every region |",),
        lambda bench: bench.ask(CLOSED, "asia-east1"),
        (200, "[emulator]"),
    ),
    "a version": Fact(
        "base models are asked by their name, without @version",
        {},
        lambda: "did you mean gemini-3.1-flash-lite?" in unknown(f"{LITE}@001"),
        (),
        lambda bench: bench.ask(f"{LITE}@001", "us"),
        (404, "by its name without a version"),
        200,
    ),
    "unknown": Fact(
        "other models cannot be tuned on audio",
        {"name": DOCUMENTED},
        lambda: list(M) == [FLASH, LITE, DOUBTFUL, *(each.name for each in SECOND)],
        ("an unknown or a retired model",),
        lambda bench: bench.tune(base_model="gemini-2.0-flash-001"),
        (400, "gemini-2.0-flash-001 is not supported"),
        400,
    ),
    "adapter sizes": Fact(
        "adapters of 1, 2, 4, 8 and 16; of the Pro model up to 8",
        {"adapter_sizes": DOCUMENTED},
        lambda: (
            all(each.adapter_sizes == (1, 2, 4, 8, 16) for each in (*THIRD, *SECOND[:2]))
            and SECOND[2].adapter_sizes == (1, 2, 4, 8)
        ),
        ("| gemini-2.5-pro | 1, 2, 4, 8 |",),
        lambda bench: bench.tune(base_model="gemini-2.5-pro", adapter_size=16),
        (400, "ADAPTER_SIZE_SIXTEEN is not supported by gemini-2.5-pro"),
        400,
    ),
    "CMEK of 3.1": Fact(
        "3.1 Flash-Lite takes no customer-managed key",
        {"cmek": DOCUMENTED},
        lambda: M[LITE].cmek is False and "takes no kms_key" in refused(LITE, kms_key=KEY),
        ("a CMEK key for a model that takes none",),
        lambda bench: bench.tune(kms_key=KEY),
        (400, "CMEK is not supported by gemini-3.1-flash-lite"),
        400,
    ),
    "CMEK of 3.5": Fact(
        "nor does 3.5 Flash",
        {"cmek": DOCUMENTED},
        lambda: M[FLASH].cmek is False and "takes no kms_key" in refused(FLASH, kms_key=KEY),
        ("a CMEK key for a model that takes none",),
        lambda bench: bench.tune(base_model=FLASH, kms_key=KEY),
        (400, "CMEK is not supported by gemini-3.5-flash"),
        400,
    ),
    "CMEK of 3.5 Flash-Lite": Fact(
        "of 3.5 Flash-Lite it is not known: refused",
        {"cmek": DOCUMENTED},
        lambda: M[DOUBTFUL].cmek is None and "takes no kms_key" in refused(DOUBTFUL, kms_key=KEY),
        ("| gemini-3.5-flash-lite | ? | ? | ? | global, us, eu | ? | ? | ? |",),
        lambda bench: bench.tune(base_model=DOUBTFUL, kms_key=KEY),
        (400, "CMEK is not supported by gemini-3.5-flash-lite"),
        200,
    ),
    "3.5 Flash-Lite": Fact(
        "one page says that 3.5 Flash-Lite cannot be tuned, a newer one lists it",
        {"remark": REPORTED},
        lambda: (
            (M[DOUBTFUL].adapter_sizes, M[DOUBTFUL].locations, M[DOUBTFUL].price_per_million) == (None, None, None)
            and "one page of the documentation says no, a newer one lists it" in M[DOUBTFUL].remark
        ),
        ("| gemini-3.5-flash-lite | ? | ? | ? |", '"?" is not known'),
    ),
    "closed": Fact(
        "2.5 is closed to new and inactive projects since 2026-10-20",
        {"retired_for_new": REPORTED, "remark": REPORTED},
        lambda: (
            all(each.retired_for_new == OCTOBER and "closed to projects" in each.remark for each in SECOND)
            and all("retired since" in refused(each.name, today=OCTOBER) for each in SECOND)
            and not any(refused(each.name, today=date(2026, 10, 19)) for each in SECOND)
            and not any(refused(each.name, today=OCTOBER, allow_retired=True) for each in SECOND)
        ),
        ("are closed to projects that never tuned them", "| 2026-10-20 | 2027-03-31 |"),
        lambda bench: bench.tune(base_model=CLOSED),
        (400, "gemini-2.5-flash is closed to new and inactive projects since 2026-10-20"),
        200,
    ),
    "shut down": Fact(
        "2.5 is shut down on 2027-03-31, its Flash-Lite on 2027-01-28; in Korea, Brazil and France on 2027-08-06",
        {"shut_down": REPORTED},
        lambda: [each.shut_down for each in SECOND] == [date(2027, 3, 31), date(2027, 1, 28), date(2027, 3, 31)],
        ("2027-08-06 in Korea, Brazil and France",),
    ),
    "no closed model is suggested": Fact(
        "what is suggested for a retired or unknown model can be tuned by every project",
        {},
        lambda: (
            models.OPEN == (FLASH, LITE, DOUBTFUL)
            and all(f"did you mean {FLASH}" in unknown(name) for name in ("gemini-2.0-flash", "gemini-2.5-por"))
        ),
        ("is never a model that is itself closed to new projects",),
    ),
    "jobs hang": Fact(
        "users saw jobs of 2.5 stay in RUNNING for 1 h 45 min to 22 hours",
        {"remark": REPORTED},
        lambda: all("stay in RUNNING for 2 to 22 hours" in each.remark for each in SECOND),
        ("jobs of up to 22 hours",),
    ),
    "prices of training": Fact(
        "a million training tokens cost $10, $3, ?, $5, $1.5 and $25",
        {"price_per_million": TRANSCRIBED},
        lambda: [each.price_per_million for each in M.values()] == [10, 3, None, 5, 1.5, 25],
        (
            "| 10 | 2.25 / 13.5 | no |",
            "| 3 | 0.375 / 2.25 | no |",
            "| 5 | ? | ? |",
            "| 1.5 | ? | ? |",
            "| 25 | ? | ? |",
        ),
    ),
    "prices of answers": Fact(
        "a tuned 3.5 Flash costs $2.25 / $13.50, a tuned 3.1 Flash-Lite $0.375 / $2.25; of others nothing is known",
        {"tuned_prices": TRANSCRIBED},
        lambda: [each.tuned_prices for each in M.values()] == [(2.25, 13.5), (0.375, 2.25), None, None, None, None],
        ("| 10 | 2.25 / 13.5 | no |", "the prices of tuned 2.5 models are not\nknown"),
    ),
    "1.5 ×": Fact(
        "a tuned Gemini 3 costs 1.5 × its base model; two older pages say: the same",
        {"tuned_factor": DOCUMENTED},
        lambda: [each.tuned_factor for each in M.values()] == [1.5, 1.5, 1.5, 1, 1, 1],
        ("A tuned Gemini 3 costs 1.5 × its base model", "two older pages say: the same price"),
    ),
    "from a model of the region": Fact(
        "where a tuned model of Gemini 3 lies is contradictory: its region or its multi-region, and no other",
        {},
        lambda: (
            [models.lands_in(place) for place in ("us-central1", "europe-west4", "asia-east1")]
            == [("us-central1", "us"), ("europe-west4", "eu"), ("asia-east1",)]
        ),
        ("in the job's region or in the multi-region around it",),
        lambda bench: bench.tune(location="europe-west4", from_model=str(bench.tuned().tuned_model).partition("@")[0]),
        (400, "must be in europe-west4 or eu"),
        200,
    ),
    "from a model of the multi-region": Fact(
        "both are accepted",
        {},
        lambda: models.lands_in("us-central1")[1] == "us",
        ("in the job's region or in the multi-region around it",),
        lambda bench: bench.tune(from_model=str(bench.tuned().tuned_model).partition("@")[0]),
        (200, "SUCCEEDED"),
    ),
    "checkpoints": Fact(
        "the default checkpoint is set at the model's own location",
        {},
        lambda: models.location_of("projects/p/locations/us/models/1@1") == ("p", "us"),
        ("an update sets the checkpoint that answers",),
        lambda bench: bench.set_checkpoint(str(bench.tuned().tuned_model).partition("@")[0], "1"),
        (200, "set"),
    ),
    "one job at a time": Fact(
        "by default, one tuning job of a project at a time, worldwide",
        {"DEFAULT_QUOTA": DOCUMENTED},
        lambda: limits.DEFAULT_QUOTA == 1,
        ("a project may run one tuning job at a time, in all locations together",),
    ),
    "epochs": Fact(
        "unset epochs are chosen by the service: users saw 40; they are always sent",
        {},
        lambda: spec()["hyperParameters"]["epochCount"] == 3 == requests.DEFAULT_EPOCHS,
        ("`epochCount`, 1 to 100, always sent",),
        lambda bench: bench.tune(epochs=0),
        (400, "epochCount must be positive"),
        400,
    ),
    "states": Fact(
        "five states are final",
        {},
        lambda: {"SUCCEEDED", "FAILED", "CANCELLED", "EXPIRED", "PARTIALLY_SUCCEEDED"} == TERMINAL,
        ("PARTIALLY_SUCCEEDED",),
    ),
}

ASKING = {
    "endpoint, not model": Fact(
        "the endpoint is asked; a model resource is a 400",
        {},
        lambda: "is a model; ask its endpoint" in no_endpoint("projects/p/locations/us/models/1@1"),
        ("cannot be asked: the message says what can",),
        lambda bench: raw(bench, str(bench.tuned().tuned_model).partition("@")[0]),
        (400, "generateContent takes its endpoint"),
        400,
    ),
    "own location": Fact(
        "an endpoint of another location is a 404",
        {},
        lambda: models.location_of_endpoint("projects/p/locations/us/endpoints/1") == ("p", "us"),
        ("Questions go to the endpoint's own location",),
        lambda bench: bench.ask(ELSEWHERE.sub("/locations/eu/", str(bench.tuned().endpoint)), "eu"),
        (404, "lies elsewhere"),
        404,
    ),
    "thinking": Fact(
        "thinking is MINIMAL (3.x) or a budget of 0 (2.5; the Pro model always thinks)",
        {"thinking": DOCUMENTED},
        lambda: (
            [dict(each.thinking) for each in M.values()]
            == [{"thinking_level": "MINIMAL"}] * 3 + [{"thinking_budget": least} for least in (0, 0, 128)]
        ),
        ("thinking switched off",),
    ),
    "one recording a question": Fact(
        "one recording a question",
        {"MAX_AUDIO_PARTS": DOCUMENTED},
        lambda: limits.MAX_AUDIO_PARTS == 1,
        ("several\nrecordings in an example or a question",),
        lambda bench: bench.ask(LITE, "us", [{"text": "Transcribe."}, AUDIO, AUDIO]),
        (400, "one audio file at most"),
        200,
    ),
    "no batches": Fact(
        "tuned Gemini 3 cannot be asked in batches",
        {},
        lambda: not any("batch" in name for name in vars(VertexTuner)),
        ("batch inference does not take tuned Gemini 3",),
    ),
    "no text": Fact(
        "an answer may have no text: it is counted, with its reason",
        {},
        lambda: tuner._answer(types.GenerateContentResponse()) == Answer(None, None),
        ("Answers that are empty, blocked or cut off are kept with their reason",),
    ),
    "maxOutputTokens": Fact(
        "a looping answer runs to the model's maximum, so a bound is sent",
        {},
        lambda: asking.output_limit(100) == 2 * 100 + requests.ROOM_TOKENS,
        ("The bound is sent as `maxOutputTokens`",),
    ),
}

FACTS = {
    f"§{section} {name}": fact
    for section, facts in ((3, DATASET), (4, MODELS), (6, ASKING))
    for name, fact in facts.items()
}


def unknown(name: str) -> str:
    """What is said of a model that is not known."""
    with pytest.raises(UserError) as fault:
        models.find(name)
    return str(fault.value)


def no_endpoint(name: str) -> str:
    """What is said of a name that cannot be asked."""
    with pytest.raises(UserError) as fault:
        models.location_of_endpoint(name)
    return str(fault.value)


def raw(bench: Bench, name: str) -> Answered:
    """Asks a resource that the code refuses to ask, without the code."""
    answer = httpx.post(f"{bench.url}/v1beta1/{name}:generateContent", json={"contents": []})
    return Answered(answer.status_code, answer.text)
