"""Compiled code of umap-learn and pynndescent, kept in numba's file cache from one job to the next.

numba keeps the code of a function that takes functions as arguments, as NN-descent takes the distance, but never finds
it again: it tells such arguments apart by names that it draws at random in each process.
"""

from __future__ import annotations

import fcntl
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

PACKAGES = ("pynndescent", "umap")


@cache
def keep() -> None:
    """Have numba keep what it compiles of the imported modules of `PACKAGES`, and find it in another process.

    Their functions get names that are the same in all processes. To be called before any of them is compiled.
    """
    from numba.core.registry import CPUDispatcher

    modules = [module for name, module in sys.modules.items() if name.partition(".")[0] in PACKAGES]
    for module in modules:
        for function in vars(module).values():
            if isinstance(function, CPUDispatcher) and function.__module__ == module.__name__:
                function._MemoMixin__uuid = None  # where numba has drawn one already
                function._set_uuid(f"{module.__name__} {function.py_func.__code__.co_firstlineno}")
                # The address of numba's thread count is another one in each process, and is compiled in.
                if "get_num_threads" not in function.py_func.__code__.co_names:
                    function.enable_caching()


@contextmanager
def one_at_a_time() -> Iterator[None]:
    """Let no two jobs compile within this block at once.

    The second one then finds what the first has compiled. It also must not write at the same time: numba numbers the
    files of a function by the order of their writing, and two jobs could put code for two metrics under one number.
    """
    import numba

    folder = Path(numba.config.CACHE_DIR)
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
