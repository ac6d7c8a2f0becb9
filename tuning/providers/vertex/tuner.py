"""The tuner of Vertex AI. Only this file calls google-genai's methods for tuning and for asking a model."""

from __future__ import annotations

import re
import threading
import warnings
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NoReturn

import orjson
from google import genai
from google.auth import exceptions as auth
from google.genai import errors, types
from google.oauth2.credentials import Credentials

from transforms.errors import CliptuneError, ServiceError, UserError
from tuning.providers.base import REQUEST_LABEL, Answer, Question, TuningJob, TuningRequest
from tuning.providers.vertex import faults
from tuning.providers.vertex.models import MODELS, check_location, location_of, location_of_endpoint

TIMEOUT_MS = 120_000
_TRANSIENT = {408, 429, 500, 502, 503, 504}
# The service wants the enum's name. The SDK raises for an int, and sends an unknown string without a warning.
_ADAPTER_SIZES = {
    1: types.AdapterSize.ADAPTER_SIZE_ONE,
    2: types.AdapterSize.ADAPTER_SIZE_TWO,
    4: types.AdapterSize.ADAPTER_SIZE_FOUR,
    8: types.AdapterSize.ADAPTER_SIZE_EIGHT,
    16: types.AdapterSize.ADAPTER_SIZE_SIXTEEN,
}
_LOGIN = "run: gcloud auth application-default login"


class VertexTuner:
    """`Tuner` for one project and location.

    Args:
      project: Google Cloud project.
      location: where jobs run. A tuned endpoint is asked in its own location.
      api_endpoint: URL of another server, which gets throw-away credentials; None for Google's server.
    """

    def __init__(self, project: str, location: str, api_endpoint: str | None = None) -> None:
        self.project = project
        self.location = check_location(location)
        self.api_endpoint = api_endpoint
        self._clients: dict[str, genai.Client] = {}
        self._lock = threading.Lock()  # many threads ask, and share a client
        # Before the garbage collector comes to what they hold: it might meet a socket first, and complain of it.
        weakref.finalize(self, _close, self._clients)

    def submit(self, request: TuningRequest) -> TuningJob:
        """Creates the job with one HTTP request, which is never repeated automatically."""
        with named_faults("create the tuning job"):
            return _job(_tune(self._client(self.location), request))

    def body(self, request: TuningRequest) -> dict[str, Any]:
        """The exact HTTP request of `submit`, taken from the real client before it is sent."""
        options = types.HttpOptions(base_url=self.api_endpoint, client_args={"transport": faults.Catcher()})
        # Nothing is sent, so real credentials are not needed.
        with _opening():
            client = self._new_client(self.location, options, throw_away_credentials())
        try:
            _tune(client, request)
        except faults.CaughtError as caught:
            sent = caught.request
            return {"method": sent.method, "url": str(sent.url), "body": orjson.loads(sent.content)}
        raise AssertionError("the client has made a job without a request")

    def jobs(self) -> Iterator[TuningJob]:
        """All jobs of the location. The service cannot filter by label, so the caller does."""
        with named_faults("list the tuning jobs"):
            pager = self._client(self.location).tunings.list(config={"page_size": 100})
            # Iterating over the pager would end at an empty page, though the next one may hold jobs.
            seen = {None, ""}
            while True:
                yield from map(_job, pager.page)
                token = pager.config.get("page_token")
                if token in seen:
                    break
                seen.add(token)
                pager.next_page()
            if token:
                raise ValueError("a page that comes round again")

    def get(self, name: str) -> TuningJob:
        """The job of this name."""
        with named_faults(f"read {name}"):
            return _job(self._client(self.location).tunings.get(name=name))

    def cancel(self, name: str) -> None:
        """Asks the service to cancel the job, which takes a while."""
        with named_faults(f"cancel {name}"):
            self._client(self.location).tunings.cancel(name=name)

    def set_default_checkpoint(self, model: str, checkpoint: str) -> None:
        """Sets the checkpoint with which the tuned model's endpoint answers."""
        with named_faults(f"make {checkpoint} the default checkpoint of {model}"):
            self._client(location_of(model)[1]).models.update(
                model=model, config=types.UpdateModelConfig(default_checkpoint_id=checkpoint)
            )

    def ask(self, model: str, question: Question) -> Answer:
        """Asks an endpoint, in the endpoint's location, or a base model by its name."""
        client = self._client(location_of_endpoint(model)[1] if "/" in model else self.location)
        config = types.GenerateContentConfig(
            system_instruction=question.system_instruction,
            max_output_tokens=question.max_output_tokens,
            thinking_config=types.ThinkingConfig.model_validate(question.thinking) if question.thinking else None,
        )
        with named_faults(f"ask {model}", _elsewhere(model, self.location)):
            response = client.models.generate_content(model=model, contents=list(question.contents), config=config)
        return _answer(response)

    def _client(self, location: str) -> genai.Client:
        with self._lock:
            if location not in self._clients:
                credentials = throw_away_credentials() if self.api_endpoint else None
                options = types.HttpOptions(base_url=self.api_endpoint, timeout=TIMEOUT_MS)
                with _opening():
                    self._clients[location] = self._new_client(location, options, credentials)
            return self._clients[location]

    def _new_client(self, location: str, options: types.HttpOptions, credentials: Credentials | None) -> genai.Client:
        return genai.Client(
            vertexai=True, project=self.project, location=location, credentials=credentials, http_options=options
        )


