rule fetch:
    input:
        source_file,
    output:
        DATA_FILE,
    log:
        "results/{dataset}/logs/fetch.log",
    benchmark:
        "results/{dataset}/benchmarks/fetch.tsv"
    conda:
        "../../envs/umap-sweep.yaml"
    params:
        dataset="{dataset}",
        source=source,
        download="results/{dataset}/data/download",
    script:
        "../../scripts/fetch.py"
