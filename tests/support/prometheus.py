"""Runs a real Prometheus with the repository's configuration, and queries it like Grafana."""

from __future__ import annotations

import json
import math
import shutil
import subprocess
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self

import msgspec
import yaml

from infra.child import start_child
from tests.support.waiting import wait_until

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "infra" / "prometheus"
DASHBOARD = ROOT / "infra" / "grafana" / "dashboards" / "attune.json"

#: Grafana's step for a short range, and the length of the range [s].
STEP_S, RANGE_S = 10, 300


class PanelQuery(msgspec.Struct, frozen=True, kw_only=True):
    """One query of the dashboard, with its variables not filled in yet."""

    panel: str
    expr: str

    @property
    def bare(self) -> str:
        """The query without the fallback to 0, which would hide an empty result."""
        return self.expr.replace(" or vector(0)", "")


def panel_queries() -> list[PanelQuery]:
    """Returns every query of every panel, in the order of the dashboard."""
    return [
        PanelQuery(panel=panel["title"], expr=target["expr"])
        for panel in json.loads(DASHBOARD.read_text())["panels"]
        for target in panel.get("targets", ())
    ]


def filled(expr: str, **variables: str) -> str:
    """Returns the query with Grafana's variables filled in; the rate interval is four scrapes, as in Grafana."""
    scrape_s = int(
        yaml.safe_load((FOLDER / "prometheus.yml").read_text())["global"]["scrape_interval"].removesuffix("s")
    )
    values = {"__rate_interval": f"{max(4 * scrape_s, STEP_S + scrape_s)}s", **variables}
    for name, value in values.items():
        expr = expr.replace(f"${name}", value)
    assert "$" not in expr, f"a variable is not filled in: {expr}"
    return expr


def promtool(*arguments: str) -> str:
    """Runs promtool in the folder of the configuration; returns its output. Fails the test with it if promtool fails."""
    done = subprocess.run(
        ["promtool", *arguments], cwd=FOLDER, capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def adapted_config(targets: Mapping[str, str]) -> str:
    """Returns the repository's configuration with other targets by job; a job without a target scrapes nothing."""
    config = yaml.safe_load((FOLDER / "prometheus.yml").read_text())
    config["rule_files"] = [str(FOLDER / name) for name in config["rule_files"]]
    jobs = {job["job_name"] for job in config["scrape_configs"]}
    assert targets.keys() <= jobs, f"no job scrapes {targets.keys() - jobs}"
    for job in config["scrape_configs"]:
        target = targets.get(job["job_name"])
        job["static_configs"] = [{"targets": [target] if target else []}]
    return yaml.safe_dump(config)


class Prometheus:
    """A server on a free loopback port; a context manager. `targets`: job → host:port."""

    def __init__(self, folder: Path, targets: Mapping[str, str]) -> None:
        self._folder = folder
        self._targets = targets
        self._address = ""
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        program = shutil.which("prometheus")
        assert program is not None
        self._folder.mkdir(parents=True, exist_ok=True)
        config, log = self._folder / "prometheus.yml", self._folder / "prometheus.log"
        config.write_text(adapted_config(self._targets))
        self._process = start_child(
            [
                program,
                f"--config.file={config}",
                f"--storage.tsdb.path={self._folder / 'data'}",
                "--web.listen-address=127.0.0.1:0",
            ],
            output=log,
        )
        self._address = wait_until(lambda: self._announced(log), 30, "Prometheus listens")
        wait_until(self._ready, 30, "Prometheus is ready")
        return self

    def __exit__(self, *_: object) -> None:
        if self._process is not None:
            self._process.terminate()
            try:
                self._process.wait(20)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()

    def series(self, expr: str) -> list[dict[str, Any]]:
        """Runs a range query over the last five minutes; returns the series that have at least one number.

        Raises AssertionError with Prometheus' message if the query is invalid.
        """
        now_s = time.time()
        answer = self._get("query_range", query=expr, start=str(now_s - RANGE_S), end=str(now_s), step=str(STEP_S))
        return [row for row in answer["result"] if any(not math.isnan(float(value)) for _, value in row["values"])]

    def newest(self, expr: str) -> dict[str, float]:
        """Runs an instant query; returns the values by the values of their labels."""
        answer = self._get("query", query=expr)
        return {" ".join(row["metric"].values()): float(row["value"][1]) for row in answer["result"]}

    def label_values(self, label: str, metric: str) -> list[str]:
        """Returns the choices of a variable of the dashboard."""
        values: list[str] = self._get(f"label/{label}/values", **{"match[]": metric})
        return values

    def _announced(self, log: Path) -> str:
        assert self._process is not None
        assert self._process.poll() is None, log.read_text()
        for line in log.read_text().splitlines():
            if 'msg="Listening on"' in line:  # after the bind: the port is the real one
                return line.rpartition("address=")[2].strip()
        return ""

    def _ready(self) -> bool:
        try:
            with urllib.request.urlopen(f"http://{self._address}/-/ready", timeout=5) as response:
                return bool(response.status == 200)
        except urllib.error.URLError:
            return False

    def _get(self, path: str, **parameters: str) -> Any:
        query = f"{path}?{urllib.parse.urlencode(parameters)}"
        try:
            with urllib.request.urlopen(f"http://{self._address}/api/v1/{query}", timeout=20) as response:
                return json.load(response)["data"]
        except urllib.error.HTTPError as error:
            raise AssertionError(f"{parameters}: {error.read().decode()}") from error


@contextmanager
def serving(page: str) -> Iterator[str]:
    """Serves one page of metrics on loopback; yields its host:port."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = page.encode()
            self.send_response(200)
            self.send_header("Content-Type", "text/plain; version=0.0.4")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Logs nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, name="metrics-page")
        thread.start()
        try:
            yield f"127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()
