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
        code=code_of("embedding", "layout", "rows"),
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
            code=code_of("embedding", "layout", "rows"),
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
        code=code_of("sweep", "layout", "rows"),
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
        code=code_of("export_anndata", "data", "rows", "layout"),
        dataset=DATASET,
        id=SETTINGS["datasets"][DATASET].get("id"),
        cell_keys=embedding_keys,
    script:
        "../../scripts/export_anndata.py"


rule manifest:
    """Write down what was run on what."""
    input:
        stages=stages_and_rows,
        files=finished_files,
    output:
        MANIFEST_FILE,
    log:
        f"results/{DATASET}/logs/manifest.log",
    benchmark:
        f"results/{DATASET}/benchmarks/manifest.tsv"
    conda:
        "../../envs/umap-sweep.yaml"
    resources:
        mem_mb=memory_of("manifest"),
        runtime=minutes_of("manifest"),
    params:
        code=code_of(
            "manifest",
            *(*STORED, "rows", "knn", "graph", "initial_layout", "layout", "embedding"),
            preparations=list(STEPS),
        ),
    script:
        "../../scripts/manifest.py"


# It has no output, so that it always looks, and no input, so that it makes nothing.
rule check:
    """Hold every finished file against the manifest; fail where one is not as it was."""
    log:
        CHECK_LOG,
    conda:
        "../../envs/umap-sweep.yaml"
    resources:
        mem_mb=memory_of("manifest"),
        runtime=minutes_of("manifest"),
    params:
        code=code_of("check"),
        manifest=stored_manifest,
    script:
        "../../scripts/check.py"


# No output and no input, likewise. It gives files other times, after which the next run makes what they do not prove.
rule take_over:
    """Take over results that were moved without their times, as far as their records prove what they are."""
    log:
        f"results/{DATASET}/logs/take_over.log",
    conda:
        "../../envs/umap-sweep.yaml"
    resources:
        mem_mb=memory_of("sweep"),
        runtime=minutes_of("sweep"),
    params:
        code=code_of(
            "take_over",
            *(*STORED, "knn", "graph", "initial_layout", "layout", "high_dimensional", "cell_metrics"),
            preparations=list(STEPS),
        ),
        files=costly_files,
        features_are_stored=features_are_stored,
        benchmarks=benchmarks,
    script:
        "../../scripts/take_over.py"


rule plot_grid:
    """Draw the n_neighbors × min_dist figure."""
    input:
        sweep=f"results/{DATASET}/sweep.parquet",
        rows=rows_of_figure,
    output:
        png=report(
            f"results/{DATASET}/plots/{{figure}}.png",
            caption="../report/grid.rst",
            category="Embeddings",
            labels={"figure": "{figure}", "dataset": DATASET},
        ),
        vector=f"results/{DATASET}/plots/{{figure}}.{SETTINGS['plot']['vector_format']}",
    log:
        f"results/{DATASET}/logs/plots/{{figure}}.log",
    benchmark:
        f"results/{DATASET}/benchmarks/plots/{{figure}}.tsv"
    conda:
        "../../envs/umap-sweep.yaml"
    resources:
        mem_mb=memory_of("plot_grid"),
        runtime=minutes_of("plot_grid"),
    params:
        code=code_of("plot_grid", "sweep", "rows"),
        plot=plot_settings,
        dataset=DATASET,
        metric=SETTINGS["knn"]["metric"],
        knn_seed=figure_knn_seed,
        seed=figure_seed,
        annotation=figure_annotation,
        method=SETTINGS["knn"]["method"],
        umap=only("target", "target_weight", "densmap", "dens_lambda"),
    script:
        "../../scripts/plot_grid.py"
