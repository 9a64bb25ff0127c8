# Takes the configuration as Snakemake has merged it; makes the settings, the cells, and the environment of every job.
import os

from snakemake.settings.types import DeploymentMethod
from snakemake.utils import Paramspace
from umap_sweep import environment
from umap_sweep.cells import grid
from umap_sweep.cells.groups import Cells
from umap_sweep.cells.keys import held
from umap_sweep.errors import InputError
from umap_sweep.settings import configuration

try:
    SETTINGS = configuration.complete(config, GIVEN, workflow.config_settings.config)
    # An importing workflow may have a rule that makes the file.
    if not IMPORTED:
        configuration.check_source_exists(SETTINGS)
    CELLS = Cells(grid.cells(SETTINGS))
    TIMED_CELLS = grid.timed_cells(SETTINGS, CELLS.table)
    # Every job inherits these, on whichever machine it runs, because its own Snakemake process reads this file.
    # The claims compare a k-NN by one job with one by two, whatever the sweep's own takes.
    environment.hold(max(SETTINGS["knn"]["n_jobs"], 2), SETTINGS["cpu"], planning=workflow.is_main_process)
    if DeploymentMethod.CONDA in workflow.deployment_settings.deployment_method:
        environment.lend_package()
except InputError as error:
    raise WorkflowError(f"{__name__}: {error}" if IMPORTED else str(error)) from None

DATASET = SETTINGS["dataset"]

# The folders of the cells, which readers of Parquet take for partitions.
CELL_FOLDERS = Paramspace(CELLS.table, param_sep="=").wildcard_pattern

# What results depend on beside their own parameters. As params of the stages they make Snakemake see a change.
HELD = held(SETTINGS)

# The key of Snakemake's cache between workflows has the content of files that are there from the start. Of one that an
# importing workflow makes it has no more than how, and code of a `run` or a package is not part of that.
PINNED = not IMPORTED or all(
    "path" not in one or "sha256" in one for one in (*SETTINGS["datasets"].values(), SETTINGS["knn"])
)

# Whether data and k-NN may come from that cache.
CACHED = workflow.workflow_settings.cache is not None and "SNAKEMAKE_OUTPUT_CACHE" in os.environ and PINNED


def provenance(wildcards, output):
    """What data and k-NN depend on beside input, code and other params, for the key of the cache between workflows.

    Made from the output, as Snakemake sees it, it is no reason to run a job again.
    """
    return environment.provenance() if CACHED else None


def only(*names):
    """The UMAP parameters that one rule's script uses, so that a change of another does not run it again."""
    return {name: SETTINGS["umap"][name] for name in names}
