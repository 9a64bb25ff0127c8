# Takes the configuration as Snakemake has merged it; makes the settings, the cells, and the environment of every job.
import os
import time

import pandas as pd
from snakemake.settings.types import DeploymentMethod
from snakemake.utils import Paramspace
from umap_sweep import environment
from umap_sweep.cells import grid, looks
from umap_sweep.cells.groups import Cells
from umap_sweep.cells.keys import OF_GRAPH, OF_LAYOUT, OF_LAYOUT_ALONE, held, umap_axes
from umap_sweep.cells.named import named_cell
from umap_sweep.errors import InputError
from umap_sweep.settings import configuration, preparations
from umap_sweep.sources.target import check_type_of_target

try:
    if workflow.is_main_process and not IMPORTED:
        # Snakemake has read them, where the last of two keys is all that is left.
        own = workflow.current_basedir.join("../../config.yaml").get_path_or_uri(secret_free=True)
        for one in (own, *workflow.config_settings.configfiles):
            configuration.check_written(one)
    SETTINGS = configuration.complete(config, GIVEN, workflow.config_settings.config)
    # An importing workflow may have a rule that makes the file.
    if not IMPORTED:
        configuration.check_sources(SETTINGS, time.time() if workflow.is_main_process else None)
        check_type_of_target(SETTINGS)
    CELLS = Cells(grid.cells(SETTINGS))
    # What `choose` may add to the grid: the same settings under more seeds, some of them the grid's own.
    LOOKS = looks.seeds_of_looks(CELLS.table["seed"].tolist(), SETTINGS["choose"]["seeds"])
    more = looks.with_seeds(CELLS.table, LOOKS[-1], SETTINGS["knn"]["method"])
    TRIED, KNOWN = Cells(more), Cells(pd.concat([CELLS.table, more]).drop_duplicates(ignore_index=True))
    # The cell that new rows are placed on, where there are any.
    asked = SETTINGS["transform"]
    NEW_CELL = named_cell(CELLS.table, asked.get("cell"), "transform.cell") if "dataset" in asked else None
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

CELL_KEY = list(CELLS.table)

# The steps of the ways to prepare the data that the grid has, and of what they have in common; none without any.
STEPS = preparations.steps_by_name(SETTINGS)

# Of these preparations those that have a PCA among their steps.
with_pca = {name for name, steps in STEPS.items() if any(step["step"] == "pca" for step in steps)}
PROJECTED = [name for name in STEPS if name in with_pca - {preparations.COMMON}]

# What all cells are measured against, and the name of the preparation that it is, or `data`.
REFERENCE = SETTINGS["metrics"].get("reference", "data")

# What results depend on beside their own parameters. As params of the stages they make Snakemake see a change.
HELD = held(SETTINGS)

# The key of Snakemake's cache between workflows has the content of files that are there from the start. Of one that an
# importing workflow makes it has no more than how, and code of a `run` or a package is not part of that.
PINNED = not IMPORTED or all(
    "path" not in one or "sha256" in one for one in (*SETTINGS["datasets"].values(), SETTINGS["knn"])
)

# Whether data and k-NN may come from that cache.
CACHED = workflow.workflow_settings.cache is not None and "SNAKEMAKE_OUTPUT_CACHE" in os.environ and PINNED

# The UMAP parameters of layouts.
OF_LAYOUTS = ["n_components", "spread", "repulsion_strength", "learning_rate", "negative_sample_rate", *OF_LAYOUT]


def provenance(wildcards, output):
    """What data and k-NN depend on beside input, code and other params, for the key of the cache between workflows.

    Made from the output, as Snakemake sees it, it is no reason to run a job again.
    """
    return environment.provenance() if CACHED else None


def only(*names):
    """The UMAP parameters that one rule's script uses, so that a change of another does not run it again.

    Some are there only where the sweep uses them. Of those that are axes of the grid it is what a job's path says.
    """
    shared = {name: SETTINGS["umap"][name] for name in names if name in SETTINGS["umap"]}
    axes = [axis for axis in umap_axes(SETTINGS) if axis in names]

    def with_those_of_path(wildcards):
        return shared | {axis: float(wildcards[axis]) for axis in axes if axis in wildcards.keys()}

    return with_those_of_path if axes else shared


def target_of_sweep(wildcards):
    """Name and metric of the target, where a run of this data set is supervised by one."""
    umap = SETTINGS["umap"]
    return [umap["target"], umap["target_metric"]] if "target" in umap and wildcards.dataset == DATASET else None


def folders(columns):
    """The folders that say a key, one for each column of the cells."""
    parts = [f"{column}={{{column}}}" for column in columns]
    return "/".join(parts)
