from snakemake.utils import min_version

min_version("9.0")


configfile: workflow.source_path("config.yaml")


include: "workflow/rules/common.smk"
include: "workflow/rules/fetch.smk"
include: "workflow/rules/knn.smk"
include: "workflow/rules/embed.smk"
include: "workflow/rules/compare.smk"


rule all:
    default_target: True
    input:
        targets,


onsuccess:
    print(where_to_look())
