"""Every engine passes the one contract."""

from __future__ import annotations

import pytest
from contract import EngineContract

from evenmatch.pairs import ENGINES


class TestEngines(EngineContract):
    @pytest.fixture(params=sorted(ENGINES))
    def engine(self, request):
        if request.param == "cuda":
            pytest.importorskip("triton", reason="engine 'cuda' needs evenmatch[gpu]")
        if request.param == "dask":
            with request.getfixturevalue("dask_client").as_current():
                yield "dask"
        else:
            yield request.param
