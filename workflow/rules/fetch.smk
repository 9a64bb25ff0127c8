# Takes a source of data; makes `data.parquet`: ids, labels and features as float32.
#
# Snakemake lets no rule with a benchmark take its result from the cache between workflows, so each of the two that may
# is there with and without one.
rule cached_fetch:
    """Read a data set as its source has it, and store it; from the cache between workflows where it is there."""
    input:
        source_file,
    output:
        DATA_FILE,
    log:
        "results/{dataset}/logs/fetch.log",
    cache: CACHED
    conda:
        "../../envs/umap-sweep.yaml"
    resources:
        mem_mb=fetch_mem_mb,
        runtime=doubling(60),
    params:
        code=code_of("fetch"),
        dataset="{dataset}",
        source=source,
        provenance=provenance,
    script:
        "../../scripts/fetch.py"


use rule cached_fetch as fetch with:
    """Read a data set as its source has it, and store it."""
    benchmark:
        "results/{dataset}/benchmarks/fetch.tsv"


if CACHED:

    ruleorder: cached_fetch > fetch

else:

    ruleorder: fetch > cached_fetch
