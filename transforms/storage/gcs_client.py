"""Requests to gs://: the client, the object that a URI names, the deadline, and the class of each failure.

Google's client retries 408, 429, 5xx and broken connections itself, so this module only sets a deadline. The client
does not ask again when an answer arrives damaged; `again_if_damaged` does, once. With STORAGE_EMULATOR_HOST in the
environment the client talks to that address, without credentials.
"""

from __future__ import annotations

import errno
import functools
import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

import requests
from google.api_core import exceptions as api
from google.auth import exceptions as auth
from google.cloud.storage import Blob, Bucket, Client
from google.cloud.storage.exceptions import DataCorruption, InvalidResponse
from google.cloud.storage.retry import DEFAULT_RETRY

from transforms.errors import StorageError, UserError
from transforms.storage.base import READER, WRITER
from transforms.storage.uris import GCS_SCHEME, MAX_NAME_BYTES, shown

TIMEOUT = (3.05, 30.0)  # seconds to connect, seconds between two bytes
RETRY = DEFAULT_RETRY.with_timeout(120)  # a dead endpoint once cost 120 s for one try: this bounds all of them
# Connections kept open for later requests. The usual ten would make each further request begin with a handshake.
CONNECTIONS = 64
BILLED = "roles/serviceusage.serviceUsageConsumer"

T = TypeVar("T")

_PINNED = re.compile(r"(.+)#([1-9][0-9]{0,18})")
# The service names the account in its refusal, for example: "x@y.z does not have storage.objects.get access to …".
_ASKED_BY = re.compile(r"([^\s\"']+@[^\s\"']+|Anonymous caller) does not have ([\w.]+) (?:access|permission)")
_FAULTS = (
    *(api.GoogleAPIError, auth.GoogleAuthError, InvalidResponse, DataCorruption),
    *(requests.RequestException, ConnectionError, UnicodeEncodeError),
)


def split(uri: str) -> tuple[str, str]:
    """The bucket and the object's name, as written."""
    bucket, _, name = uri.removeprefix(GCS_SCHEME).partition("/")
    if not bucket:
        raise UserError(f"{shown(uri)}: the bucket's name is missing after gs://")
    return bucket, name


