"""Boots one Debian root under four inits on an emulated board, and says when their services run.

The ten services are the same, and there are no logins. Ettan and BusyBox's init boot a root of which all commands are
BusyBox's, as Buildroot makes it: with the duties that an appliance has, Ettan's by its vendor units and BusyBox's by
the scripts of Buildroot; and bare, with the services and what Ettan's PID 1 does for them by itself, which BusyBox's
init is told to. Nobody checks a file system. Finit and systemd have Debian's packages besides, as they need them.

The clock is the kernel's own, in the time stamps of /dev/kmsg: it starts with the line that the first root writes just
before it executes /sbin/init, and each service stops it with a line of its own. QEMU counts instructions (-icount), so
a second is so many of them, whatever else this machine does. It counts those of all processors as one row, so a Pi 2
boots on one of its four. It says who is ahead, and not how long a real board takes: QEMU has no caches, and a card as
fast as memory.
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
# Commands that Buildroot's BusyBox has, and Ettan's vendor units call where they are.
APPLETS = ["sbin/swapon", "sbin/swapoff", "sbin/sysctl"]
# 2^1 ns an instruction: 500 million a second, about what a Pi Zero makes of its gigahertz.
ICOUNT = "-icount shift=1"
# Time stamps, no console but the first, so that lines are whole, and one processor.
APPEND = "loglevel=7 printk.time=1 maxcpus=1"
LIMIT_S = 900
# What Ettan's first unit may take.
AIM_MS = 100
STAMP = re.compile(r"\[ *(\d+\.\d+)\] (?:bench: (\w+) runs|(initramfs): on to /sbin/init)")

# The vendor units that Buildroot's package enables.
RULES = (TOP / "buildroot/package/ettan/ettan.mk").read_text()
DUTIES = re.search(r"for unit in ([^;]+);", RULES)[1].replace("\\\n", " ").split()


def ettan():
    """With the vendor units that Buildroot's package enables, and services that wait for none of them."""
    yield from bare_ettan()
    yield from duties()


def waiting_ettan():
    """The same, and all services wait for the file systems: Buildroot's have to."""
    yield from bare_ettan('[unit]\nafter = ["mounts"]\n')
    yield from duties()


def duties():
    for name in DUTIES:
        yield f"etc/units/{name}.toml", (TOP / f"units/system/{name}.toml").read_text()
    for path in (TOP / "units/lib").iterdir():
        yield f"usr/lib/ettan/{path.name}", path.read_text()
    yield "etc/fstab", (TOP / "buildroot/package/skeleton-init-ettan/skeleton/etc/fstab").read_text()
    yield from ((applet, pathlib.PurePath("/bin/busybox")) for applet in APPLETS)


def bare_ettan(waits=""):
    """What PID 1 does by itself, and the services; the image's own daemons are left out."""
    spared = ["network", "telldusd", "cherrytelldus", "console"]
    yield from ((f"etc/units/{name}.toml", '[service]\ntype = "target"\n') for name in spared)
    for name in SERVICES:
        yield f"etc/units/{name}.toml", f'{waits}[service]\nexec-start = ["/usr/bin/bench", "{name}"]\n'


def bare_busybox():
    """What PID 1 of Ettan does by itself, and the services."""
    yield from inittab([
        "mount -t devtmpfs dev /dev", "mount -t proc proc /proc", "mount -t sysfs sys /sys", "mount -t tmpfs run /run",
        "mkdir -p /dev/pts /dev/shm", "mount -t devpts devpts /dev/pts", "mount -t tmpfs shm /dev/shm",
        "mount -t cgroup2 cgroup2 /sys/fs/cgroup", "ifconfig lo up", "hostname -F /etc/hostname"])


def buildroot():
    """What Buildroot's inittab and its BusyBox package do before the services, in the same order. Less the seed, for
    which Debian's BusyBox has no applet."""
    yield from inittab([
        "mount -t devtmpfs dev /dev", "mount -t proc proc /proc", "mount -o remount,rw /", "mkdir -p /dev/pts /dev/shm",
        "mount -a", "mkdir -p /run/lock/subsys", "swapon -a", "ln -sf /proc/self/fd /dev/fd",
        "ln -sf /proc/self/fd/0 /dev/stdin", "ln -sf /proc/self/fd/1 /dev/stdout", "ln -sf /proc/self/fd/2 /dev/stderr",
        "hostname -F /etc/hostname", "sh /etc/init.d/rcS"])
    yield "etc/init.d/rcS", 'for script in /etc/init.d/S??*; do "$script" start; done\n'
    for number, daemon in [("01", "syslogd"), ("02", "klogd")]:
        start = f"start-stop-daemon -S -b -m -p /run/{daemon}.pid -x /bin/busybox -- {daemon} -n"
        yield script(f"S{number}{daemon}", start)
    yield script("S02sysctl", "[ ! -e /etc/sysctl.conf ] || sysctl -q -p")
    yield script("S11modules", "[ -n \"$(ls -A /etc/modules-load.d 2>/dev/null)\" ] || exit 0")
    yield script("S40network", "mkdir -p /run/network\nifup -a")
    yield "etc/network/interfaces", "auto lo\niface lo inet loopback\n"
    fstab = ["/dev/root / auto rw,noauto 0 1", "proc /proc proc defaults 0 0", "devpts /dev/pts devpts defaults 0 0",
             "tmpfs /dev/shm tmpfs mode=1777 0 0", "tmpfs /tmp tmpfs mode=1777 0 0", "tmpfs /run tmpfs mode=0755 0 0",
             "sysfs /sys sysfs defaults 0 0"]
    yield "etc/fstab", "\n".join(fstab) + "\n"


