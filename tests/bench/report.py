"""Turns the raw numbers of a run into tables: medians, spread, multiples of the floor, and what was aimed at."""

import os
import statistics

MICRO, MILLI = 1e3, 1e6

# What Ettan aims at: (label, metric, unit, limit, of the floor?)
GOALS = [
    ("restart after kill -9", "restart_ns", "x floor", 1.4),
    ("1,000 services started", "start_1000_ns", "x floor", 1.5),
    ("1,000 killed, all back", "back_1000_ns", "x floor", 1.6),
    ("orphans reaped (zombies)", "orphans_zombies_ns", "x floor", 1.3),
    ("orphans reaped (alive)", "orphans_alive_ns", "x floor", 1.3),
    ("PID 1, 10 services", "pss_pid1_10", "kB", 450),
    ("PID 1, 1,000 services", "pss_pid1_1000", "kB", 900),
    ("all own processes, 10 services", "pss_all_10", "kB", 1200),
    ("idle wake-ups, 100 services", "wakeups", "per s", 0),
]


def machine(load, scheduling):
    model = "unknown CPU"
    with open("/proc/cpuinfo") as f:
        for line in f:
            if line.startswith(("model name", "Model")):
                model = line.split(":", 1)[1].strip()
                break
    kernel = os.uname()
    return {"cpu": model, "cores": os.cpu_count(), "kernel": f"{kernel.sysname} {kernel.release} {kernel.machine}",
            "load_at_start": round(load, 2), "scheduling": scheduling}


def rounds(data, metric):
    """One number for each round, None where it was not measured. Restarts: the round's median."""
    if metric == "restart_ns":
        return [statistics.median(part) if part else None for part in data[metric]]
    return data[metric]


def samples(data, metric):
    """Everything that was measured. The restarts of all rounds are one pool."""
    found = [x for x in data[metric] if x is not None]
    return [x for part in found for x in part] if metric == "restart_ns" else found


def middle(data, metric):
    found = samples(data, metric)
    return statistics.median(found) if found else None


def multiple(result, name, metric):
    """The median of what each round gives: what else the machine does changes between rounds, less within one."""
    pairs = zip(rounds(result["data"][name], metric), rounds(result["data"]["floor"], metric))
    found = [mine / base for mine, base in pairs if mine is not None and base]
    return statistics.median(found) if found else None


def show(value, form):
    return "-" if value is None else format(value, form)


def table(title, heads, rows):
    """Left-aligned names, right-aligned numbers, two blanks between columns."""
    widths = [max(len(line[i]) for line in [heads, *rows]) for i in range(len(heads))]
    lines = [title]
    for line in [heads, *rows]:
        cells = [cell.ljust(w) if i == 0 else cell.rjust(w) for i, (cell, w) in enumerate(zip(line, widths))]
        lines.append("  " + "  ".join(cells).rstrip())
    return "\n".join(lines) + "\n"


def restarts(result):
    rows = []
    for name, data in result["data"].items():
        pool = sorted(samples(data, "restart_ns"))
        medians = [median / MICRO for median in rounds(data, "restart_ns") if median is not None]
        p90 = pool[min(len(pool) - 1, len(pool) * 9 // 10)] / MICRO if pool else None
        spread = f"{min(medians):.0f} .. {max(medians):.0f}" if medians else "-"
        median = middle(data, "restart_ns")
        rows.append([name, show(median and median / MICRO, ".0f"), show(multiple(result, name, "restart_ns"), ".2f"),
                     show(p90, ".0f"), spread, str(len(pool))])
    return table("kill -9 of a service up for more than 2 s -> first instruction of its replacement (us)",
                 ["", "median", "x floor", "p90", "medians of rounds", "samples"], rows)


def timed(result, title, metric):
    rows = []
    for name, data in result["data"].items():
        found = samples(data, metric)
        spread = f"{min(found) / MILLI:.1f} .. {max(found) / MILLI:.1f}" if found else "-"
        median = middle(data, metric)
        rows.append([name, show(median and median / MILLI, ".1f"), show(multiple(result, name, metric), ".2f"),
                     spread, str(len(found))])
    return table(title, ["", "median", "x floor", "spread", "rounds"], rows)


def memory(result):
    rows = []
    for name, data in result["data"].items():
        metrics = ["pss_pid1_10", "pss_pid1_1000", "pss_all_10", "processes_10"]
        rows.append([name, *(show(middle(data, m), ".0f") for m in metrics), show(middle(data, "wakeups"), ".1f")])
    return table("memory (PSS, kB) and idle wake-ups per second (all of the supervisor's own processes)",
                 ["", "PID 1, 10", "PID 1, 1,000", "all own, 10", "processes", "wake-ups, 100"], rows)


def goals(result):
    """Ettan against what it aims at."""
    if "ettan" not in result["data"]:
        return ""
    rows = []
    for label, metric, unit, limit in GOALS:
        value = multiple(result, "ettan", metric) if unit == "x floor" else middle(result["data"]["ettan"], metric)
        verdict = "-" if value is None else "reached" if value <= limit else "missed"
        form = ".2f" if unit == "x floor" else ".1f" if unit == "per s" else ".0f"
        rows.append([label, show(value, form), f"{limit:g}", unit, verdict])
    size = result["arm_bytes"].get("ettan-init")
    kib = size / 1024 if size else None
    verdict = "-" if kib is None else "reached" if kib <= 900 else "missed"
    rows.append(["ARMv6 ettan-init", show(kib, ".0f"), "900", "KiB", verdict])
    return table("ettan: measured and aimed at", ["", "measured", "at most", "unit", ""], rows)


def text(result):
    about = result["machine"]
    parts = [f"{about['cpu']}, {about['cores']} cores, {about['kernel']}\n"
             f"load {about['load_at_start']} at the start, scheduling {about['scheduling']}, {result['took_s']} s\n"]
    parts.append(restarts(result))
    parts.append(timed(result, "1,000 services: exec of PID 1 -> first instruction of the last (ms)", "start_1000_ns"))
    parts.append(timed(result, "1,000 services killed at once -> all replacements run (ms)", "back_1000_ns"))
    parts.append(timed(result, "10,000 orphans, handed over as zombies -> none left (ms)", "orphans_zombies_ns"))
    parts.append(timed(result, "10,000 orphans, alive, ending together -> none left (ms)", "orphans_alive_ns"))
    parts.append(memory(result))
    for name, size in result["arm_bytes"].items():
        parts.append(f"ARMv6 {name}: {size} bytes ({size / 1024:.0f} KiB)\n")
    parts.append(goals(result))
    remarks = ["  x floor: each round's figure over the floor's in the same round, the median of all rounds"]
    remarks += [f"  {name}: {note}" for name, notes in result["notes"].items() for note in notes]
    remarks += [f"  {fault}" for fault in result["faults"]]
    parts.append("notes\n" + "\n".join(remarks) + "\n")
    return "\n" + "\n".join(part for part in parts if part)
