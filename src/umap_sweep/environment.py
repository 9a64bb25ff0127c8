"""What a result was computed under: versions of the libraries that shape the bits, and the CPU."""

from __future__ import annotations

import contextlib
import hashlib
import os
import platform
import sys
from collections.abc import Mapping
from functools import cache
from importlib import metadata
from importlib.metadata import PackageNotFoundError
from pathlib import Path

from umap_sweep.errors import InputError

# The libraries whose version can change a bit of a result, not every package installed.
SHAPING_PACKAGES = ("llvmlite", "numba", "numpy", "pynndescent", "scikit-learn", "scipy", "umap-learn")

# Says to a job which level it is held to.
CPU_VARIABLE = "UMAP_SWEEP_CPU"

# The `cpu` under which every operation that makes bits is one that IEEE 754 defines, in an order that is written down.
PORTABLE = "portable"

# Says to a job the digest of the code that it was planned with; see `umap_sweep.code`.
CODE_VARIABLE = "UMAP_SWEEP_CODE"

# Says to a job what the files of this package were when its run was planned.
STAMP_VARIABLE = "UMAP_SWEEP_STAMP"

# Names the file that each job holds a lock on for as long as it lives.
JOBS_VARIABLE = "UMAP_SWEEP_JOBS"

# The files of this package that are not Python: schemas, tables, and the parts of the atlas.
DATA_SUFFIXES = (".css", ".html", ".js", ".yaml")

# What holds each library to a level: numba's code, OpenBLAS's kernels, numpy's dispatched loops, glibc's exp, log and
# pow. Every other library in the chain is compiled for all x86-64 CPUs alike.
CPU_LEVELS = {
    "x86-64-v2": {
        "NUMBA_CPU_NAME": "x86-64-v2",
        "NUMBA_CPU_FEATURES": "",
        "OPENBLAS_CORETYPE": "Nehalem",
        "NPY_DISABLE_CPU_FEATURES": "X86_V3 X86_V4 AVX512_ICL AVX512_SPR",
        "GLIBC_TUNABLES": "glibc.cpu.hwcaps=-AVX2_Usable,-FMA_Usable,-AVX2,-FMA,-FMA4",
    },
    "x86-64-v3": {
        "NUMBA_CPU_NAME": "x86-64-v3",
        "NUMBA_CPU_FEATURES": "",
        "OPENBLAS_CORETYPE": "Haswell",
        "NPY_DISABLE_CPU_FEATURES": "X86_V4 AVX512_ICL AVX512_SPR",
    },
    "x86-64-v4": {
        "NUMBA_CPU_NAME": "x86-64-v4",
        "NUMBA_CPU_FEATURES": "",
        "OPENBLAS_CORETYPE": "SkylakeX",
        "NPY_DISABLE_CPU_FEATURES": "AVX512_ICL AVX512_SPR",
    },
}

# What /proc/cpuinfo calls the instructions that tell the levels apart.
LEVEL_FLAGS = {
    "x86-64-v2": ("sse4_2", "popcnt", "ssse3"),
    "x86-64-v3": ("avx2", "fma", "bmi2", "movbe", "f16c"),
    "x86-64-v4": ("avx2", "fma", "bmi2", "movbe", "f16c", "avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl"),
}


# The files of this package that have functions for numba to compile, and the constants that are compiled into them.
COMPILED = ("arithmetic.py", "stages/*.py")

# Of an installed distribution; to look one up takes a millisecond, and a job needs all of them for each file.
version = cache(metadata.version)

# What `hold` was told in this process.
_held: list[tuple[int, str]] = []


def version_of(name: str) -> str:
    """Return the version of an installed distribution, `none` where it is not installed."""
    try:
        return version(name)
    except PackageNotFoundError:
        return "none"


def versions() -> dict[str, str]:
    """Return the version of each of `SHAPING_PACKAGES`, `none` where it is not installed."""
    return {name: version_of(name) for name in SHAPING_PACKAGES}


def describe() -> dict[str, str]:
    """Return the environment of this process, sorted by name, as text.

    Returns
    -------
    dict of str to str
        `python`, `libc`, `platform`, `cpu` (the model's name), `cpu_level` (what jobs are held to), and the version of
        each of `SHAPING_PACKAGES`.
    """
    found = versions()
    found["python"] = ".".join(platform.python_version_tuple()[:2])
    found["libc"] = " ".join(platform.libc_ver()).strip() or "none"
    found["platform"] = f"{platform.system()} {platform.machine()}"
    found["cpu"] = _cpu_model()
    found["cpu_level"] = cpu_level()
    return dict(sorted(found.items()))


