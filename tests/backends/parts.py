"""Starts and stops the backends, each a process of its own, all on free loopback ports and the files of deploy/.

With `kafka` among them, the collector and Jaeger run as in docker-compose.kafka.yml: the first sends to Kafka through a
queue on disk, `consumer` takes it from there, and Jaeger keeps its traces on disk.

A state directory holds what is known of them: `env` (KEY=value lines: ports, addresses, process ids), a log for each
part and the data of Prometheus, Kafka, Jaeger, Postgres, the S3 server and the collector's queue. Linux only, as it asks /proc whether a process is still the one that was started.
"""

import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import obtain

DEPLOY = obtain.HERE.parents[1] / "deploy"
DEFAULT_STATE = obtain.CACHE / "state"
EXIT_MISSING = 77
READY_SECONDS = 60
STOP_SECONDS = 15

PORTS = [
    "OTLP_GRPC_PORT",
    "OTLP_HTTP_PORT",
    "COLLECTOR_METRICS_PORT",
    "COLLECTOR_TELEMETRY_PORT",
    "COLLECTOR_HEALTH_PORT",
    "JAEGER_OTLP_PORT",
    "JAEGER_QUERY_PORT",
    "JAEGER_QUERY_GRPC_PORT",
    "JAEGER_HEALTH_PORT",
    "PROMETHEUS_PORT",
    "MODEL_PORT",
    "KAFKA_PORT",
    "KAFKA_CONTROLLER_PORT",
    "CONSUMER_HEALTH_PORT",
    "CONSUMER_TELEMETRY_PORT",
    "PHOENIX_PORT",
    "PHOENIX_GRPC_PORT",
    "MLFLOW_PORT",
    "POSTGRES_PORT",
    "S3_PORT",
]
# What is started only by name.
OPTIONAL = ["kafka", "consumer", "model", "phoenix", "mlflow", "postgres", "s3"]
# Sixteen bytes in base64, as Kafka wants them.
KAFKA_CLUSTER = "YWdlbnQtcnVudGltZS1rYQ"
S3_KEY = "of-the-tests"
S3_SECRET = "secret-of-the-tests"
S3_BUCKET = "events"
POSTGRES_USER = "postgres"
POSTGRES_PASSWORD = "of-the-tests"
DATA = ["prometheus", "kafka", "jaeger", "collector-queue", "phoenix", "mlflow", "postgres", "s3"]


@dataclass(frozen=True)
class Part:
    """One backend."""

    name: str
    obtain: Callable[[], Path]
    command: Callable[[Path, "State"], list]
    is_ready: Callable[["State"], bool]
    # What a user of the part wants to know, by its key in `env`; ports of `env` in braces.
    addresses: dict
    # What asks it to end, whether or not somebody is connected.
    end: signal.Signals = signal.SIGTERM

    @property
    def pid_key(self) -> str:
        return f"{self.name.upper()}_PID"


