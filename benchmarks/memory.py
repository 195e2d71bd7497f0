"""The most memory that a network needs, measured in a process of its own.

python -m benchmarks.memory NAME PLACE

prints it in MiB above what Keras itself needs; PLACE is 0 for ours and 1 for the peer's network.
"""

import resource
import subprocess
import sys
from pathlib import Path


def compare(name):
    """The peak memory of ours and of the peer in a case of `CASES`, in MiB."""
    command = [sys.executable, "-m", "benchmarks.memory", name]
    return [
        int(subprocess.run([*command, place], check=True, capture_output=True, text=True).stdout)
        for place in "01"
    ]


def find_peak():
    """MiB that this process has had at most.

    On Linux from its status, since the resource's usage counts the process that started it, too.
    """
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 2**10
    except OSError:  # macOS, which counts bytes
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def main():
    """Takes a few steps of one network and prints what they needed."""
    from benchmarks.cases import CASES

    before = find_peak()
    CASES[sys.argv[1]].take_steps(int(sys.argv[2]))
    print(round(find_peak() - before))


if __name__ == "__main__":
    main()