def cpu_level() -> str:
    """Return what this process is held to: a level, or `native`."""
    return os.environ.get(CPU_VARIABLE, "native")


def is_portable() -> bool:
    """Return whether this process computes in arithmetic that no CPU changes."""
    return cpu_level() == PORTABLE


def decisive(environment: Mapping[str, str]) -> dict[str, str]:
    """Return a description less what must not matter: the CPU's model where jobs are held to a level.

    Under `portable` nothing else matters: of system, C library, Python and libraries only operations are used that
    IEEE 754 defines.
    """
    level = environment["cpu_level"]
    left_out = {"native": (), PORTABLE: tuple(environment.keys() - {"cpu_level"})}.get(level, ("cpu",))
    return {name: value for name, value in environment.items() if name not in left_out}


def provenance() -> dict[str, str]:
    """Return what a result in a cache must share with a computed one, beside the code: the environment."""
    return decisive(describe())


def hold(knn_jobs: int, cpu: str, planning: bool = True) -> None:
    """Put this process, and so every job that it starts, under `job_variables`.

    A workflow that imports several sweeps calls this for each of them. Their jobs share one environment: the pool of
    the widest k-NN, whose size changes no result, and one CPU level.

    Parameters
    ----------
    knn_jobs, cpu
        As for `job_variables`.
    planning : bool, default True
        Whether this process plans the run, and is not one of its jobs: these must run the code of the plan.

    Raises
    ------
    InputError
        Where an earlier call asked for another level.
    """
    _held.append((knn_jobs, cpu))
    other = _held[0][1]
    if cpu != other:
        raise InputError(f"cpu is {cpu}, and {other} in another sweep of this workflow; give both the same.")
    os.environ.update(job_variables(max(jobs for jobs, _ in _held), cpu))
    if planning:
        os.environ[STAMP_VARIABLE] = stamp()


def job_variables(knn_jobs: int, cpu: str) -> dict[str, str]:
    """Return the environment variables that every job of a sweep runs under.

    Parameters
    ----------
    knn_jobs : int
        The logical number of threads of NN-descent. numba refuses to use more threads than it was started with,
        so the pool is made this large even where the machine has fewer cores.
    cpu : str
        The configuration's `cpu`: `native`, `portable`, or a level of the x86-64 psABI.

    Returns
    -------
    dict of str to str
        To be set before a job's Python starts.

    Raises
    ------
    InputError
        Where this machine's architecture has no such level.
    """
    _check_architecture(cpu)
    return {
        "NUMBA_NUM_THREADS": str(knn_jobs),
        "NUMBA_CACHE_DIR": str(cache_folder(f"{_code_for(cpu)}-{knn_jobs}-{_compiled_digest()}")),
        # The layer that every numba build has; which other layers are installed must not matter.
        "NUMBA_THREADING_LAYER": "workqueue",
        CPU_VARIABLE: cpu,
        **CPU_LEVELS.get(cpu, {}),
    }


def _code_for(cpu: str) -> str:
    """Return what code is compiled for; under `portable`, which several kinds of nodes may share, each one's CPU."""
    if cpu != PORTABLE:
        return cpu
    kind = f"{platform.machine()} {_cpu_model()} {sorted(_cpu_flags())}"
    return f"{cpu}-{hashlib.sha256(kind.encode()).hexdigest()[:8]}"


def is_x86() -> bool:
    """Return whether this machine has an x86-64 CPU, as this process sees it."""
    return platform.machine().lower() in ("x86_64", "amd64")


def default_cpu() -> str:
    """Return what jobs are held to where the configuration does not say: x86-64-v3, or `native` on other CPUs."""
    return "x86-64-v3" if is_x86() else "native"


def _check_architecture(cpu: str) -> None:
    """Raise an `InputError` where a level of x86 is asked for on a machine that is none."""
    if cpu in CPU_LEVELS and not is_x86():
        raise InputError(
            f"cpu is {cpu}, a level of x86 CPUs, and this machine's CPU is {platform.machine()}, which cannot hold it; "
            f"set cpu to portable for one set of bits on every CPU, or to native for this machine's own."
        )


def lend_package() -> None:
    """Let this package, and no other that is installed beside it, be imported by every process that this one starts.

    The environments that Snakemake makes for rules hold the pinned libraries. The package itself comes from the process
    that plans the run, so that a job runs the code that it was planned with.
    """
    package = Path(__file__).resolve().parent
    # By its place: of two equal copies one may be changed while the other is in use.
    folder = cache_folder(f"package-{hashlib.sha256(str(package).encode()).hexdigest()[:16]}")
    folder.mkdir(parents=True, exist_ok=True)
    with contextlib.suppress(FileExistsError):
        (folder / "umap_sweep").symlink_to(package, target_is_directory=True)
    paths = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    os.environ["PYTHONPATH"] = os.pathsep.join(dict.fromkeys([str(folder), *filter(None, paths)]))


