# Snakemake lets no rule with a benchmark take its result from the cache between workflows, so each of the two that may
# is there with and without one.
rule cached_fetch:
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
        dataset="{dataset}",
        source=source,
        provenance=provenance,
    script:
        "../../scripts/fetch.py"


use rule cached_fetch as fetch with:
    benchmark:
        "results/{dataset}/benchmarks/fetch.tsv"


if CACHED:

    ruleorder: cached_fetch > fetch

else:

    ruleorder: fetch > cached_fetch
