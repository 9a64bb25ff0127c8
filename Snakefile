import atexit
from copy import deepcopy

from snakemake.utils import min_version

min_version("9.17")  # priorities that are functions

# What the user gave, before it is merged over the defaults.
GIVEN = deepcopy(config)


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
    default_target: True
    input:
        targets,


onsuccess:
    # Said when Snakemake itself has nothing more to say, so that it is the last line.
    atexit.register(say_where_to_look)
