"""A training step of a GRU (2 x 128, batch 256, 240 steps) by PyTorch, and sinew's gradient of the same size.

Usage: python gru_torch.py PATH_OF_gru_training [--threads N] [--rounds N]

Both take turns. A step of PyTorch is forward, backward and AdamW; sinew's example computes the gradient with dropout and loss, and AdamW over its
150,273 parameters comes on top (well below a millisecond). Wall time is compared, and CPU time, which other programs on the computer disturb less.
"""

import argparse
import os
import resource
import statistics
import subprocess
import time

import torch


def torch_step(threads):
    torch.set_num_threads(threads)
    torch.manual_seed(0)
    gru = torch.nn.GRU(3, 128, 2, batch_first=True, dropout=0.1)
    fc = torch.nn.Linear(128, 1)
    optimizer = torch.optim.AdamW([*gru.parameters(), *fc.parameters()], lr=1e-3, weight_decay=1e-6)
    x, y = torch.randn(256, 240, 3), torch.randn(256, 240, 1)

    def step():
        wall, cpu = time.perf_counter(), time.process_time()
        optimizer.zero_grad()
        ((fc(gru(x)[0]) - y) ** 2).mean().backward()
        optimizer.step()
        return time.perf_counter() - wall, time.process_time() - cpu

    return step


def ours(program, threads):
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    lines = subprocess.run([program, str(threads), "2"], check=True, capture_output=True, text=True).stdout.splitlines()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    # The process makes its inputs as well, which counts against it.
    return min(float(line.split()[0]) for line in lines), cpu / len(lines)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("program")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    step = torch_step(arguments.threads)
    step()
    print(f"load of the computer before: {os.getloadavg()[0]:.2f}", flush=True)
    ratios = []
    for _ in range(arguments.rounds):
        theirs = [step(), step()]
        theirs = min(wall for wall, _ in theirs), sum(cpu for _, cpu in theirs) / len(theirs)
        mine = ours(arguments.program, arguments.threads)
        ratios.append((mine[0] / theirs[0], mine[1] / theirs[1]))
        print(f"torch {theirs[0]:.3f} s (cpu {theirs[1]:.3f})   sinew {mine[0]:.3f} s (cpu {mine[1]:.3f})", flush=True)
    print(f"load of the computer after: {os.getloadavg()[0]:.2f}, of which ours about {arguments.threads}")
    wall, cpu = (statistics.median(ratio[index] for ratio in ratios) for index in (0, 1))
    print(f"torch {torch.__version__}, {arguments.threads} threads of {os.cpu_count()}: sinew takes {wall:.2f} of the wall time, {cpu:.2f} of the CPU time: "
          f"{1 / wall:.2f} and {1 / cpu:.2f} of the throughput")


if __name__ == "__main__":
    main()
