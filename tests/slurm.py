"""A Slurm of one node on this machine, for as long as a block or a command lasts.

    python tests/slurm.py bash

It needs Debian's slurm-wlm and munge and no rights; an installed Slurm's own configuration, key and daemons stay as
they are. Its daemons listen on the loopback interface only, and as they limit memory without control groups, they see a
job that takes too much within a second and not at once.
"""

from __future__ import annotations

import contextlib
import getpass
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

# Debian keeps daemons where only root's PATH looks.
PROGRAMS = os.pathsep.join([os.environ.get("PATH", ""), "/usr/local/sbin", "/usr/sbin"])

# More than the machine's cores: most of a small job's time goes to waiting for files and for other processes.
CPUS = 4

CONFIGURATION = """\
ClusterName=loopback
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={controller_port}
SlurmdPort={node_port}
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
CredType=cred/munge
CommunicationParameters=NoCtldInAddrAny,NoInAddrAny
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU_Memory
SlurmdParameters=config_overrides
AccountingStorageType=accounting_storage/none
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=task=1
JobAcctGatherParams=OverMemoryKill
SchedulerParameters=batch_sched_delay=1,sched_interval=2
KillWait=1
ReturnToService=2
NodeName={host} NodeAddr=127.0.0.1 CPUs={cpus} RealMemory={memory_mb} State=UNKNOWN
PartitionName=all Nodes=ALL Default=YES MaxTime=INFINITE State=UP
"""


def reason_to_skip() -> str | None:
    """Return why Slurm cannot be started here, or None where it can."""
    missing = [
        name for name in ("munged", "slurmctld", "slurmd", "sbatch", "srun") if not shutil.which(name, path=PROGRAMS)
    ]
    return f"{', '.join(missing)} not installed (Debian: slurm-wlm, munge)" if missing else None


@contextlib.contextmanager
def running() -> Iterator[dict[str, str]]:
    """Start a Slurm, give the environment variables that lead to it, and stop it.

    Raises
    ------
    RuntimeError
        Where a daemon ends early or the node does not come up; with the daemons' logs.
    """
    # Not below pytest's folders, which munge finds too private for a socket.
    with tempfile.TemporaryDirectory(prefix="slurm-") as name, contextlib.ExitStack() as stack:
        folder = Path(name)
        folder.chmod(0o755)
        for part in ("state", "spool", "bin"):
            (folder / part).mkdir()
        key = folder / "munge.key"
        key.touch(mode=0o600)
        key.write_bytes(os.urandom(128))
        configuration = folder / "slurm.conf"
        controller_port, node_port = _free_ports(2)
        configuration.write_text(
            CONFIGURATION.format(
                folder=folder,
                host=socket.gethostname().partition(".")[0],
                user=getpass.getuser(),
                controller_port=controller_port,
                node_port=node_port,
                cpus=CPUS,
                memory_mb=os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2**20,
            )
        )
        # The plugin that starts a job's step with srun takes every SLURM_ variable from it, this one as well.
        srun = folder / "bin" / "srun"
        srun.write_text(f'#!/bin/sh\nSLURM_CONF={configuration} exec {shutil.which("srun", path=PROGRAMS)} "$@"\n')
        srun.chmod(0o755)
        variables = {"SLURM_CONF": str(configuration), "PATH": f"{srun.parent}{os.pathsep}{os.environ['PATH']}"}
        environment = os.environ | variables
        daemons = []
        for command in (
            ["munged", "--foreground", f"--key-file={key}", f"--socket={folder}/munge.socket"]
            + [f"--{kind}-file={folder}/munge.{kind}" for kind in ("pid", "seed", "log")],
            ["slurmctld", "-D", "-f", str(configuration)],
            ["slurmd", "-D", "-f", str(configuration)],
        ):
            daemons.append(stack.enter_context(_daemon(command, folder / f"{command[0]}.log", environment)))
        try:
            _wait_for_node(daemons, environment)
        except RuntimeError as error:
            logs = "\n".join(f"{path.name}:\n{path.read_text()}" for path in sorted(folder.glob("*.log")))
            raise RuntimeError(f"{error}\n{logs}") from None
        try:
            yield variables
        finally:
            _end_jobs(environment)


def _free_ports(count: int) -> list[int]:
    """Return ports of the loopback interface that nobody listens on."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


@contextlib.contextmanager
def _daemon(command: list[str], log: Path, environment: dict[str, str]) -> Iterator[subprocess.Popen]:
    """Run a daemon in the foreground of a process of its own, and end that process and no other."""
    program = shutil.which(command[0], path=PROGRAMS)
    with log.open("w") as out:
        process = subprocess.Popen([program, *command[1:]], stdout=out, stderr=out, env=environment)
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait_for_node(daemons: list[subprocess.Popen], environment: dict[str, str], seconds: float = 60) -> None:
    """Wait until the node takes jobs."""
    end = time.monotonic() + seconds
    while _ask(["sinfo", "--noheader", "--format=%T"], environment) != "idle":
        for daemon in daemons:
            if daemon.poll() is not None:
                raise RuntimeError(f"{Path(daemon.args[0]).name} ended with code {daemon.returncode}.")
        if time.monotonic() > end:
            raise RuntimeError(f"Slurm's node takes no jobs after {seconds:.0f} s.")
        time.sleep(0.3)


def _end_jobs(environment: dict[str, str], seconds: float = 30) -> None:
    """Cancel what still runs, so that no process outlives the daemons."""
    _ask(["scancel", "--user", getpass.getuser()], environment)
    end = time.monotonic() + seconds
    while _ask(["squeue", "--noheader"], environment) and time.monotonic() < end:
        time.sleep(0.3)


def _ask(command: list[str], environment: dict[str, str]) -> str:
    return subprocess.run(command, env=environment, capture_output=True, text=True).stdout.strip()


if __name__ == "__main__":
    with running() as variables:
        code = subprocess.run(sys.argv[1:] or ["bash"], env=os.environ | variables).returncode
    sys.exit(code)
