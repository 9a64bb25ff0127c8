# Takes the embeddings; makes what holds them together: `sweep.parquet`, `sweep.h5ad`, `manifest.json`, `grid.png`.


rule sweep:
    """Join all cells into one tidy table."""
    input:
        embeddings=embeddings,
    output:
        "results/{dataset}/sweep.parquet",
    log:
        "results/{dataset}/logs/sweep.log",
    benchmark:
        "results/{dataset}/benchmarks/sweep.tsv"
    conda:
        "../../envs/umap-sweep.yaml"
    resources:
        mem_mb=memory_of("sweep"),
        runtime=minutes_of("sweep"),
    params:
        code=code_of("sweep"),
        today=todays_code,
        cell_keys=embedding_keys,
    script:
        "../../scripts/sweep.py"


rule anndata:
    """Write all cells into one AnnData file. In no other target, because it holds the data once more."""
    input:
        data=DATA_FILE.format(dataset=DATASET),
        embeddings=embeddings,
        own=anndata_file,
    output:
        f"results/{DATASET}/sweep.h5ad",
    log:
        f"results/{DATASET}/logs/anndata.log",
    benchmark:
        f"results/{DATASET}/benchmarks/anndata.tsv"
    conda:
        "../../envs/umap-sweep.yaml"
    resources:
        mem_mb=fetch_mem_mb,
        runtime=doubling(60),
    params:
        code=code_of("export_anndata"),
        dataset=DATASET,
        id=SETTINGS["datasets"][DATASET].get("id"),
        cell_keys=embedding_keys,
    script:
        "../../scripts/export_anndata.py"


rule manifest:
    """Write down what was run on what."""
    input:
        all_stages,
    output:
        "results/{dataset}/manifest.json",
    log:
        "results/{dataset}/logs/manifest.log",
    benchmark:
        "results/{dataset}/benchmarks/manifest.tsv"
    conda:
        "../../envs/umap-sweep.yaml"
    resources:
        mem_mb=memory_of("manifest"),
        runtime=minutes_of("manifest"),
    params:
        code=code_of("manifest"),
        today=todays_code,
    script:
        "../../scripts/manifest.py"


rule plot_grid:
    """Draw the n_neighbors × min_dist figure."""
    input:
        sweep="results/{dataset}/sweep.parquet",
    output:
        png=report(
            "results/{dataset}/plots/{figure}.png",
            caption="../report/grid.rst",
            category="Embeddings",
            labels={"figure": "{figure}", "dataset": "{dataset}"},
        ),
        vector=f"results/{{dataset}}/plots/{{figure}}.{SETTINGS['plot']['vector_format']}",
    log:
        "results/{dataset}/logs/plots/{figure}.log",
    benchmark:
        "results/{dataset}/benchmarks/plots/{figure}.tsv"
    conda:
        "../../envs/umap-sweep.yaml"
    resources:
        mem_mb=memory_of("plot_grid"),
        runtime=minutes_of("plot_grid"),
    params:
        code=code_of("plot_grid"),
        plot=SETTINGS["plot"],
        dataset="{dataset}",
        metric=SETTINGS["knn"]["metric"],
        knn_seed=figure_knn_seed,
        seed=figure_seed,
        method=SETTINGS["knn"]["method"],
    script:
        "../../scripts/plot_grid.py"
