"""Finding and starting LLM servers: what can be decided without starting one."""

from __future__ import annotations

import importlib.machinery
import importlib.util
import os
from pathlib import Path

import pytest

from infra.llm import locate, process, weights
from infra.vllm import server as vllm
from tests.support.llm import FakeLlm
from workers.core.errors import Misconfigured, Unavailable
from workers.settings import Settings

OPTIONS = process.Options(host="127.0.0.1", port=8080, slots=4, context_tokens=4096)


def install_weights(monkeypatch: pytest.MonkeyPatch, folder: Path | None) -> None:
    spec = importlib.machinery.ModuleSpec(weights.PACKAGE, None, is_package=True)
    spec.submodule_search_locations = [str(folder)]
    monkeypatch.setattr(importlib.util, "find_spec", lambda _name: None if folder is None else spec)


def test_the_weights_are_found_without_importing_their_package(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "__init__.py").write_text("raise RuntimeError")
    (tmp_path / "model.gguf").touch()
    install_weights(monkeypatch, tmp_path)
    assert weights.find() == tmp_path / "model.gguf"


def test_missing_weights_name_the_cure(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for folder in (None, tmp_path):
        install_weights(monkeypatch, folder)
        with pytest.raises(Unavailable) as caught:
            weights.find()
        assert caught.value.hint == "make setup"


@pytest.mark.parametrize("host", ["127.0.0.1", "127.1.2.3", "::1"])
def test_a_loopback_address_is_accepted(host: str) -> None:
    assert process.require_loopback(host) == host


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.0.0.1", "localhost", "", "llm.example"])  # noqa: S104 - refused
def test_any_other_address_is_refused(host: str) -> None:
    with pytest.raises(Misconfigured):
        process.require_loopback(host)


@pytest.mark.parametrize(
    ("quota", "most"), [("max 100000", 10_000), ("150000 100000", 1), ("50000 100000", 1), ("", 10_000)]
)
def test_a_containers_quota_limits_the_cores(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, quota: str, most: int
) -> None:
    file = tmp_path / "cpu.max"
    file.write_text(quota)
    monkeypatch.setattr(process, "CPU_QUOTA", file)
    assert 1 <= process.usable_cores() <= most


def test_the_environment_of_vllm_can_be_named_and_must_exist(tmp_path: Path) -> None:
    python = tmp_path / "python"
    with pytest.raises(Misconfigured, match="ATTUNE_VLLM_PYTHON"):
        vllm.locate_python({"ATTUNE_VLLM_PYTHON": str(python)})
    python.touch()
    assert vllm.locate_python({"ATTUNE_VLLM_PYTHON": str(python)}) == python


def test_a_missing_environment_of_vllm_names_the_cure(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(vllm, "ROOT", tmp_path)
    with pytest.raises(Unavailable) as caught:
        vllm.locate_python({})
    assert caught.value.hint == "make setup-vllm"


def test_vllm_never_splits_a_prompt(tmp_path: Path) -> None:
    command = vllm.command(Path("python"), tmp_path, OPTIONS)
    assert "--no-enable-chunked-prefill" in command
    assert int(command[command.index("--max-num-batched-tokens") + 1]) >= OPTIONS.context_tokens


@pytest.mark.parametrize(
    ("cpu_info", "dtype"),
    [
        ("flags\t\t: fpu avx2 avx512f avx512_bf16 fma", "bfloat16"),
        ("flags\t\t: fpu avx2 amx_bf16", "bfloat16"),
        ("Features\t: fp asimd bf16 i8mm", "bfloat16"),
        ("flags\t\t: fpu avx2 avx512f\nmodel name\t: with avx512_bf16 in its name", "float32"),
        ("", "float32"),
    ],
)
def test_vllm_computes_in_what_the_cpu_has_instructions_for(cpu_info: str, dtype: str, tmp_path: Path) -> None:
    (tmp_path / "cpuinfo").write_text(cpu_info)
    assert vllm.compute_dtype(tmp_path / "cpuinfo") == dtype


def test_vllm_computes_in_float32_where_nothing_tells_the_cpu(tmp_path: Path) -> None:
    assert vllm.compute_dtype(tmp_path / "no_such_file") == "float32"


def test_vllm_does_not_see_our_python_paths() -> None:
    variables = vllm.environment({"PYTHONPATH": "ours", "VIRTUAL_ENV": "ours", "PATH": "kept"})
    assert variables["PATH"] == "kept"
    assert "ours" not in variables.values()


def test_a_server_at_a_url_is_used_after_one_look() -> None:
    with FakeLlm() as fake:
        with locate.LlmServer.start(Settings().changed(llm=fake.base_url)) as server:
            assert server.base_url == fake.base_url
            assert server.alive()
        locate.check_health(fake.base_url)  # leaving did not end it
        url = fake.base_url
    with pytest.raises(Unavailable, match="ATTUNE_LLM"):
        locate.LlmServer.start(Settings().changed(llm=url))


def test_a_child_that_dies_at_the_start_says_why(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(locate.CHILDREN, "embedded", ("infra.no_such_module", 60.0))
    with pytest.raises(Unavailable) as caught:
        locate.LlmServer.start(Settings(data_dir=str(tmp_path)))
    assert "No module named infra.no_such_module" in str(caught.value)
    assert str(tmp_path / "llm.log") in caught.value.hint


def test_a_free_port_can_be_bound() -> None:
    assert 0 < process.free_port("127.0.0.1") < 65536
    assert not process.answers("127.0.0.1", process.free_port("127.0.0.1"), timeout_s=0.5)


def test_the_cache_of_converted_models_follows_the_other_caches(tmp_path: Path) -> None:
    assert vllm.model_cache({"ATTUNE_CACHE": str(tmp_path)}) == tmp_path / "vllm"
    assert vllm.model_cache({}) == vllm.ROOT / ".cache" / "vllm"
    assert os.path.isabs(vllm.model_cache({"ATTUNE_CACHE": "relative"}))  # noqa: PTH117 - a plain question
