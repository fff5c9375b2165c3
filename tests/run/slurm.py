"""A SLURM cluster of one node, this one: its daemons live as long as the `with` block, its files in one folder."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

CONFIGURATION = Path("/etc/slurm/slurm.conf")  # job steps look nowhere else
MARK = "# written by the tests of nrsed; safe to delete\n"
PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "srun", "squeue", "scancel", "scontrol", "sinfo")
CONTENT = """
ClusterName=nrsed
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={controller_port}
SlurmdPort={node_port}
SlurmUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU_Memory
SchedulerParameters=batch_sched_delay=0,sched_interval=1
SlurmdParameters=config_overrides
ReturnToService=2
KillWait=2
NodeName={host} NodeAddr=127.0.0.1 CPUs=4 RealMemory=64000 State=UNKNOWN
PartitionName=test Nodes=ALL Default=YES MaxTime=INFINITE State=UP
"""


def missing() -> str:
    """Why there can be no cluster here; empty: there can."""
    if os.geteuid() != 0:
        return "a SLURM of our own needs root"
    path = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"
    if lacking := [p for p in PROGRAMS if not shutil.which(p, path=path)]:
        return f"SLURM is not installed ({', '.join(lacking)}): apt-get install slurmctld slurmd slurm-client munge"
    if CONFIGURATION.exists() and not CONFIGURATION.read_text().startswith(MARK):
        return f"{CONFIGURATION} is another cluster's"
    return ""


@contextlib.contextmanager
def cluster(folder: Path) -> Iterator[None]:
    """Start munged, slurmctld and slurmd, wait for the node, and stop them in the end, come what may."""
    folder.mkdir(parents=True)
    folder.chmod(0o755)
    (folder / "munge.key").write_bytes(os.urandom(128))
    (folder / "munge.key").chmod(0o400)
    (folder / "state").mkdir()
    (folder / "spool").mkdir()
    host = socket.gethostname().split(".")[0]
    ports = dict(zip(("controller_port", "node_port"), _free_ports(2), strict=True))
    CONFIGURATION.parent.mkdir(exist_ok=True)
    CONFIGURATION.write_text(MARK + CONTENT.format(host=host, folder=folder, **ports))
    files = {f"--{what}-file={folder}/munge.{what}" for what in ("key", "pid", "log", "seed")}
    daemons = (
        ["munged", "--foreground", "--force", f"--socket={folder}/munge.socket", *sorted(files)],
        ["slurmctld", "-D", "-c"],
        ["slurmd", "-D", "-c"],
    )
    path = {"PATH": os.environ.get("PATH", "") + ":/usr/sbin:/sbin"}
    running: list[subprocess.Popen] = []
    try:
        for words in daemons:
            with (folder / f"{words[0]}.out").open("w") as out:
                running.append(subprocess.Popen(words, stdout=out, stderr=out, env=os.environ | path))
            if words[0] == "munged":
                _until(lambda: (folder / "munge.socket").exists(), folder)
        _until(lambda: "idle" in _said("sinfo", "-h", "-o", "%t"), folder)
        yield
    finally:
        if len(running) == len(daemons):
            _said("scancel", "--user=root", "--full")
            with contextlib.suppress(TimeoutError):
                _until(lambda: not _said("squeue", "-h"), folder, seconds=10)
        for process in reversed(running):
            process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(10)
            process.kill()
            process.wait()
        CONFIGURATION.unlink()


def queue(fields: str = "%i %T %k") -> list[str]:
    """A line for each job that waits or runs."""
    return _said("squeue", "-h", "-o", fields).splitlines()


def cancel(job: str) -> None:
    subprocess.run(["scancel", job], check=True, timeout=20)


def _said(*words: str) -> str:
    return subprocess.run(words, capture_output=True, text=True, timeout=20, check=False).stdout.strip()


def _until(happened, folder: Path, seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not happened():
        if time.monotonic() > deadline:
            raise TimeoutError(f"SLURM did not come up in {seconds} s; its daemons' words are in {folder}/*.out")
        time.sleep(0.1)


def _free_ports(nb: int) -> list[int]:
    with contextlib.ExitStack() as open_ones:
        sockets = [open_ones.enter_context(socket.socket()) for _ in range(nb)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]
