"""Compiled code of umap-learn and pynndescent, kept in numba's file cache from one job to the next.

numba can store the code of a function that takes functions as arguments, as NN-descent takes the distance function, but
it never finds that code again: it identifies such arguments by names that it draws at random in each process.
"""

from __future__ import annotations

import fcntl
import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

PACKAGES = ("pynndescent", "umap")

# What NN-descent runs once, in turns of calls of compiled functions. numba cannot keep its code, because it asks for
# the number of threads, and compiling it takes longer than 10,000 rows take; as Python it makes the same calls.
TURNS = ("nn_descent", "nn_descent_internal")


@cache
def keep() -> None:
    """Have numba keep what it compiles of the imported modules of `PACKAGES`, so that another process finds it.

    Their functions get names that are the same in all processes. Call this before any of them is compiled.
    """
    from numba.core.registry import CPUDispatcher

    modules = [module for name, module in sys.modules.items() if name.partition(".")[0] in PACKAGES]
    for module in modules:
        for function in list(vars(module).values()):
            if isinstance(function, CPUDispatcher) and function.__module__ == module.__name__:
                # numba may have drawn a name already.
                function._MemoMixin__uuid = None  # type: ignore[attr-defined]
                function._set_uuid(  # type: ignore[attr-defined]
                    f"{module.__name__} {function.py_func.__code__.co_firstlineno}"
                )
                # The compiled code contains the address of numba's thread count, which differs between processes.
                if "get_num_threads" not in function.py_func.__code__.co_names:
                    function.enable_caching()
                elif function.py_func.__name__ in TURNS:
                    setattr(module, function.py_func.__name__, function.py_func)


@contextmanager
def one_at_a_time() -> Iterator[None]:
    """Let only one job at a time run the block, which compiles.

    A second job then finds what the first has compiled. Nor may two jobs write at the same time: numba numbers the
    files of a function in the order of their writing, and two jobs could put code for two metrics under one number.
    """
    import numba

    folder = Path(numba.config.CACHE_DIR)  # type: ignore[attr-defined]
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            logging.getLogger("umap_sweep").info("Another job compiles NN-descent; this one waits for it.")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield
