"""Processes that tests of several workers start."""

import json
import os
import socket
import time

HANG = 3600  # seconds after which a process counts as hung, on a machine however busy
KILLS = int(os.environ.get("KERAS_UNROLLED_KILLS", "2"))  # of one run, at moments drawn at random


def cluster_env(cluster):
    """The environment of one worker; `cluster` is its ports and the worker's index, or None."""
    env = dict(os.environ)
    if cluster is not None:
        ports, index = cluster
        workers = [f"127.0.0.1:{port}" for port in ports]
        task = {"type": "worker", "index": index}
        env["TF_CONFIG"] = json.dumps({"cluster": {"worker": workers}, "task": task})
    return env


def free_ports(count):
    """Ports of this machine that nobody listens to."""
    sockets = [socket.socket() for _ in range(count)]
    for s in sockets:
        s.bind(("127.0.0.1", 0))
    ports = [s.getsockname()[1] for s in sockets]
    for s in sockets:
        s.close()
    return ports


def wait_for(condition, process, seconds=HANG):
    """Waits until the condition holds, checking every millisecond; False if the run has ended."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        if process.poll() is not None:
            return False
        time.sleep(0.001)
    raise TimeoutError("the run does not advance")
