"""Each contract is tested with each engine."""

from __future__ import annotations

import pytest
from engines import ENGINES, Engine


@pytest.fixture(scope="session", params=list(ENGINES))
def engine(request: pytest.FixtureRequest) -> Engine:
    return ENGINES[request.param]