def hold_cpu(level: str | None = None, knn_jobs: int = 2) -> None:
    """Hold this process to the CPU level of a sweep, so that a notebook on a newer CPU gets the same bits.

    To be called before numpy and numba are imported, because they look at the environment once, when they start.

    Parameters
    ----------
    level : str, optional
        The configuration's `cpu`; by default what a sweep takes by default, x86-64-v3, or native on other CPUs than
        x86.
    knn_jobs : int, default 2
        The most jobs that a k-NN will be computed with here.

    Raises
    ------
    InputError
        Where the level is not known, this CPU lacks it, or it is too late.
    """
    level = default_cpu() if level is None else level
    if level not in ("native", PORTABLE, *CPU_LEVELS):
        raise InputError(f"cpu is {level}; allowed is one of native, {PORTABLE}, {', '.join(CPU_LEVELS)}.")
    if knn_jobs < 1:
        raise InputError(f"knn_jobs is {knn_jobs}; allowed is a whole number from 1.")
    variables = job_variables(knn_jobs, level)
    late = [name for name in ("numpy", "numba") if name in sys.modules]
    if late and any(os.environ.get(name) != value for name, value in variables.items()):
        raise InputError(
            f"{' and '.join(late)} {'are' if late[1:] else 'is'} imported already, and can no longer be held to "
            f"{level}; call hold_cpu in the first lines, before any other import."
        )
    if "GLIBC_TUNABLES" in variables and os.environ.get("GLIBC_TUNABLES") != variables["GLIBC_TUNABLES"]:
        raise InputError(
            f"{level} also holds the C library, which looks at the environment when Python starts; "
            f"start it with GLIBC_TUNABLES={variables['GLIBC_TUNABLES']}"
        )
    os.environ.update(variables)
    check_cpu()


def without_ours(variables: Mapping[str, str]) -> dict[str, str]:
    """Return environment variables without those that a sweep sets for its jobs."""
    ours = {*job_variables(1, "native"), *(name for level in CPU_LEVELS.values() for name in level)}
    return {name: value for name, value in variables.items() if name not in ours and not name.startswith("UMAP_SWEEP_")}


def cache_folder(name: str) -> Path:
    """Return where to keep what can be made again: in the user's cache, or in the working folder where it is read-only.

    Compiled code for another CPU level or another number of threads has a folder of its own: numba numbers its files by
    the order of their writing, so that two jobs could put code for two CPUs under one number. So has code of other
    versions of the libraries and of this package: numba compares the age of a function's own file, but not of those
    that its code came from as well, and would run an old `arithmetic.exp` within a function of another file.
    """
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "umap-sweep"
    try:
        cache.mkdir(parents=True, exist_ok=True)
        writable = os.access(cache, os.W_OK)
    except OSError:
        writable = False
    return (cache if writable else Path.cwd() / ".snakemake" / "umap-sweep-cache") / name


def _compiled_digest() -> str:
    digest = hashlib.sha256(" ".join(versions().values()).encode())
    folder = Path(__file__).parent
    for path in sorted(path for pattern in COMPILED for path in folder.glob(pattern)):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:8]


def check_cpu() -> None:
    """Raise an `InputError` where this machine lacks the instruction set that its jobs are held to."""
    level = cpu_level()
    _check_architecture(level)
    flags = _cpu_flags()
    missing = [flag for flag in LEVEL_FLAGS.get(level, ()) if flags and flag not in flags]
    if missing:
        raise InputError(
            f"cpu is {level}, but this machine's CPU lacks {', '.join(missing)}; "
            f"choose a lower level in the configuration, portable for one set of bits on every CPU, or native for this "
            f"machine's own, and run the whole sweep again."
        )


def _cpu_flags() -> set[str]:
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    return set(next((line.partition(":")[2].split() for line in lines if line.startswith("flags")), []))


def _cpu_model() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or os.uname().machine


def stamp() -> str:
    """Return a digest of this package's files as they stand, comments included."""
    folder = Path(__file__).parent
    digest = hashlib.sha256()
    for path in sorted(path for path in folder.rglob("*") if path.suffix in (".py", *DATA_SUFFIXES)):
        content = path.read_bytes()
        digest.update(f"{path.relative_to(folder).as_posix()} {len(content)}\n".encode() + content)
    return digest.hexdigest()
