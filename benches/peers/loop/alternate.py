"""Runs two configurations in turns, in real time, and compares how their loops kept their period.

    cargo build --release
    python benches/peers/loop/alternate.py target/release/sinew configs/rig-pd.toml configs/rig.toml --rounds 5

Every round runs both, the first one first in even rounds. Of each distribution that `sinew run --format json` reports, the table
has the median over rounds (and the worst round), and the ratio of the second configuration's median to the first's. No round is left out.
Needs Python only.
"""

import argparse
import json
import statistics
import subprocess
import tempfile
from pathlib import Path

PARTS = ["period", "lateness", "decide", "cycle"]
RANKS = ["p50_us", "p99_us", "p999_us", "max_us"]


def run(sinew, config, seconds):
    with tempfile.TemporaryDirectory() as folder:
        arguments = [sinew, "run", config, "--format", "json", "--set", f'recording.directory="{folder}"']
        if seconds:
            arguments += ["--for", f"{seconds}s"]
        done = subprocess.run(arguments, capture_output=True, text=True)
        if done.returncode:
            raise SystemExit(f"{config}: exit code {done.returncode}\n{done.stderr}")
        return json.loads(done.stdout.strip().splitlines()[-1])["timing"]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("sinew")
    parser.add_argument("configs", nargs=2)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=0, help="0: as long as the configuration says")
    options = parser.parse_args()
    found = {config: [] for config in options.configs}
    for number in range(options.rounds):
        order = options.configs if number % 2 == 0 else options.configs[::-1]
        for config in order:
            found[config].append(run(options.sinew, config, options.seconds))
    first, second = options.configs
    print("| µs | " + " | ".join(f"{Path(config).stem}, median (worst)" for config in options.configs) + " | ratio |")
    print("|---|---|---|---|")
    for part in PARTS:
        for rank in RANKS:
            values = {config: [timing[part][rank] for timing in rounds] for config, rounds in found.items()}
            medians = {config: statistics.median(it) for config, it in values.items()}
            cells = " | ".join(f"{medians[config]:.1f} ({max(values[config]):.1f})" for config in options.configs)
            ratio = medians[second] / medians[first] if medians[first] else float("nan")
            print(f"| {part} {rank.removesuffix('_us')} | {cells} | {ratio:.2f} |")
    for config, rounds in found.items():
        cycles = [timing["cycle"]["n"] for timing in rounds]
        print(f"{config}: {cycles} cycles, {[timing['missed'] for timing in rounds]} missed")


if __name__ == "__main__":
    main()
