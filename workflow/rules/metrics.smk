rule high_dimensional:
    input:
        data=DATA_FILE,
    output:
        sample=f"{HIGH_DIMENSIONAL_FOLDER}/sample.parquet",
        ranks=f"{HIGH_DIMENSIONAL_FOLDER}/ranks.parquet",
        pairs=f"{HIGH_DIMENSIONAL_FOLDER}/pairs.parquet",
    log:
        "results/{dataset}/logs/high_dimensional/metric={metric}.log",
    benchmark:
        "results/{dataset}/benchmarks/high_dimensional/metric={metric}.tsv"
    conda:
        "../../envs/umap-sweep.yaml"
    params:
        metrics=SETTINGS["metrics"],
        metric_kwds=SETTINGS["umap"]["metric_kwds"],
        cpu=SETTINGS["cpu"],
    script:
        "../../scripts/high_dimensional.py"


rule cell_metrics:
    input:
        embedding=EMBEDDING_FILE,
        knn=KNN_FILE,
        sample=f"{HIGH_DIMENSIONAL_FOLDER}/sample.parquet",
        ranks=f"{HIGH_DIMENSIONAL_FOLDER}/ranks.parquet",
        pairs=f"{HIGH_DIMENSIONAL_FOLDER}/pairs.parquet",
    output:
        points=POINTS_FILE,
        neighbors=NEIGHBORS_FILE,
        metrics=CELL_METRICS_FILE,
    log:
        f"results/{{dataset}}/logs/metrics/{CELLS.wildcard_pattern}.log",
    benchmark:
        f"results/{{dataset}}/benchmarks/metrics/{CELLS.wildcard_pattern}.tsv"
    conda:
        "../../envs/umap-sweep.yaml"
    params:
        key=embedding_key,
        label_kind=SETTINGS["plot"]["label_kind"],
    script:
        "../../scripts/cell_metrics.py"


# Seconds and memory come from Snakemake's own measurement of each layout's job.
rule metrics:
    input:
        metrics=cell_metrics,
        benchmarks=embedding_benchmarks,
    output:
        "results/{dataset}/metrics.parquet",
    log:
        "results/{dataset}/logs/metrics.log",
    benchmark:
        "results/{dataset}/benchmarks/metrics.tsv"
    conda:
        "../../envs/umap-sweep.yaml"
    params:
        cell_keys=embedding_keys,
    script:
        "../../scripts/metrics.py"


rule neighboring_cells:
    input:
        embeddings=embeddings,
        neighbors=neighbors,
    output:
        "results/{dataset}/neighboring_cells.parquet",
    log:
        "results/{dataset}/logs/neighboring_cells.log",
    benchmark:
        "results/{dataset}/benchmarks/neighboring_cells.tsv"
    conda:
        "../../envs/umap-sweep.yaml"
    params:
        cell_keys=embedding_keys,
    script:
        "../../scripts/neighboring_cells.py"


rule seed_pairs:
    input:
        embeddings=embeddings_of_seeds,
        neighbors=neighbors_of_seeds,
    output:
        points=STABILITY_FILE,
        pairs=SEED_PAIRS_FILE,
    log:
        f"results/{{dataset}}/logs/seed_pairs/{SEEDS}.log",
    benchmark:
        f"results/{{dataset}}/benchmarks/seed_pairs/{SEEDS}.tsv"
    conda:
        "../../envs/umap-sweep.yaml"
    params:
        cell_keys=keys_of_seeds,
    script:
        "../../scripts/seed_pairs.py"


rule stability:
    input:
        seed_pairs,
    output:
        "results/{dataset}/stability.parquet",
    log:
        "results/{dataset}/logs/stability.log",
    benchmark:
        "results/{dataset}/benchmarks/stability.tsv"
    conda:
        "../../envs/umap-sweep.yaml"
    script:
        "../../scripts/stability.py"
