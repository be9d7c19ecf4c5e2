"""Lets PID 1 of a board fail in every way it can and asks after each whether it is back.

Prints a line for each: the kind, faults since boot, and milliseconds without an answer.
"""

import json
import os
import signal
import socket
import sys
import time

SIGNALS = ["SEGV", "BUS", "ILL", "FPE", "ABRT"]
VERBS = ["panic", "segv", "overflow"]


def ask(**request):
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as client:
        client.connect("/run/ettan/control.sock")
        client.send(json.dumps(request).encode())
        packet = client.recv(4096)
        return json.loads(packet) if packet else None


def crashes():
    """None while nobody answers."""
    try:
        return (ask(verb="stats") or {}).get("crashes")
    except OSError:
        return None


def strike(kind):
    if kind in SIGNALS:
        os.kill(1, getattr(signal, "SIG" + kind))
    else:
        ask(verb="fail", kind=kind)


for count, kind in enumerate(SIGNALS + VERBS, start=1):
    began = time.monotonic()
    strike(kind)
    while crashes() != count:
        if time.monotonic() - began > 30:
            status = open("/proc/1/status").read()
            masks = [line for line in status.splitlines() if line.startswith("Sig")]
            sys.exit(f"{kind}: no answer but {crashes()} faults; {masks}")
    print(kind, count, round((time.monotonic() - began) * 1000), flush=True)
    # Three within a minute would lead to the reduced mode.
    ask(verb="fail", kind="forget")
