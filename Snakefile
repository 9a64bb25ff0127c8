import atexit
from copy import deepcopy

import yaml
from snakemake.exceptions import WorkflowError
from snakemake.utils import min_version, update_config

min_version("9.17")  # priorities that are functions

# Of the package that this workflow needs, installed in the environment that runs Snakemake.
VERSION = "0.2.0"


include: "workflow/rules/package.smk"


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


include: "workflow/rules/settings.smk"
include: "workflow/rules/code.smk"
include: "workflow/rules/paths.smk"
include: "workflow/rules/inputs.smk"
include: "workflow/rules/resources.smk"
include: "workflow/rules/targets.smk"
include: "workflow/rules/messages.smk"
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
    """The sweep: embeddings, one tidy table, metrics, the short list, figures, the atlas."""
    input:
        targets,


leave_scripts_to_digests()


onsuccess:
    # Said when Snakemake itself has nothing more to say, so that it is the last line.
    atexit.register(say_where_to_look)
