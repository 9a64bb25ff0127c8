"""The surroundings of one job: where its messages go, and how it ends when something is wrong."""

from __future__ import annotations

import logging
import os
import sys
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from umap_sweep import environment
from umap_sweep.errors import InputError


@contextmanager
def running(log: str | Path, planned: Mapping[str, Any]) -> Iterator[logging.Logger]:
    """Run the work of a rule's script: messages and warnings go to the log file, errors to the terminal too.

    An `InputError` ends the process with exit code 1 and its message alone. Any other error keeps its traceback,
    in the log and on the terminal, because it is a fault of this software. A full disk is the user's to mend.

    Parameters
    ----------
    log : str or Path
        The rule's log file; overwritten.
    planned : mapping
        The code that the job was planned with, from `umap_sweep.code.of_script`. Its digest goes into the records of
        what the job stores.

    Yields
    ------
    logging.Logger
        For what the job has to say.
    """
    Path(log).parent.mkdir(parents=True, exist_ok=True)
    logging.basicConfig(
        filename=log, filemode="w", level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s", force=True
    )
    logging.captureWarnings(True)
    logger = logging.getLogger("umap_sweep")
    try:
        environment.check_cpu()
        environment.check_stamp()
        os.environ[environment.CODE_VARIABLE] = planned["digest"]
        yield logger
    except InputError as error:
        _stop(logger, str(error))
    except MemoryError:
        _stop(logger, "The job ran out of memory. Use a machine with more, or fewer rows or a smaller knn.n_neighbors.")
    except OSError as error:
        logger.error(traceback.format_exc())
        _stop(logger, f"The system refused a file: {error}. Free space or mend the path, and run again.")
    except BaseException:
        logger.error(traceback.format_exc())
        raise


def _stop(logger: logging.Logger, message: str) -> None:
    logger.error(message)
    print(f"umap-sweep: {message}", file=sys.stderr, flush=True)
    sys.exit(1)