class State:
    """The state directory: which parts run where. Every change is on disk at once, so that `down` finds all of them."""

    def __init__(self, directory: Path):
        self.directory = directory.resolve()
        self.file = self.directory / "env"
        self.env = {}
        if self.file.exists():
            self.env = dict(line.split("=", 1) for line in self.file.read_text().splitlines())

    def open(self) -> None:
        """Chooses the ports of all parts, unless that is done: a part that starts again gets the ports that it had."""
        if self.env:
            return
        self.directory.mkdir(parents=True, exist_ok=True)
        ports = dict(zip(PORTS, free_ports(len(PORTS))))
        self.save(LISTEN_HOST="127.0.0.1", **ports)
        self.save(
            JAEGER_OTLP_ENDPOINT=f"127.0.0.1:{ports['JAEGER_OTLP_PORT']}",
            PROMETHEUS_ENDPOINT=f"http://127.0.0.1:{ports['PROMETHEUS_PORT']}",
            COLLECTOR_QUEUE=self.directory / "collector-queue",
            JAEGER_DATA=self.directory / "jaeger",
        )
        if assets := os.environ.get("JAEGER_UI_ASSETS"):
            self.save(JAEGER_UI_ASSETS=Path(assets).resolve())

    def save(self, **changes) -> None:
        """Sets keys; None removes one."""
        self.env |= {key: str(value) for key, value in changes.items() if value is not None}
        for key in [key for key, value in changes.items() if value is None]:
            self.env.pop(key, None)
        fresh = self.file.with_suffix(".new")
        fresh.write_text(self.text())
        fresh.rename(self.file)

    def text(self) -> str:
        return "".join(f"{key}={value}\n" for key, value in self.env.items())

    def url(self, port: str, path: str = "") -> str:
        return f"http://127.0.0.1:{self.env[port]}{path}"

    def runs(self, part: Part) -> bool:
        """Whether the process is alive and ours: a process id is used again, so it must also work in our directory."""
        return part.pid_key in self.env and works_in(self.env[part.pid_key], self.directory)

    def start(self, part: Part) -> None:
        """Starts a part that does not run and returns when it is ready for use."""
        program = part.obtain()
        if self.runs(part):
            return
        with self.log(part).open("ab") as log:
            process = subprocess.Popen(
                part.command(program, self),
                cwd=self.directory,
                env=os.environ | self.env,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        addresses = {key: address.format(**self.env) for key, address in part.addresses.items()}
        self.save(**addresses, **{part.pid_key: process.pid})
        deadline = time.monotonic() + READY_SECONDS
        while not part.is_ready(self):
            if process.poll() is not None or time.monotonic() > deadline:
                last = self.log(part).read_text(errors="replace").splitlines()[-10:]
                raise RuntimeError("\n".join([f"{part.name} did not become ready, {self.log(part)} ends:", *last]))
            time.sleep(0.1)

    def stop(self, part: Part, sign: signal.Signals | None = None) -> None:
        """Ends a part by its process id and returns when it is gone; one that ignores the signal is killed."""
        if part.pid_key not in self.env:
            return
        if self.runs(part):
            os.kill(int(self.env[part.pid_key]), sign or part.end)
        deadline = time.monotonic() + STOP_SECONDS
        while self.runs(part):
            if time.monotonic() > deadline:
                os.kill(int(self.env[part.pid_key]), signal.SIGKILL)
            time.sleep(0.1)
        self.save(**{part.pid_key: None})

    def close(self) -> None:
        """Stops all parts and forgets their ports and data; the logs stay."""
        if not self.env:
            return
        for part in PARTS.values():
            self.stop(part)
        for name in DATA:
            shutil.rmtree(self.directory / name, ignore_errors=True)
        self.file.unlink()

    def log(self, part: Part) -> Path:
        return self.directory / f"{part.name}.log"


def up(state: State, names: list) -> None:
    """Starts parts in an order in which each finds what it needs; all or, if one fails, none of them."""
    get(names)
    state.open()
    parts = [part for part in PARTS.values() if part.name in names and not state.runs(part)]
    try:
        for part in parts:
            state.start(part)
    except RuntimeError as error:
        for part in parts:
            state.stop(part)
        sys.exit(str(error))


def get(names: list) -> None:
    """Gets the programs of parts, or ends with the exit code for skipped tests after naming every one it cannot get."""
    missing = False
    for name in names:
        try:
            PARTS[name].obtain()
        except obtain.Missing as error:
            print(f"{name} is missing: {error}", file=sys.stderr)
            missing = True
    if missing:
        sys.exit(EXIT_MISSING)


def is_listened_to(port: str) -> bool:
    try:
        socket.create_connection(("127.0.0.1", int(port)), timeout=5).close()
    except OSError:
        return False
    return True


def works_in(pid: str, directory: Path) -> bool:
    """Whether a process is alive and has its working directory in one."""
    try:
        return Path(os.readlink(f"/proc/{pid}/cwd")).is_relative_to(directory)
    except OSError:
        return False


def free_ports(count: int) -> list:
    """Free ports below the range that clients are given, or a client could take the port of a part that is stopped."""
    free = []
    for port in random.sample(range(20000, 32000), 20 * count):
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        free.append(port)
        if len(free) == count:
            return free
    sys.exit("no free ports between 20000 and 32000")


def fetch(url: str) -> bytes | None:
    """The body, or None while the server is not there or not well. Never through a proxy."""
    try:
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(url, timeout=5) as response:
            return response.read()
    except OSError:
        return None


def kafka_command(jars: Path, state: State) -> list:
    directory = state.directory / "kafka"
    java = ["java", "-Xmx512m", "-cp", f"{jars}/*"]
    config = directory / "server.properties"
    if not directory.exists():
        directory.mkdir()
        settings = (obtain.HERE / "kafka/server.properties").read_text()
        places = {"BROKER_PORT": "KAFKA_PORT", "CONTROLLER_PORT": "KAFKA_CONTROLLER_PORT"}
        for place, port in places.items():
            settings = settings.replace(place, state.env[port])
        config.write_text(settings.replace("LOG_DIRECTORY", str(directory / "data")))
        storage = [*java, "kafka.tools.StorageTool", "format", "-t", KAFKA_CLUSTER, "-c", config]
        subprocess.run(storage, cwd=directory, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return [*java, "kafka.Kafka", config]


def kafka_is_ready(state: State) -> bool:
    return is_listened_to(state.env["KAFKA_PORT"])


def consumer_command(program: Path, _: State) -> list:
    return [program, "--config", DEPLOY / "otel-collector-from-kafka.yaml"]


def consumer_is_ready(state: State) -> bool:
    return fetch(state.url("CONSUMER_HEALTH_PORT")) is not None


def collector_command(program: Path, state: State) -> list:
    return with_overlay([program, "--config", DEPLOY / "otel-collector.yaml"], "otel-collector-kafka.yaml", state)


def with_overlay(command: list, overlay: str, state: State) -> list:
    """The command as docker-compose.kafka.yml has it, if there is a Kafka."""
    return [*command, "--config", DEPLOY / overlay] if "KAFKA_BROKERS" in state.env else command


def collector_is_ready(state: State) -> bool:
    return fetch(state.url("COLLECTOR_HEALTH_PORT")) is not None


def jaeger_command(program: Path, state: State) -> list:
    return with_overlay([program, "--config", DEPLOY / "jaeger.yaml"], "jaeger-badger.yaml", state)


def jaeger_is_ready(state: State) -> bool:
    urls = [state.url("JAEGER_HEALTH_PORT", "/status"), state.url("JAEGER_QUERY_PORT", "/api/services")]
    return all(fetch(url) is not None for url in urls)


def prometheus_command(program: Path, state: State) -> list:
    # Prometheus looks for its targets beside its configuration, so a link to that goes beside our targets.
    directory = state.directory / "prometheus"
    directory.mkdir(exist_ok=True)
    config = directory / "prometheus.yaml"
    if not config.is_symlink():
        config.symlink_to(DEPLOY / "prometheus.yaml")
    targets = [f"127.0.0.1:{state.env[port]}" for port in ("COLLECTOR_METRICS_PORT", "COLLECTOR_TELEMETRY_PORT")]
    (directory / "prometheus-targets.yaml").write_text(json.dumps([{"targets": targets}]))
    return [
        program,
        f"--config.file={config}",
        f"--storage.tsdb.path={directory / 'data'}",
        f"--web.listen-address=127.0.0.1:{state.env['PROMETHEUS_PORT']}",
        "--enable-feature=exemplar-storage",
    ]


def prometheus_is_ready(state: State) -> bool:
    if fetch(state.url("PROMETHEUS_PORT", "/-/ready")) is None:
        return False
    if not state.runs(PARTS["collector"]):
        return True
    targets = json.loads(fetch(state.url("PROMETHEUS_PORT", "/api/v1/targets")) or "{}")
    active = targets.get("data", {}).get("activeTargets", [])
    return bool(active) and all(target["health"] == "up" for target in active)


def model_command(packages: Path, state: State) -> list:
    serve = obtain.HERE / "model/serve.py"
    return [sys.executable, "-B", serve, "--packages", packages, "--port", state.env["MODEL_PORT"]]


def model_is_ready(state: State) -> bool:
    return fetch(state.url("MODEL_PORT", "/health")) is not None


def phoenix_command(python: Path, state: State) -> list:
    settings = [
        "PHOENIX_HOST=127.0.0.1",
        f"PHOENIX_WORKING_DIR={state.directory / 'phoenix'}",
        "PHOENIX_TELEMETRY_ENABLED=false",
        "PHOENIX_ALLOW_EXTERNAL_RESOURCES=false",
    ]
    # Its ports have the names of ours.
    return ["env", *settings, python, "-m", "phoenix.server.main", "serve"]


def phoenix_is_ready(state: State) -> bool:
    return fetch(state.url("PHOENIX_PORT", "/healthz")) is not None


def mlflow_command(python: Path, state: State) -> list:
    directory = state.directory / "mlflow"
    directory.mkdir(exist_ok=True)
    # Without the first it asks GitHub for prices during the first export.
    settings = ["MLFLOW_MODEL_CATALOG_URI=", "MLFLOW_DISABLE_TELEMETRY=true", "MLFLOW_SERVER_ENABLE_JOB_EXECUTION=false"]
    store = ["--backend-store-uri", f"sqlite:///{directory}/db", "--default-artifact-root", directory / "artifacts"]
    where = ["--host", "127.0.0.1", "--port", state.env["MLFLOW_PORT"], "--workers", "1"]
    return ["env", *settings, python, "-m", "mlflow", "server", *where, *store]


def mlflow_is_ready(state: State) -> bool:
    return fetch(state.url("MLFLOW_PORT", "/health")) is not None


def postgres_command(programs: Path, state: State) -> list:
    directory = state.directory / "postgres"
    data, password = directory / "data", directory / "password"
    # Postgres does not run as root.
    other = ["setpriv", f"--reuid={POSTGRES_USER}", f"--regid={POSTGRES_USER}", "--clear-groups"]
    become = other if os.geteuid() == 0 else []
    if not data.exists():
        directory.mkdir()
        password.write_text(POSTGRES_PASSWORD)
        key, certificate = directory / "server.key", directory / "server.crt"
        names = ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1", "-addext", "basicConstraints=CA:FALSE"]
        kind = ["-x509", "-nodes", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-days", "2"]
        quiet = {"check": True, "cwd": directory, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        subprocess.run(["openssl", "req", *kind, *names, "-keyout", key, "-out", certificate], **quiet)
        if become:
            for path in [directory, password, key, certificate]:
                shutil.chown(path, POSTGRES_USER, POSTGRES_USER)
        kind = ["--username=agent", "--auth=scram-sha-256", f"--pwfile={password}", "--encoding=UTF8", "--locale=C"]
        subprocess.run([*become, programs / "initdb", "-D", data, "--data-checksums", "--no-sync", *kind], **quiet)
    # When the first process was killed, the others see it and end; until then no new one may begin.
    while any(works_in(process.name, data) for process in Path("/proc").iterdir() if process.name.isdigit()):
        time.sleep(0.05)
    # It may name a process that is dead and not yet waited for, which Postgres would take for alive.
    (data / "postmaster.pid").unlink(missing_ok=True)
    settings = [
        f"port={state.env['POSTGRES_PORT']}",
        "listen_addresses=127.0.0.1",
        "unix_socket_directories=",
        "ssl=on",
        f"ssl_cert_file={directory / 'server.crt'}",
        f"ssl_key_file={directory / 'server.key'}",
        "max_connections=200",
    ]
    return [*become, programs / "postgres", "-D", data, *(word for setting in settings for word in ("-c", setting))]


def postgres_is_ready(state: State) -> bool:
    ask = [obtain.postgres() / "pg_isready", "--quiet", "--host=127.0.0.1", f"--port={state.env['POSTGRES_PORT']}"]
    return subprocess.run(ask, check=False).returncode == 0


def s3_command(program: Path, state: State) -> list:
    directory = state.directory / "s3"
    # A bucket is a directory.
    (directory / S3_BUCKET).mkdir(parents=True, exist_ok=True)
    keys = [f"ROOT_ACCESS_KEY={S3_KEY}", f"ROOT_SECRET_KEY={S3_SECRET}"]
    return ["env", *keys, program, "--port", f"127.0.0.1:{state.env['S3_PORT']}", "--quiet", "posix", directory]


def s3_is_ready(state: State) -> bool:
    return is_listened_to(state.env["S3_PORT"])


# In the order in which they start: Kafka before who finds its address, Jaeger before the collector that sends to it, the collector before Prometheus.
PARTS = {
    part.name: part
    for part in [
        Part("kafka", obtain.kafka, kafka_command, kafka_is_ready, {"KAFKA_BROKERS": "127.0.0.1:{KAFKA_PORT}"}),
        Part(
            "jaeger",
            obtain.jaeger,
            jaeger_command,
            jaeger_is_ready,
            {"JAEGER_QUERY": "http://127.0.0.1:{JAEGER_QUERY_PORT}"},
        ),
        Part(
            "collector",
            obtain.collector,
            collector_command,
            collector_is_ready,
            {"OTLP_GRPC": "http://127.0.0.1:{OTLP_GRPC_PORT}", "OTLP_HTTP": "http://127.0.0.1:{OTLP_HTTP_PORT}"},
        ),
        Part("consumer", obtain.collector, consumer_command, consumer_is_ready, {}),
        Part(
            "prometheus",
            obtain.prometheus,
            prometheus_command,
            prometheus_is_ready,
            {"PROMETHEUS": "http://127.0.0.1:{PROMETHEUS_PORT}"},
        ),
        Part(
            "model",
            obtain.model,
            model_command,
            model_is_ready,
            {"OPENAI_BASE_URL": "http://127.0.0.1:{MODEL_PORT}/v1"},
        ),
        Part("phoenix", obtain.phoenix, phoenix_command, phoenix_is_ready, {"PHOENIX": "http://127.0.0.1:{PHOENIX_PORT}"}),
        Part(
            "postgres",
            obtain.postgres,
            postgres_command,
            postgres_is_ready,
            {"POSTGRES": f"postgres://agent:{POSTGRES_PASSWORD}@127.0.0.1:{{POSTGRES_PORT}}/postgres"},
            signal.SIGINT,
        ),
        Part(
            "s3",
            obtain.s3,
            s3_command,
            s3_is_ready,
            {
                "S3_ENDPOINT": "http://127.0.0.1:{S3_PORT}",
                "S3_URL": f"s3://{S3_BUCKET}",
                "S3_KEY": S3_KEY,
                "S3_SECRET": S3_SECRET,
            },
        ),
        Part("mlflow", obtain.mlflow, mlflow_command, mlflow_is_ready, {"MLFLOW": "http://127.0.0.1:{MLFLOW_PORT}"}),
    ]
}
