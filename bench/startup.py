"""How soon and how small: start to first token over a naive issuer, `--help`, memory of a worker.

Usage: bench/startup.py [--quick]. The last line is a JSON object; exit 1 if a bar is missed.
"""

# ruff: noqa: E402
import sys

sys.path[0] = sys.path[0].removesuffix("/bench")  # else bench/token.py hides the standard `token`

import json
import socket
import statistics
import subprocess
import time
from pathlib import Path

from bench.loadgen import free_port, run_load_apart
from bench.served import Prepared, prepared, provider

LIMIT = 2.0
HELP_LIMIT = 0.4
MEMORY_LIMIT_MB = 50
GROWTH_LIMIT_MB = 2
_NAIVE = Path(__file__).with_name("naive_issuer.py")


def first_token(command: list[str], data: Prepared, port: int) -> float:
    """Return the seconds from the start of a process to the first token that it gives."""
    request = data.token_request()
    begun = time.perf_counter()
    process = subprocess.Popen(
        command, env=data.environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        while not _is_granted(port, request):
            if process.poll() is not None or time.perf_counter() - begun > 60:
                raise RuntimeError(f"{command[1]} gave no token")
        return time.perf_counter() - begun
    finally:
        process.terminate()
        process.wait(timeout=60)


def _is_granted(port: int, request: bytes) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=30) as peer:
            peer.sendall(request)
            return peer.recv(4096).startswith(b"HTTP/1.1 200")
    except OSError:
        time.sleep(0.002)
        return False


def measure_start(data: Prepared, rounds: int) -> tuple[float, float, float]:
    """Return the median ratio of one round, and the median seconds of both."""
    ours, naive = [], []
    for _ in range(rounds):
        port = free_port()
        command = [sys.executable, "-m", "watchword", "serve", "--port", str(port)]
        ours.append(first_token(command, data, port))
        port = free_port()
        command = [sys.executable, str(_NAIVE), str(port), data.client_id, data.client_secret]
        naive.append(first_token(command, data, port))
    ratios = [mine / theirs for mine, theirs in zip(ours, naive, strict=True)]
    return statistics.median(ratios), statistics.median(ours), statistics.median(naive)


def measure_help(rounds: int) -> float:
    """Return the median seconds of `watchword --help`."""
    taken = []
    for _ in range(rounds):
        begun = time.perf_counter()
        subprocess.run(
            [sys.executable, "-m", "watchword", "--help"], stdout=subprocess.DEVNULL, check=True
        )
        taken.append(time.perf_counter() - begun)
    return statistics.median(taken)


def measure_memory(data: Prepared, tokens: int) -> tuple[float, float]:
    """Return a worker's megabytes (PSS) after so many tokens, and what the last half added."""
    with provider(data) as server:
        sizes = []
        for _ in range(2):
            run_load_apart(
                server.address, [data.token_request()], connections=32, total=tokens // 2
            )
            sizes.append(_proportional_mb(server.pid))
        return sizes[1], sizes[1] - sizes[0]


def _proportional_mb(pid: int) -> float:
    """Read what a process holds in memory; pages that it shares count in part (Linux)."""
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) / 1024
    raise RuntimeError("the process has gone")


def main() -> int:
    """Measure, print, and tell by the exit code whether every bar was met."""
    quick = "--quick" in sys.argv[1:]
    rounds, tokens = (5, 20_000) if quick else (11, 100_000)
    with prepared() as data:
        ratio, ours, naive = measure_start(data, rounds)
        memory, growth = measure_memory(data, tokens)
    help_seconds = measure_help(rounds)
    bars = {
        "start": ratio <= LIMIT,
        "help": help_seconds <= HELP_LIMIT,
        "memory": memory <= MEMORY_LIMIT_MB,
        "growth": growth <= GROWTH_LIMIT_MB,
    }
    missed = [name for name, met in bars.items() if not met]
    details = {
        "seconds_to_first_token": round(ours, 3),
        "naive_seconds_to_first_token": round(naive, 3),
        "help_seconds": round(help_seconds, 3),
        "proportional_mb": round(memory, 1),
        "megabytes_added_by_last_half": round(growth, 2),
        "tokens": tokens,
        "missed": missed,
    }
    result = {
        "name": "startup",
        "ratio": round(ratio, 3),
        "against": "naive Starlette issuer, process start to first token",
        "limit": LIMIT,
        "details": details,
    }
    print(json.dumps(result))
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
