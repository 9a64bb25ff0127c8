# Takes layouts and rows; makes what users read: `embedding.parquet`, `sweep.parquet`, `sweep.h5ad`, `grid.png`.
rule embedding:
    """Write one cell with the ids and labels of its rows."""
    input:
        layouts=[LAYOUT_FILE],
        rows=ROWS_FILE,
    output:
        EMBEDDING_FILE,
    log:
        f"results/{{dataset}}/logs/embeddings/{CELL_FOLDERS}.log",
    benchmark:
        f"results/{{dataset}}/benchmarks/embeddings/{CELL_FOLDERS}.tsv"
    conda:
        "../../envs/umap-sweep.yaml"
    resources:
        mem_mb=memory_of("sweep"),
        runtime=minutes_of("sweep"),
    params:
        code=code_of("embedding"),
        cell_keys=key_of_path,
    script:
        "../../scripts/embedding.py"


# Who asks for one cell, or another workflow, which may take one, gets it without the others.
if not IMPORTED and not asks_for("embedding"):

    rule embeddings:
        """Write all cells of the sweep with the ids and labels of their rows, in one job, because each takes moments."""
        input:
            layouts=layouts,
            rows=ROWS_FILE.format(dataset=DATASET),
        output:
            of_cells(EMBEDDING_FILE, CELLS.table),
        log:
            f"results/{DATASET}/logs/embeddings.log",
        benchmark:
            f"results/{DATASET}/benchmarks/embeddings.tsv"
        conda:
            "../../envs/umap-sweep.yaml"
        resources:
            mem_mb=memory_of("sweep"),
            runtime=minutes_of("sweep"),
        params:
            code=code_of("embedding"),
            cell_keys=embedding_keys,
        script:
            "../../scripts/embedding.py"

    ruleorder: embeddings > embedding


rule sweep:
    """Join all cells into one tidy table."""
    input:
        layouts=layouts,
        rows=ROWS_FILE.format(dataset=DATASET),
    output:
        f"results/{DATASET}/sweep.parquet",
    log:
        f"results/{DATASET}/logs/sweep.log",
    benchmark:
        f"results/{DATASET}/benchmarks/sweep.tsv"
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
        rows=ROWS_FILE.format(dataset=DATASET),
        layouts=layouts,
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
        stages_and_rows,
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
        rows=rows_of_figure,
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
        plot=plot_settings,
        dataset="{dataset}",
        metric=SETTINGS["knn"]["metric"],
        knn_seed=figure_knn_seed,
        seed=figure_seed,
        annotation=figure_annotation,
        method=SETTINGS["knn"]["method"],
    script:
        "../../scripts/plot_grid.py"
