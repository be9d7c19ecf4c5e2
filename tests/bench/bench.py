"""Runs every contender several times, one after the other in each round, and hands the raw numbers to the report.

Interleaving spreads whatever else the machine does over all contenders. The whole takes under ten minutes: a round is
not begun when the longest one so far would not fit any more.
"""

import argparse
import gc
import json
import os
import sys
import time

import report
from contenders import ALL, TOP, WORK, Missing, build_tools
from session import Failed, Session

LIMIT_S = 585  # of ten minutes
ROUNDS = 5
SMALL_ROUNDS = 3  # rounds that also measure 10 and 100 services
LONGER_THAN_S = 2.2  # "has run for more than 2 s"
RESTARTS = 24  # per round: at least 50 in all
RESTARTS_BUDGET_S = 18  # for contenders that pause 1 s: 17 or 18 per round
ORPHANS = 10_000
IDLE_S = 10


def ten(contender, data, _):
    with Session(contender, 10) as s:
        s.start_all()
        time.sleep(1)
        data["pss_pid1_10"].append(s.pss_kb([s.pid1]))
        data["pss_all_10"].append(s.pss_kb(s.supervisor_pids()))
        data["processes_10"].append(len(s.supervisor_pids()))
        for kind in ["zombies", "alive"]:
            data[f"orphans_{kind}_ns"].append(s.orphans(kind, ORPHANS))


def hundred(contender, data, number):
    with Session(contender, 100) as s:
        s.start_all()
        time.sleep(LONGER_THAN_S)
        if number == 0:
            data["wakeups"].append(s.wakeups_per_second(IDLE_S))
        data["restart_ns"].append(s.restart_each(RESTARTS, RESTARTS_BUDGET_S))


def thousand(contender, data, _):
    with Session(contender, 1000) as s:
        data["start_1000_ns"].append(s.start_all())
        time.sleep(LONGER_THAN_S)
        data["pss_pid1_1000"].append(s.pss_kb([s.pid1]))
        data["back_1000_ns"].append(s.restart_all())


# What each part measures. A part that fails leaves None, so that rounds stay comparable.
PARTS = {
    ten: ["pss_pid1_10", "pss_all_10", "processes_10", "orphans_zombies_ns", "orphans_alive_ns"],
    hundred: ["wakeups", "restart_ns"],
    thousand: ["start_1000_ns", "pss_pid1_1000", "back_1000_ns"],
}


def ready_contenders(names, faults):
    ready = []
    for kind in ALL:
        contender = kind()
        if names and contender.name not in names:
            continue
        try:
            contender.prepare()
            ready.append(contender)
        except Missing as why:
            faults.append(f"{contender.name}: not measured, {why}")
    return ready


def run_round(number, ready, data, faults):
    """Part by part, so that the same work of all contenders lies close together in time. Each round begins with another
    contender, so that no one is always the first."""
    turn = number % len(ready)
    for part in PARTS if number < SMALL_ROUNDS else [thousand]:
        for contender in ready[turn:] + ready[:turn]:
            try:
                part(contender, data[contender.name], number)
            except Failed as why:
                faults.append(f"{contender.name}, {part.__name__} services, round {number + 1}: {why}")
            for metric in PARTS[part]:
                found = data[contender.name][metric]
                found += [None] * (number + 1 - len(found))
        print(f"  round {number + 1}: {part.__name__} services", flush=True)


def undisturbed():
    """Real-time priority for us and all we start: other work on the machine has to wait, for every contender alike.
    Without it a busy machine adds scheduler ticks of some milliseconds to whatever is measured."""
    try:
        os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(1))
    except OSError as why:
        return f"normal ({why.strerror})"
    return "round-robin real-time"


def sizes():
    found = {}
    for name in ["ettan-init", "ettan"]:
        path = TOP / "target/musl/armv6" / name
        if path.is_file():
            found[name] = path.stat().st_size
    return found


def main():
    options = argparse.ArgumentParser(prog="tests/bench/run")
    options.add_argument("--rounds", type=int, default=ROUNDS)
    options.add_argument("--only", default="", help="comma-separated names; the floor always runs")
    options.add_argument("--normal", action="store_true", help="normal scheduling instead of round-robin real-time")
    chosen = options.parse_args()
    names = {"floor", *chosen.only.split(",")} if chosen.only else set()
    started, faults = time.monotonic(), []
    WORK.mkdir(parents=True, exist_ok=True)
    print("bench: tools and peers", flush=True)
    build_tools()
    ready = ready_contenders(names, faults)
    data = {c.name: {metric: [] for part in PARTS.values() for metric in part} for c in ready}
    load = os.getloadavg()[0]
    gc.disable()
    scheduling = "normal" if chosen.normal else undisturbed()
    longest = 0.0
    for number in range(chosen.rounds):
        before = time.monotonic()
        if before - started + longest > LIMIT_S:
            faults.append(f"only {number} of {chosen.rounds} rounds fitted into {LIMIT_S} s")
            break
        run_round(number, ready, data, faults)
        longest = max(longest, time.monotonic() - before)
    notes = {c.name: c.notes for c in ready}
    result = {"machine": report.machine(load, scheduling), "data": data, "arm_bytes": sizes(), "notes": notes, "faults": faults,
              "took_s": round(time.monotonic() - started)}
    (WORK / "result.json").write_text(json.dumps(result, indent=1) + "\n")
    text = report.text(result)
    (WORK / "result.txt").write_text(text)
    print(text, end="")
    return 1 if any(f.startswith("ettan") for f in faults) else 0


if __name__ == "__main__":
    sys.exit(main())
