# Takes a source of data; makes `data.parquet`, the features as float32, and `rows.parquet`, what describes their rows.
#
# Snakemake lets no rule with a benchmark take its result from the cache between workflows, so each of the two that may
# is there with and without one.
rule cached_fetch:
    """Read the features of a data set, and store them; from the cache between workflows where they are there."""
    input:
        unpack(source_of_features),
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
        origin=origin,
        source=source_as_it_is,
        parent=parent,
        provenance=provenance,
    script:
        "../../scripts/fetch.py"


use rule cached_fetch as fetch with:
    """Read the features of a data set, and store them."""
    benchmark:
        "results/{dataset}/benchmarks/fetch.tsv"


if CACHED:

    ruleorder: cached_fetch > fetch

else:

    ruleorder: fetch > cached_fetch


rule rows:
    """Read ids, label and annotations of the rows, and store them. Nothing that UMAP sees is among them."""
    input:
        data=checked(DATA_FILE),
        source=source_file,
        parent=parent_files,
        annotations=annotation_files,
    output:
        ROWS_FILE,
    log:
        "results/{dataset}/logs/rows.log",
    benchmark:
        "results/{dataset}/benchmarks/rows.tsv"
    priority: before_all_else
    conda:
        "../../envs/umap-sweep.yaml"
    resources:
        mem_mb=fetch_mem_mb,
        runtime=doubling(60),
    params:
        code=code_of("rows", "data"),
        source=source,
        parent=parent,
        target=target_of_sweep,
    script:
        "../../scripts/rows.py"
