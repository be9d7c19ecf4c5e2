"""Boots one Debian root under four inits on an emulated board, and says when their services run.

Every root has all four and the same ten services, and no logins; only /sbin/init and its configuration differ. The clock is the
kernel's own, in the time stamps of /dev/kmsg: it starts with the line that the first root writes just before it
executes /sbin/init, and each service stops it with a line of its own. On a board with one
processor QEMU counts instructions (-icount), so a second is so many of them, whatever else this machine does; with
four it would take hours, so there a second is one of this machine's, which must have nothing else to do. It says who
is ahead, and not how long a real board takes: QEMU has no caches, and a card as fast as memory.
"""

import argparse
import os
import pathlib
import re
import shutil
import statistics
import subprocess
import sys
import threading

TOP = pathlib.Path(__file__).resolve().parents[2]
TARGET = pathlib.Path(os.environ["CARGO_TARGET_DIR"])
SERVICES = [f"service{number}" for number in range(10)]
# What the peers are, from Debian, and unpacked for all.
PACKAGES = "finit,systemd"
# 2^1 ns an instruction: 500 million a second, about what a Pi Zero makes of its gigahertz.
ICOUNT = {"pi-zero": "-icount shift=1", "pi-1": "-icount shift=1"}
LIMIT_S = 900
STAMP = re.compile(r"\[ *(\d+\.\d+)\] (?:bench: (\w+) runs|(initramfs): on to /sbin/init)")

SERVICE = """#!/bin/busybox sh
echo "bench: $1 runs" >/dev/kmsg
exec /bin/busybox sleep 100000000
"""


def ettan():
    """Its vendor units do their duties as on every board; the image's own daemons are left out."""
    spared = ["network", "telldusd", "cherrytelldus", "console"]
    yield from ((f"etc/units/{name}.toml", '[service]\ntype = "target"\n') for name in spared)
    for name in SERVICES:
        yield f"etc/units/{name}.toml", f'[service]\nexec-start = ["/usr/bin/bench", "{name}"]\n'


def busybox():
    """What Buildroot's inittab does for a root of this kind, /dev as well, and the services."""
    duties = ["mount -t devtmpfs dev /dev", "mount -t proc proc /proc", "mount -t sysfs sys /sys",
              "mount -o remount,rw /", "hostname -F /etc/hostname"]
    lines = [f"::sysinit:/bin/busybox {duty}" for duty in duties]
    lines += [f"::respawn:/usr/bin/bench {name}" for name in SERVICES]
    yield "etc/inittab", "\n".join(lines) + "\n"
    yield "sbin/init", pathlib.PurePath("/bin/busybox")


def finit():
    """Without its logins, as all others here."""
    yield "etc/finit.conf", "runlevel 2\n"
    yield "etc/finit.d/getty.conf", ""
    for number, name in enumerate(SERVICES):
        yield f"etc/finit.d/{name}.conf", f"service :{number} [2345] /usr/bin/bench {name} -- {name}\n"
    yield "sbin/init", pathlib.PurePath("/sbin/finit")


def systemd():
    for name in SERVICES:
        unit = f"[Service]\nExecStart=/usr/bin/bench {name}\nRestart=always\n"
        yield f"etc/systemd/system/{name}.service", unit
        link = pathlib.PurePath(f"/etc/systemd/system/{name}.service")
        yield f"etc/systemd/system/multi-user.target.wants/{name}.service", link
    yield "etc/systemd/system/getty.target", pathlib.PurePath("/dev/null")
    yield "etc/systemd/system/default.target", pathlib.PurePath("/lib/systemd/system/multi-user.target")
    yield "sbin/init", pathlib.PurePath("/lib/systemd/systemd")


CONTENDERS = [ettan, busybox, finit, systemd]


def image(board, contender):
    """An image of its own for each: the folder laid over the root last has all that differs."""
    overlay = TARGET / "bench" / f"boot-{board}-{contender.__name__}"
    shutil.rmtree(overlay, ignore_errors=True)
    # With a number of its own the machine is no new one, of which systemd asks for a name.
    files = {"usr/bin/bench": SERVICE, "etc/hostname": "bench\n", "etc/machine-id": "0123456789abcdef" * 2 + "\n",
             "etc/fstab": "/dev/root / auto defaults 0 1\n"}
    for path, content in {**files, **dict(contender())}.items():
        file = overlay / path
        file.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, pathlib.PurePath):
            file.symlink_to(content)
        else:
            file.write_text(content)
    (overlay / "usr/bin/bench").chmod(0o755)
    run = subprocess.run(["qemu/image.sh", board, overlay], cwd=TOP, env={**os.environ, "PACKAGES": PACKAGES})
    if run.returncode != 0:
        sys.exit(f"bench: no image of {contender.__name__} for {board}")
    return f"{overlay}.image"


def boot(board, folder, log):
    """Seconds from /sbin/init to each service; those that are missing never came."""
    # Time stamps, and no console but the first: lines are whole.
    env = {**os.environ, "ETTAN_QEMU": ICOUNT.get(board, ""), "ETTAN_APPEND": "loglevel=7 printk.time=1"}
    qemu = subprocess.Popen(
        ["qemu/boot.sh", board, folder], cwd=TOP, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        errors="replace")
    limit = threading.Timer(LIMIT_S, qemu.kill)
    limit.start()
    began, ran = None, {}
    try:
        with open(log, "w", buffering=1) as copy:
            for line in qemu.stdout:
                copy.write(line)
                found = STAMP.search(line)
                if found and found[3]:
                    began = float(found[1])
                elif found:
                    ran.setdefault(found[2], float(found[1]) - began)
                if len(ran) == len(SERVICES):
                    break
    finally:
        limit.cancel()
        qemu.kill()
        qemu.wait()
    return sorted(ran.values())


def main():
    options = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    options.add_argument("--rounds", type=int, default=3)
    options.add_argument("--only", help="this init and no other")
    options.add_argument("boards", nargs="*", default=["pi-zero", "pi-2"])
    options = options.parse_args()
    missing = False
    for board in options.boards:
        folders = {contender.__name__: image(board, contender) for contender in CONTENDERS
                   if options.only in (None, contender.__name__)}
        times = {name: [] for name in folders}
        for number in range(options.rounds):
            for name, folder in folders.items():
                times[name].append(boot(board, folder, f"{folder}.log"))
        print(f"\n{board}: ms from the execution of /sbin/init, median of {options.rounds}")
        print(f"{'':10}{'first service runs':>20}{'all ten run':>14}{'least':>8}{'most':>8}")
        for name, rounds in times.items():
            if any(len(ran) < len(SERVICES) for ran in rounds):
                missing = True
                print(f"{name:10}{'not all services came; see ' + folders[name] + '.log':>20}")
                continue
            first = 1000 * statistics.median(ran[0] for ran in rounds)
            last = [1000 * ran[-1] for ran in rounds]
            print(f"{name:10}{first:20.0f}{statistics.median(last):14.0f}{min(last):8.0f}{max(last):8.0f}", flush=True)
    sys.exit(missing)


main()
