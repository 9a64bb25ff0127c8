import atexit
import os
from copy import deepcopy

import yaml
from snakemake.exceptions import WorkflowError
from snakemake.utils import min_version, update_config

min_version("9.17")  # priorities that are functions

if not os.path.isdir(workflow.current_basedir.get_path_or_uri(secret_free=True)):
    raise WorkflowError(
        "Snakemake does not fetch the Python package that the scripts of umap-sweep share; "
        "clone umap-sweep, or add it as a git submodule, and give that path as `snakefile`."
    )

# What the user or an importing workflow gave, before it is merged over the defaults.
GIVEN = deepcopy(config)
IMPORTED = not workflow.modifier.is_main_snakefile()

if IMPORTED:
    # Snakemake reads no `configfile` where the importing workflow gives a config.
    with open(workflow.source_path("config.yaml"), encoding="utf-8") as file:
        config = yaml.safe_load(file)
    update_config(config, GIVEN)
else:

    configfile: workflow.source_path("config.yaml")


report: "workflow/report/workflow.rst"


include: "workflow/rules/common.smk"
include: "workflow/rules/fetch.smk"
include: "workflow/rules/knn.smk"
include: "workflow/rules/embed.smk"
include: "workflow/rules/compare.smk"
include: "workflow/rules/metrics.smk"
include: "workflow/rules/atlas.smk"
include: "workflow/rules/verify.smk"
include: "workflow/rules/claims.smk"
include: "workflow/rules/timing.smk"


# What these have to say is for the terminal, wherever the other jobs run.
localrules:
    claims,
    timing,
    verify,


rule all:
    input:
        targets,


onsuccess:
    # Said when Snakemake itself has nothing more to say, so that it is the last line.
    atexit.register(say_where_to_look)
