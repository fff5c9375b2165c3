"""A key and an address in the environment, as a user has them."""

import pytest
from dogs import KEY


@pytest.fixture
def key(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    return lambda endpoint: monkeypatch.setenv("OPENAI_BASE_URL", endpoint.url)
