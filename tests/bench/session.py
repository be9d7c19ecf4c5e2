"""One contender as PID 1 of fresh namespaces with n services: starts it, measures it, and leaves nothing behind."""

import mmap
import os
import pathlib
import signal
import struct
import subprocess
import time

from contenders import BIN, WORK, put

STAMPS_BYTES = 1 << 20
HEADER_BYTES = 64
NAMESPACES = ["--pid", "--mount", "--ipc", "--uts", "--net", "--cgroup"]


class Failed(Exception):
    """The contender did not do what was asked in time; the text says what."""


def now_ns():
    return time.clock_gettime_ns(time.CLOCK_MONOTONIC)


def cgroup_base():
    """The host's cgroup v2 hierarchy: mixed set-ups have it one level down."""
    for base in ["/sys/fs/cgroup/unified", "/sys/fs/cgroup"]:
        if os.path.exists(base + "/cgroup.procs") and os.path.exists(base + "/cgroup.controllers"):
            return pathlib.Path(base)
    raise Failed("no cgroup v2 hierarchy")


class Session:
    """Use as a context manager; inside it PID 1 runs."""

    serial = 0

    def __init__(self, contender, n):
        Session.serial += 1
        self.contender, self.n = contender, n
        self.root = WORK / "root"
        self.cgroup = cgroup_base() / f"ettan-bench.{os.getpid()}.{Session.serial}"
        self.used = 0  # records that belong to services which are already known

    def __enter__(self):
        self.root.mkdir(parents=True, exist_ok=True)
        subprocess.run(["mount", "-t", "tmpfs", "-o", "mode=755", "tmpfs", self.root], check=True)
        try:
            arguments = self.lay_out_root()
            self.launch(arguments)
        except BaseException:
            self.__exit__()
            raise
        return self

    def lay_out_root(self):
        root = self.root
        for directory in ["bin", "sbin", "etc", "bench", "usr/lib", "var", "tmp", "root"]:
            (root / directory).mkdir(parents=True)
        (root / "etc/passwd").write_text("root:x:0:0:root:/root:/bin/false\n")
        (root / "etc/group").write_text("root:x:0:\n")
        put(BIN / "stamp", root / "bin/stamp")
        put(BIN / "orphans", root / "bin/orphans")
        # The host's own libraries, so that pages of libc are shared as on a machine that runs other programs too.
        for name in ["lib", "lib32", "lib64", "libx32"]:
            if os.path.islink(f"/{name}"):
                (root / name).symlink_to(os.readlink(f"/{name}"))
            if name != "lib" and os.path.isdir(f"/usr/{name}"):
                (root / "usr" / name).mkdir()
            if os.path.isdir(f"/usr/{name}"):
                subprocess.run(["mount", "--bind", "-o", "ro", f"/usr/{name}", root / "usr" / name], check=True)
        with open(root / "bench/stamps", "w+b") as f:
            f.truncate(STAMPS_BYTES)
            self.stamps = mmap.mmap(f.fileno(), STAMPS_BYTES)
        return self.contender.populate(root, self.n)

    def launch(self, arguments):
        self.cgroup.mkdir()
        log = WORK / "log" / f"{self.contender.name}-{self.n}.txt"
        log.parent.mkdir(exist_ok=True)
        join = lambda: (self.cgroup / "cgroup.procs").write_text("0")
        command = ["unshare", *NAMESPACES, "--fork", "--kill-child", BIN / "enter", self.root, *arguments]
        with open(log, "wb") as out:
            self.shell = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=out, preexec_fn=join,
                                          start_new_session=True)
        deadline = time.monotonic() + 10
        children = f"/proc/{self.shell.pid}/task/{self.shell.pid}/children"
        while not self.pid1_exec_ns():
            if time.monotonic() > deadline or self.shell.poll() is not None:
                raise Failed(f"PID 1 did not start (see {log})")
            time.sleep(0.001)
        self.pid1 = int(pathlib.Path(children).read_text().split()[0])
        self.namespace = os.readlink(f"/proc/{self.pid1}/ns/pid")

    def __exit__(self, *_):
        if getattr(self, "shell", None):
            target = getattr(self, "pid1", self.shell.pid)
            try:
                os.kill(target, signal.SIGKILL)
            except ProcessLookupError:
                pass
            self.shell.wait(30)
        if getattr(self, "stamps", None):
            self.stamps.close()
        subprocess.run(["umount", "--recursive", "--lazy", self.root], check=False)
        self.remove_cgroup()

    def remove_cgroup(self):
        """The kernel lets go of the last process a little after it is gone."""
        deadline = time.monotonic() + 5
        while self.cgroup.exists() and time.monotonic() < deadline:
            for directory, _, _ in os.walk(self.cgroup, topdown=False):
                try:
                    os.rmdir(directory)
                except OSError:
                    time.sleep(0.005)

    # What the services report

    def count(self):
        return struct.unpack_from("=Q", self.stamps, 0)[0]

    def pid1_exec_ns(self):
        return struct.unpack_from("=Q", self.stamps, 8)[0]

    def records(self, first, last):
        """(ns, pid inside) of the starts first..last, once all of them are complete."""
        while True:
            found = [struct.unpack_from("=QQ", self.stamps, HEADER_BYTES + 16 * i) for i in range(first, last)]
            if all(ns for ns, _ in found):
                return found
            time.sleep(0.0001)

    def wait_count(self, total, limit_s, pause_s):
        deadline = time.monotonic() + limit_s
        while self.count() < total:
            if time.monotonic() > deadline or self.shell.poll() is not None:
                what = "PID 1 ended" if self.shell.poll() is not None else f"not after {limit_s} s"
                raise Failed(f"{self.count()} of {total} starts: {what}")
            time.sleep(pause_s)

    # Processes, seen from outside

    def processes(self):
        """{pid inside: pid outside} of everything in the namespace."""
        found = {}
        for entry in os.listdir("/proc"):
            try:
                if entry.isdigit() and os.readlink(f"/proc/{entry}/ns/pid") == self.namespace:
                    status = pathlib.Path(f"/proc/{entry}/status").read_text()
                    line = next(l for l in status.splitlines() if l.startswith("NSpid:"))
                    found[int(line.split()[-1])] = int(entry)
            except (OSError, StopIteration):
                continue  # ended meanwhile
        return found

    def service_pids(self):
        """Outside pids of the services that run, oldest first. Each record's pid either runs or was killed."""
        inside = self.processes()
        started = self.records(0, self.count())
        return [inside[pid] for _, pid in started if pid in inside]

    def supervisor_pids(self):
        services = {pid for _, pid in self.records(0, self.count())}
        return [out for pid, out in self.processes().items() if pid not in services]

    # Metrics

    def start_all(self, limit_s=40):
        """ns from exec of PID 1 to the first instruction of the last service."""
        self.wait_count(self.n, limit_s, 0.002)
        last = max(ns for ns, _ in self.records(0, self.n))
        return last - self.pid1_exec_ns()

    def restart_each(self, most, budget_s):
        """ns from kill -9 to the replacement's first instruction, one service after the other, each killed once."""
        taken, stop = [], time.monotonic() + budget_s
        for victim in self.service_pids()[:most]:
            if time.monotonic() > stop:
                break
            before = self.count()
            start = now_ns()
            os.kill(victim, signal.SIGKILL)
            self.wait_count(before + 1, 15, 0.0005)
            taken.append(self.records(before, before + 1)[0][0] - start)
            time.sleep(0.004)
        return taken

    def restart_all(self, limit_s=40):
        """ns from the first kill -9 to the first instruction of the last replacement, all services killed at once."""
        victims, before = self.service_pids(), self.count()
        start = now_ns()
        for victim in victims:
            os.kill(victim, signal.SIGKILL)
        self.wait_count(before + len(victims), limit_s, 0.002)
        return max(ns for ns, _ in self.records(before, before + len(victims))) - start

    def pss_kb(self, pids):
        total = 0
        for pid in pids:
            for line in pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
                if line.startswith("Pss:"):
                    total += int(line.split()[1])
        return total

    def switches(self, pids):
        total = 0
        for pid in pids:
            for status in pathlib.Path(f"/proc/{pid}/task").glob("*/status"):
                for line in status.read_text().splitlines():
                    if line.startswith(("voluntary_ctxt", "nonvoluntary_ctxt")):
                        total += int(line.split()[1])
        return total

    def wakeups_per_second(self, seconds):
        pids = self.supervisor_pids()
        before = self.switches(pids)
        time.sleep(seconds)
        return (self.switches(pids) - before) / seconds

    def orphans(self, kind, n):
        """ns until PID 1 has reaped n orphans."""
        command = ["nsenter", "--target", str(self.pid1), "--pid", "--mount", "--root", "/bin/orphans", kind, str(n)]
        try:
            out = subprocess.run(command, capture_output=True, text=True, timeout=40)
        except subprocess.TimeoutExpired:
            raise Failed(f"{n} orphans not reaped after 40 s") from None
        if out.returncode != 0:
            raise Failed(f"orphans ended with {out.returncode}")
        return int(out.stdout)
