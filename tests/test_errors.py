"""Exceptions cross processes: a worker's arrives as it was raised."""

from __future__ import annotations

import pickle

import pytest

from evenmatch import errors


def examples() -> list[errors.EvenmatchError]:
    kinds = [getattr(errors, name) for name in errors.__all__]
    return [
        errors.MissingExtraError("torch", "gpu", "engine='cuda'")
        if kind is errors.MissingExtraError
        else kind("row 3 has a NaN; drop it first")
        for kind in kinds
    ]


@pytest.mark.parametrize("error", examples(), ids=lambda error: type(error).__name__)
def test_every_error_survives_pickling(error):
    error.add_note("on worker 3")
    copy = pickle.loads(pickle.dumps(error))
    assert type(copy) is type(error)
    assert str(copy) == str(error)
    assert vars(copy) == vars(error)