def _close(clients: dict[str, genai.Client]) -> None:
    for client in clients.values():
        client.close()


def throw_away_credentials() -> Credentials:
    """Credentials for servers that are not Google's. AnonymousCredentials do not work in the SDK."""
    make: Callable[..., Credentials] = Credentials  # its constructor is untyped
    return make(token="local")


def _answer(response: types.GenerateContentResponse) -> Answer:
    candidates, tokens = response.candidates or [], _tokens(response.usage_metadata)
    if not candidates:
        blocked = response.prompt_feedback.block_reason if response.prompt_feedback else None
        return Answer(None, f"BLOCKED_{blocked.name}" if blocked else None, *tokens)
    reason = candidates[0].finish_reason
    return Answer(response.text, reason.name if reason else None, *tokens)


def _tokens(usage: types.GenerateContentResponseUsageMetadata | None) -> tuple[int | None, int | None]:
    """The tokens of question and answer. What the model thought is paid as output."""
    if usage is None or usage.prompt_token_count is None:
        return None, None
    return usage.prompt_token_count, (usage.candidates_token_count or 0) + (usage.thoughts_token_count or 0)


def _tune(client: genai.Client, request: TuningRequest) -> types.TuningJob:
    # The SDK warns at every call that its tuning module is experimental. Its version is pinned for that reason.
    warnings.filterwarnings("ignore", message=".*tuning implementation is experimental")
    job: types.TuningJob = client.tunings.tune(
        base_model=request.from_model or request.base_model,  # the SDK recognises a tuned model by "projects/"
        training_dataset=types.TuningDataset(gcs_uri=request.train_uri),
        config=_config(request),
    )
    return job


def _config(request: TuningRequest) -> types.CreateTuningJobConfig:
    validation, account = request.validation_uri, request.service_account
    return types.CreateTuningJobConfig(
        validation_dataset=types.TuningValidationDataset(gcs_uri=validation) if validation else None,
        tuned_model_display_name=request.display_name,
        epoch_count=request.epochs,
        adapter_size=_ADAPTER_SIZES[request.adapter_size] if request.adapter_size is not None else None,
        learning_rate_multiplier=request.learning_rate_multiplier,
        export_last_checkpoint_only=request.export_last_checkpoint_only or None,
        pre_tuned_model_checkpoint_id=request.from_checkpoint,
        encryption_spec=types.EncryptionSpec(kms_key_name=request.kms_key) if request.kms_key else None,
        labels={**request.labels, REQUEST_LABEL: request.digest},
        # The SDK has no field for the service account.
        http_options=types.HttpOptions(extra_body={"serviceAccount": account}) if account else None,
    )


def _job(job: types.TuningJob) -> TuningJob:
    """The job as a record of ours."""
    if not job.name:
        raise ValueError("a job without a name")
    return TuningJob(
        name=job.name,
        state=job.state.value.removeprefix("JOB_STATE_") if job.state else "UNSPECIFIED",
        base_model=job.base_model,
        labels=job.labels or {},
        data_stats=_data_stats(job.tuning_data_stats),
        error=job.error.message if job.error else None,
        experiment=job.experiment,
        display_name=job.tuned_model_display_name,
        create_time=job.create_time.isoformat() if job.create_time else None,
        **_tuned_model(job.tuned_model),
        **_progress(job),
    )


def _tuned_model(model: types.TunedModel | None) -> dict[str, Any]:
    """The fields of `TuningJob` that describe the tuned model; none while it does not exist."""
    if model is None:
        return {}
    checkpoints = tuple(checkpoint.model_dump(exclude_none=True) for checkpoint in model.checkpoints or [])
    return {"tuned_model": model.model, "endpoint": model.endpoint, "checkpoints": checkpoints}