@dataclass(frozen=True, slots=True)
class GcsClient:
    """This process's client for gs://, and the project that pays for its requests.

    Attributes:
      billing_project: pays for requests to requester-pays buckets; "" for the bucket's own project.
    """

    billing_project: str = ""

    def client(self) -> Client:
        """This process's client, made when first needed."""
        return _client(os.environ.get("STORAGE_EMULATOR_HOST"))

    def bucket_of(self, uri: str) -> Bucket:
        """The bucket of a URI, its requests billed to --billing_project if one was named."""
        return self.client().bucket(split(uri)[0], user_project=self.billing_project or None)

    def blob_of(self, uri: str) -> Blob:
        """The object whose name is exactly that of the URI: what a write or a deletion means.

        Raises:
          IsADirectoryError: the URI names a bucket.
        """
        _, name = split(uri)
        if not name:
            raise IsADirectoryError(errno.EISDIR, "a bucket, not a regular file", uri)
        return self.bucket_of(uri).blob(name)

    def read_blob(self, uri: str, read: Callable[[Blob], T]) -> T:
        """What `read` returns for the object that the URI means to a reader; damaged answers are asked for again.

        "gs://b/o#123" is generation 123 of "o" if there is one, else the object of exactly that name: so a pinned
        object costs no second request, and a name that ends in "#7" is still a name.

        Raises:
          FileNotFoundError, IsADirectoryError: there is no such object.
          StorageError, UserError: as `faults` names them.
        """
        with self.faults(uri):
            exact = self.blob_of(uri)
            pinned = _PINNED.fullmatch(exact.name)
            if len(exact.name.encode()) > MAX_NAME_BYTES or set(exact.name) & set("\r\n"):  # the service answers 400
                raise FileNotFoundError(errno.ENOENT, "no such object", uri)
            if pinned and int(pinned[2]) < 1 << 63:
                name, generation = pinned.groups()
                try:
                    blob = self.bucket_of(uri).blob(name, generation=int(generation))
                    return again_if_damaged(lambda: read(blob))
                except api.NotFound:
                    pass
            return again_if_damaged(lambda: read(exact))

    @contextmanager
    def faults(self, uri: str, writing: bool = False) -> Iterator[None]:
        """Names the client's exceptions by who can mend them.

        Raises:
          FileNotFoundError: there is no such object, in a bucket that exists.
          UserError: what stops the whole run: no such bucket, no permission, no credentials, nobody to bill.
          StorageError: the world's fault, after the client's own retries.
        """
        try:
            yield
        except _FAULTS as error:
            raise self._named(error, uri, writing) from error

    def _named(self, error: Exception, uri: str, writing: bool) -> Exception:
        if isinstance(error, api.NotFound):
            return self._missing(uri)
        if isinstance(error, UnicodeEncodeError):  # a lone surrogate, which no object name can hold
            return FileNotFoundError(errno.ENOENT, "no such object", uri)
        if isinstance(error, auth.TransportError) or getattr(error, "retryable", False):
            return StorageError(f"{shown(uri)}: no connection to Google's sign-in service")
        users = self._users_fault(error, f"{GCS_SCHEME}{split(uri)[0]}", WRITER if writing else READER)
        if users:
            return UserError(users)
        text = " ".join(str(error).split())[:300]  # one line: the client's messages have many
        # The address of an upload in progress is a secret: who knows it may write.
        text = re.sub(r"(upload_id|X-Goog-Signature)=[^\s&'\")]+", r"\1=…", text)
        return StorageError(f"{shown(uri)}: {type(error).__name__}: {text}")

    def _users_fault(self, error: Exception, bucket: str, role: str) -> str:
        """What only the user can mend, in one line; "" for other faults."""
        if isinstance(error, api.Forbidden):
            return self._forbidden(str(error), bucket, role)
        if isinstance(error, api.BadRequest) and "requester pays" in str(error).lower():
            return f"{bucket} is a requester-pays bucket: name the project that pays with --billing_project"
        if isinstance(error, (api.Unauthorized, auth.GoogleAuthError)):
            account = f" as {self._identity()}" if self._identity() else ""
            hint = f"run: gcloud auth application-default login, with an account that has {role} on the bucket"
            return f"no valid Google Cloud credentials for {bucket}{account}; {hint}"
        return ""

    def _forbidden(self, refusal: str, bucket: str, role: str) -> str:
        asked = _ASKED_BY.search(refusal)
        account = asked.group(1) if asked else self._identity()
        if asked and asked.group(2).startswith("serviceusage."):
            project = self.billing_project
            return f"no permission to bill {bucket} to project {project}: grant {account} {BILLED} on the project"
        if account == "Anonymous caller":
            hint = f"sign in (gcloud auth application-default login) with an account that has {role} on the bucket"
            return f"no permission for {bucket} without credentials: {hint}"
        return f"no permission for {bucket}: grant {account or 'this account'} {role} on the bucket"

    def _identity(self) -> str:
        """The account that asks, as far as the credentials tell it."""
        try:
            credentials = self.client()._credentials
        except auth.GoogleAuthError:
            return ""
        account = getattr(credentials, "service_account_email", "") or getattr(credentials, "account", "")
        return account if isinstance(account, str) and "@" in account else ""  # "default" until a machine has signed in

    def _missing(self, uri: str) -> Exception:
        """What a 404 means: one clip's fault if its bucket is there, else the whole run's."""
        bucket, _ = split(uri)
        try:
            _check_bucket(self, os.environ.get("STORAGE_EMULATOR_HOST"), bucket)
        except api.NotFound:
            return UserError(f"there is no bucket {GCS_SCHEME}{bucket}: create it, or mend its name")
        except _FAULTS as error:
            return self._named(error, uri, False)
        return FileNotFoundError(errno.ENOENT, "no such object", uri)


def again_if_damaged(call: Callable[[], T]) -> T:
    """Calls, and calls once more if the answer arrived damaged: its checksum differs, or it is no JSON.

    `call` must start from the beginning each time.
    """
    try:
        return call()
    except (DataCorruption, requests.exceptions.InvalidJSONError):
        return call()


@functools.cache
def _client(endpoint: str | None) -> Client:
    # `endpoint` is the cache key only: the library reads STORAGE_EMULATOR_HOST by itself.
    # For tracing, the client looks every bucket up on a thread of its own, and again after each 404. Accounts that may
    # only read objects may not do that. This variable turns it off (client 3.17).
    os.environ.setdefault("DISABLE_GCS_PYTHON_CLIENT_OTEL_BUCKET_METADATA", "true")
    client = Client()
    for scheme in ("https://", "http://"):
        client._http.mount(scheme, requests.adapters.HTTPAdapter(pool_maxsize=CONNECTIONS))
    return client


@functools.cache  # once a bucket, not once a missing clip; what raises is not kept
def _check_bucket(client: GcsClient, endpoint: str | None, name: str) -> None:
    # Every reader may list objects; looking at the bucket itself takes another role.
    bucket = client.bucket_of(f"{GCS_SCHEME}{name}")
    again_if_damaged(lambda: list(bucket.list_blobs(max_results=1, timeout=TIMEOUT, retry=RETRY)))