def inittab(duties):
    lines = [f"::sysinit:/bin/busybox {duty}" for duty in duties]
    lines += [f"::respawn:/usr/bin/bench {name}" for name in SERVICES]
    yield "etc/inittab", "\n".join(lines) + "\n"
    yield "sbin/init", pathlib.PurePath("/bin/busybox")


def script(name, commands):
    return f"etc/init.d/{name}", f"#!/bin/sh\nPATH=/bin:/sbin:/usr/bin:/usr/sbin\n{commands}\n"


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


# From Debian.
finit.packages, systemd.packages = "finit", "systemd"
CONTENDERS = [ettan, waiting_ettan, buildroot, finit, systemd, bare_ettan, bare_busybox]


def image(board, contender):
    """An image of its own for each: the folder laid over the root last has all that differs."""
    overlay = TARGET / "bench" / f"boot-{board}-{contender.__name__}"
    shutil.rmtree(overlay, ignore_errors=True)
    # With a number of its own the machine is no new one, of which systemd asks for a name.
    files = {"etc/hostname": "bench\n", "etc/machine-id": "0123456789abcdef" * 2 + "\n",
             "etc/fstab": "/dev/root / auto defaults 0 0\n"}
    for path, content in {**files, **dict(contender())}.items():
        file = overlay / path
        file.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, pathlib.PurePath):
            file.symlink_to(content)
        else:
            file.write_text(content)
    for start in [*overlay.glob("etc/init.d/S*"), *overlay.glob("usr/lib/ettan/*")]:
        start.chmod(0o755)
    (overlay / "usr/bin").mkdir(parents=True, exist_ok=True)
    shutil.copy(TARGET / "bench" / "runs", overlay / "usr/bin/bench")
    packages = getattr(contender, "packages", "")
    run = subprocess.run(["qemu/image.sh", board, overlay], cwd=TOP, env={**os.environ, "PACKAGES": packages})
    if run.returncode != 0:
        sys.exit(f"bench: no image of {contender.__name__} for {board}")
    return f"{overlay}.image"


def boot(board, folder, log):
    """Seconds from /sbin/init to each service; those that are missing never came."""
    env = {**os.environ, "ETTAN_QEMU": ICOUNT, "ETTAN_APPEND": APPEND}
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
    options.add_argument("--rounds", type=int, default=1, help="more of them differ by a millisecond")
    options.add_argument("--only", help="this init and no other")
    options.add_argument("boards", nargs="*", default=["pi-zero", "pi-2"])
    options = options.parse_args()
    missed = []
    for board in options.boards:
        folders = {contender.__name__: image(board, contender) for contender in CONTENDERS
                   if options.only in (None, contender.__name__)}
        times = {name: [] for name in folders}
        for number in range(options.rounds):
            for name, folder in folders.items():
                times[name].append(boot(board, folder, f"{folder}.log"))
        print(f"\n{board}: ms from the execution of /sbin/init, median of {options.rounds}")
        print(f"{'':14}{'first service runs':>20}{'all ten run':>14}{'least':>8}{'most':>8}")
        for name, rounds in times.items():
            if any(len(ran) < len(SERVICES) for ran in rounds):
                missed.append(f"{board}, {name}: not all services came; see {folders[name]}.log")
                continue
            first = 1000 * statistics.median(ran[0] for ran in rounds)
            last = [1000 * ran[-1] for ran in rounds]
            if name == "ettan" and first > AIM_MS:
                missed.append(f"{board}: the first unit took longer than {AIM_MS} ms")
            print(f"{name:14}{first:20.0f}{statistics.median(last):14.0f}{min(last):8.0f}{max(last):8.0f}", flush=True)
    sys.exit("\n".join(missed) or 0)


main()