def _data_stats(stats: types.TuningDataStats | None) -> dict[str, Any] | None:
    supervised = stats.supervised_tuning_data_stats if stats else None
    return supervised.model_dump(mode="json", exclude_none=True) if supervised else None


def _progress(job: types.TuningJob) -> dict[str, Any]:
    """The fields of `TuningJob` that describe a running job."""
    # Older clients, which are supported too, have neither of the two fields.
    state, metadata = getattr(job, "tuning_job_state", None), getattr(job, "tuning_job_metadata", None)
    return {
        "detail": state.name.removeprefix("TUNING_JOB_STATE_") if state else None,
        "epochs_done": metadata.completed_epoch_count if metadata else None,
    }


def _elsewhere(model: str, location: str) -> str:
    """What may be the matter when a model is not found."""
    if "/" in model:
        problem = "the endpoint was deleted, is of another project, or lies elsewhere"
        return f"{problem}: cliptune jobs lists each model's endpoint with its location"
    known = MODELS.get(model)
    places = ", ".join(known.base_locations) if known and known.base_locations else "some regions"
    return f"asked in {location!r}; this model answers only in {places}, and by its name without a version"


@contextmanager
def _opening() -> Iterator[None]:
    """Whatever fails while a client is made, the machine's settings are at fault: nothing has been asked yet."""
    try:
        yield
    except Exception as fault:
        hint = "look at HTTPS_PROXY, ALL_PROXY, NO_PROXY, SSL_CERT_FILE, SSL_CERT_DIR and SSLKEYLOGFILE"
        raise UserError(f"cannot open a client: {faults.words(fault)}; {hint}") from fault


@contextmanager
def named_faults(action: str, not_found: str = "") -> Iterator[None]:
    """Turns the SDK's exceptions into UserError, which the user can mend, or ServiceError.

    Args:
      action: a verb and its object.
      not_found: what may be the matter if the service answers 404.
    """
    try:
        yield
    except CliptuneError:
        raise
    except errors.APIError as fault:
        _raise_api_error(action, fault, not_found)
    except auth.TransportError as fault:
        raise ServiceError(f"cannot {action}: no connection to Google's sign-in service", True, sent=False) from fault
    except auth.GoogleAuthError as fault:
        raise UserError(f"cannot {action}: no valid Google Cloud credentials; {_LOGIN}") from fault
    except Exception as fault:
        named = _named(action, fault)
        if named is None:
            raise
        raise named from fault


def _named(action: str, fault: Exception) -> CliptuneError | None:
    """What an exception means that is no error of Google's; None for a fault of ours."""
    if faults.is_called(fault, "InvalidURL"):
        return UserError(f"cannot {action}: a name with control characters, or too long a one, names nothing")
    library = faults.is_librarys(fault) and not isinstance(fault, ValueError)  # pydantic's tell of an answer
    if not library and faults.passed_through(fault, "google.auth", "google.oauth2"):
        return UserError(f"cannot {action}: signing in has failed ({faults.words(fault)}); {_LOGIN}")
    if library or isinstance(fault, OSError):
        message = f"cannot {action}: no answer from the service ({type(fault).__name__})"
        return ServiceError(message, True, sent=not faults.is_unsent(fault))
    if isinstance(fault, ValueError | TypeError) or faults.passed_through(fault, "google.genai"):
        # It is not JSON, or JSON of another shape.
        return ServiceError(f"cannot {action}: the answer is not that of the tuning service")
    return None


def _raise_api_error(action: str, fault: errors.APIError, not_found: str) -> NoReturn:
    if fault.code == 401:
        raise UserError(f"cannot {action}: the credentials are not valid any more; {_LOGIN}") from fault
    text = _without_secrets(" ".join(str(fault.message or "no message").split())[:500])
    hints = {403: "the account needs roles/aiplatform.user on the project", 404: not_found}
    hint = hints.get(fault.code, "")
    message = "; ".join(filter(None, (f"cannot {action}: {fault.code} {fault.status}: {text}", hint)))
    raise ServiceError(message, fault.code in _TRANSIENT, fault.code) from fault


def _without_secrets(text: str) -> str:
    """Removes tokens and signatures: a server may repeat them in its messages, and they must not be printed."""
    return re.sub(r"(ya29\.|Bearer\s+|[?&][^=\s]*(?:Signature|Credential|token)=)[^\s&]+", r"\1…", text, flags=re.I)
