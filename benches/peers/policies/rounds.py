"""Programs that take turns.

Each round gives each program the same time, in alternating order; the figures are medians over rounds of a round's median, and the
ratios are medians of per-round ratios.
"""

import argparse
import json
import os
import statistics
import subprocess
import time


def arguments(*positional):
    """Positional arguments and the options of all comparisons."""
    parser = argparse.ArgumentParser()
    for name in positional:
        parser.add_argument(name)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--precision", default="f32")
    parsed = parser.parse_args()
    # Before NumPy and PyTorch are loaded.
    os.environ["OMP_NUM_THREADS"] = str(parsed.threads)
    return parsed


def session(path, threads):
    """An inference session of ONNX Runtime."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def timed(call, seconds):
    """Median time of a call and mean processor time, in ms."""
    call()
    times, begin, processor = [], time.perf_counter(), time.process_time()
    while time.perf_counter() - begin < seconds or len(times) < 3:
        start = time.perf_counter()
        call()
        times.append((time.perf_counter() - start) * 1e3)
    return statistics.median(times), (time.process_time() - processor) / len(times) * 1e3


def sinew(program, checkpoint, parsed, *more):
    """The same of an inference of sinew."""
    command = [program, "policy", "bench", checkpoint, "--format", "json", "--seconds", str(parsed.seconds)]
    command += ["--threads", str(parsed.threads), "--precision", parsed.precision, *more]
    report = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    return report["bench"]["latency"]["p50_us"] / 1e3, report["bench"]["processor_ms"]


def compare(programs, parsed):
    """Lets `programs`, from name to a function that gives two times, take turns. The first is compared with the others."""
    rounds = []
    for number in range(parsed.rounds):
        order = list(programs) if number % 2 == 0 else list(programs)[::-1]
        rounds.append({name: programs[name]() for name in order})
        print(", ".join("{} {:.1f} ms ({:.1f} ms)".format(name, *rounds[-1][name]) for name in programs), flush=True)
    print(f"threads {parsed.threads}, load {os.getloadavg()}")
    for name in programs:
        walls = [r[name][0] for r in rounds]
        processor = statistics.median(r[name][1] for r in rounds)
        print(f"{name:12} {statistics.median(walls):8.1f} ms ({min(walls):.1f} to {max(walls):.1f}), processor time {processor:8.1f} ms")
    first, *peers = programs
    for peer in peers:
        wall, processor = (statistics.median(r[first][i] / r[peer][i] for r in rounds) for i in range(2))
        print(f"{first} / {peer}: {wall:.2f}, processor time {processor:.2f}")
