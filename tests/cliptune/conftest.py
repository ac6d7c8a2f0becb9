"""The dataset and the service that commands are tried on: those of the tuning half's tests."""

from tests.tuning.conftest import _prepared, out, prepared, request_, tuner, url

__all__ = ["_prepared", "out", "prepared", "request_", "tuner", "url"]
