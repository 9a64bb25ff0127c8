# Takes data, k-NN and embeddings; makes metrics, comparisons of cells, the short list, and their figures.


rule features:
    """Tell which features decide the distances, and which columns and rows repeat others."""
    input:
        data=checked(DATA_FILE),
    output:
        parquet="results/{dataset}/features.parquet",
        csv=report(
            "results/{dataset}/features.csv",
            caption="../report/features_table.rst",
            category="Data",
            labels={"table": "features", "dataset": "{dataset}"},
        ),
    log:
        "results/{dataset}/logs/features.log",
    benchmark:
        "results/{dataset}/benchmarks/features.tsv"
    conda:
        "../../envs/umap-sweep.yaml"
    resources:
        mem_mb=memory_of("high_dimensional"),
        runtime=minutes_of("high_dimensional"),
    params:
        code=code_of("features", "data"),
        metric=SETTINGS["knn"]["metric"],
        metric_kwds=SETTINGS["umap"]["metric_kwds"],
        seed=SETTINGS["metrics"]["seed"],
        cpu=SETTINGS["cpu"],
    script:
        "../../scripts/features.py"


rule high_dimensional:
    """Choose the rows, pairs and triplets that cells are measured on."""
    input:
        data=checked(REFERENCE_FILE),
    output:
        sample=f"{HIGH_DIMENSIONAL_FOLDER}/sample.parquet",
        ranks=f"{HIGH_DIMENSIONAL_FOLDER}/ranks.parquet",
        pairs=f"{HIGH_DIMENSIONAL_FOLDER}/pairs.parquet",
        triplets=f"{HIGH_DIMENSIONAL_FOLDER}/triplets.parquet",
    log:
        "results/{dataset}/logs/high_dimensional/metric={metric}.log",
    benchmark:
        "results/{dataset}/benchmarks/high_dimensional/metric={metric}.tsv"
    priority: first_after_layouts
    conda:
        "../../envs/umap-sweep.yaml"
    resources:
        mem_mb=memory_of("high_dimensional"),
        runtime=minutes_of("high_dimensional"),
    params:
        code=code_of("high_dimensional", FEATURES if REFERENCE in STEPS else "data", preparations=[REFERENCE]),
        metrics=SETTINGS["metrics"],
        metric_kwds=SETTINGS["umap"]["metric_kwds"],
        cpu=SETTINGS["cpu"],
    script:
        "../../scripts/high_dimensional.py"


rule cell_metrics:
    """Measure all cells of one row of the grid."""
    input:
        layouts=layouts_of,
        knn=KNN_FILE,
        edges=EDGES_FILE,
        sample=f"{HIGH_DIMENSIONAL_FOLDER}/sample.parquet",
        ranks=f"{HIGH_DIMENSIONAL_FOLDER}/ranks.parquet",
        pairs=f"{HIGH_DIMENSIONAL_FOLDER}/pairs.parquet",
        triplets=f"{HIGH_DIMENSIONAL_FOLDER}/triplets.parquet",
    output:
        points=POINTS_FILE,
        neighbors=NEIGHBORS_FILE,
        metrics=CELL_METRICS_FILE,
        contributions=CONTRIBUTIONS_FILE,
    log:
        f"results/{{dataset}}/logs/metrics/{GRID_ROW}.log",
    benchmark:
        f"results/{{dataset}}/benchmarks/metrics/{GRID_ROW}.tsv"
    priority: first_after_layouts
    conda:
        "../../envs/umap-sweep.yaml"
    resources:
        mem_mb=memory_of("cell_metrics"),
        runtime=minutes_of("cell_metrics"),
    params:
        code=code_of("cell_metrics", "layout", "knn", "graph", "high_dimensional"),
        cell_keys=keys_of,
        umap=only("spread"),
    script:
        "../../scripts/cell_metrics.py"


rule annotation_metrics:
    """Measure the labels and annotations in all cells."""
    input:
        layouts=layouts,
        neighbors=neighbors,
        rows=ROWS_FILE.format(dataset=DATASET),
        knn=knn_of_cells,
        sample=sample_of_cells,
    output:
        labels=f"results/{DATASET}/label_metrics/metrics.parquet",
        parquet=f"results/{DATASET}/annotations.parquet",
        csv=report(
            f"results/{DATASET}/annotations.csv",
            caption="../report/annotations_table.rst",
            category="Which cell",
            labels={"table": "annotations", "dataset": DATASET},
        ),
    log:
        f"results/{DATASET}/logs/annotation_metrics.log",
    benchmark:
        f"results/{DATASET}/benchmarks/annotation_metrics.tsv"
    priority: first_after_layouts
    conda:
        "../../envs/umap-sweep.yaml"
    resources:
        mem_mb=memory_of("cell_metrics"),
        runtime=minutes_of("cell_metrics"),
    params:
        code=code_of("annotation_metrics", "layout", "cell_metrics", "rows", "knn", "high_dimensional"),
        cell_keys=embedding_keys,
        label_kind=SETTINGS["plot"]["label_kind"],
        umap=only("target", "target_metric"),
    script:
        "../../scripts/annotation_metrics.py"


rule metrics:
    """Join the metrics of all cells, and what their layouts cost."""
    input:
        metrics=cell_metrics,
        label_metrics=f"results/{DATASET}/label_metrics/metrics.parquet",
        costs=costs,
    output:
        parquet=f"results/{DATASET}/metrics.parquet",
        csv=report(
            f"results/{DATASET}/metrics.csv",
            caption="../report/metrics_table.rst",
            category="Which cell",
            labels={"table": "metrics", "dataset": DATASET},
        ),
    log:
        f"results/{DATASET}/logs/metrics.log",
    benchmark:
        f"results/{DATASET}/benchmarks/metrics.tsv"
    conda:
        "../../envs/umap-sweep.yaml"
    resources:
        mem_mb=memory_of("metrics"),
        runtime=minutes_of("metrics"),
    params:
        code=code_of("metrics", "cell_metrics", "annotation_metrics"),
        cell_keys=embedding_keys,
    script:
        "../../scripts/metrics.py"


rule neighboring_cells:
    """Compare every cell with the next one along n_neighbors and along min_dist."""
    input:
        layouts=layouts,
        neighbors=neighbors,
    output:
        parquet=f"results/{DATASET}/neighboring_cells.parquet",
        csv=report(
            f"results/{DATASET}/neighboring_cells.csv",
            caption="../report/changes_table.rst",
            category="Stability",
            labels={"table": "from cell to cell", "dataset": DATASET},
        ),
    log:
        f"results/{DATASET}/logs/neighboring_cells.log",
    benchmark:
        f"results/{DATASET}/benchmarks/neighboring_cells.tsv"
    conda:
        "../../envs/umap-sweep.yaml"
    resources:
        mem_mb=memory_of("neighboring_cells"),
        runtime=minutes_of("neighboring_cells"),
    params:
        code=code_of("neighboring_cells", "layout", "cell_metrics"),
        cell_keys=embedding_keys,
    script:
        "../../scripts/neighboring_cells.py"


rule seed_pairs:
    """Compare the seeds of one n_neighbors and min_dist, two by two."""
    input:
        layouts=layouts_of,
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
    resources:
        mem_mb=memory_of("seed_pairs"),
        runtime=minutes_of("seed_pairs"),
    params:
        code=code_of("seed_pairs", "layout", "cell_metrics"),
        cell_keys=keys_of,
    script:
        "../../scripts/seed_pairs.py"


rule stability:
    """Join the comparisons of seeds into one table."""
    input:
        seed_pairs,
    output:
        parquet=f"results/{DATASET}/stability.parquet",
        csv=report(
            f"results/{DATASET}/stability.csv",
            caption="../report/stability_table.rst",
            category="Stability",
            labels={"table": "from seed to seed", "dataset": DATASET},
        ),
    log:
        f"results/{DATASET}/logs/stability.log",
    benchmark:
        f"results/{DATASET}/benchmarks/stability.tsv"
    conda:
        "../../envs/umap-sweep.yaml"
    resources:
        mem_mb=memory_of("stability"),
        runtime=minutes_of("stability"),
    params:
        code=code_of("stability", "seed_pairs"),
    script:
        "../../scripts/stability.py"


rule comparisons:
    """Compare the settings two by two, on the same rows, triplets and seeds."""
    input:
        unpack(measured),
        contributions=contributions,
    output:
        parquet=f"results/{DATASET}/comparisons.parquet",
        csv=report(
            f"results/{DATASET}/comparisons.csv",
            caption="../report/comparisons_table.rst",
            category="Which cell",
            labels={"table": "comparisons", "dataset": DATASET},
        ),
    log:
        f"results/{DATASET}/logs/comparisons.log",
    benchmark:
        f"results/{DATASET}/benchmarks/comparisons.tsv"
    conda:
        "../../envs/umap-sweep.yaml"
    resources:
        mem_mb=memory_of("shortlist", seeds=CELLS.seeds_of_a_setting, settings=CELLS.number_of_settings),
        runtime=minutes_of("shortlist"),
    params:
        code=code_of("comparisons", "metrics", "stability", "cell_metrics"),
    script:
        "../../scripts/comparisons.py"


rule shortlist:
    """List the settings that no other beats beyond the noise."""
    input:
        unpack(compared),
    output:
        parquet=f"results/{DATASET}/shortlist.parquet",
        csv=report(
            f"results/{DATASET}/shortlist.csv",
            caption="../report/shortlist.rst",
            category="Which cell",
            labels={"table": "short list", "dataset": DATASET},
        ),
    log:
        f"results/{DATASET}/logs/shortlist.log",
    benchmark:
        f"results/{DATASET}/benchmarks/shortlist.tsv"
    conda:
        "../../envs/umap-sweep.yaml"
    resources:
        mem_mb=memory_of("shortlist", settings=CELLS.number_of_settings),
        runtime=minutes_of("shortlist"),
    params:
        code=code_of("shortlist", "metrics", "stability", "comparisons"),
        worth=SETTINGS["choose"]["worth"],
    script:
        "../../scripts/shortlist.py"


rule plot_features:
    """Draw which features decide the distances."""
    input:
        features="results/{dataset}/features.parquet",
    output:
        png=report(
            "results/{dataset}/plots/features.png",
            caption="../report/features.rst",
            category="Data",
            labels={"figure": "features", "dataset": "{dataset}"},
        ),
        vector=f"results/{{dataset}}/plots/features.{SETTINGS['plot']['vector_format']}",
    log:
        "results/{dataset}/logs/plots/features.log",
    benchmark:
        "results/{dataset}/benchmarks/plots/features.tsv"
    conda:
        "../../envs/umap-sweep.yaml"
    resources:
        mem_mb=memory_of("plot_stability"),
        runtime=minutes_of("plot_stability"),
    params:
        code=code_of("plot_features", "features"),
        dataset="{dataset}",
        dpi=SETTINGS["plot"]["dpi"],
    script:
        "../../scripts/plot_features.py"


rule plot_metrics:
    """Draw the metrics of all cells as heatmaps."""
    input:
        metrics=f"results/{DATASET}/metrics.parquet",
        shortlist=f"results/{DATASET}/shortlist.parquet",
    output:
        png=report(
            f"results/{DATASET}/plots/metrics.png",
            caption="../report/metrics.rst",
            category="Which cell",
            labels={"figure": "metrics", "dataset": DATASET},
        ),
        vector=f"results/{DATASET}/plots/metrics.{SETTINGS['plot']['vector_format']}",
    log:
        f"results/{DATASET}/logs/plots/metrics.log",
    benchmark:
        f"results/{DATASET}/benchmarks/plots/metrics.tsv"
    conda:
        "../../envs/umap-sweep.yaml"
    resources:
        mem_mb=memory_of("plot_metrics"),
        runtime=minutes_of("plot_metrics"),
    params:
        code=code_of("plot_metrics", "metrics", "shortlist"),
        plot=plot_settings,
        dataset=DATASET,
    script:
        "../../scripts/plot_metrics.py"


rule plot_comparisons:
    """Draw which settings can be told apart, by each criterion."""
    input:
        unpack(compared),
        shortlist=f"results/{DATASET}/shortlist.parquet",
    output:
        png=report(
            f"results/{DATASET}/plots/comparisons.png",
            caption="../report/comparisons.rst",
            category="Which cell",
            labels={"figure": "what can be told apart", "dataset": DATASET},
        ),
        vector=f"results/{DATASET}/plots/comparisons.{SETTINGS['plot']['vector_format']}",
    log:
        f"results/{DATASET}/logs/plots/comparisons.log",
    benchmark:
        f"results/{DATASET}/benchmarks/plots/comparisons.tsv"
    conda:
        "../../envs/umap-sweep.yaml"
    resources:
        mem_mb=memory_of("plot_metrics", settings=CELLS.number_of_settings),
        runtime=minutes_of("plot_metrics"),
    params:
        code=code_of("plot_comparisons", "metrics", "stability", "comparisons", "shortlist"),
        plot=plot_settings,
        dataset=DATASET,
    script:
        "../../scripts/plot_comparisons.py"


rule plot_changes:
    """Draw what changes from cell to cell and from seed to seed."""
    input:
        unpack(changes),
    output:
        png=report(
            f"results/{DATASET}/plots/changes.png",
            caption="../report/changes.rst",
            category="Stability",
            labels={"figure": "from cell to cell", "dataset": DATASET},
        ),
        vector=f"results/{DATASET}/plots/changes.{SETTINGS['plot']['vector_format']}",
    log:
        f"results/{DATASET}/logs/plots/changes.log",
    benchmark:
        f"results/{DATASET}/benchmarks/plots/changes.tsv"
    conda:
        "../../envs/umap-sweep.yaml"
    resources:
        mem_mb=memory_of("plot_changes"),
        runtime=minutes_of("plot_changes"),
    params:
        code=code_of("plot_changes", "neighboring_cells", "stability"),
        plot=plot_settings,
        dataset=DATASET,
    script:
        "../../scripts/plot_changes.py"


rule plot_stability:
    """Draw how much other seeds change each cell."""
    input:
        stability=f"results/{DATASET}/stability.parquet",
    output:
        png=report(
            f"results/{DATASET}/plots/stability.png",
            caption="../report/stability.rst",
            category="Stability",
            labels={"figure": "from seed to seed", "dataset": DATASET},
        ),
        vector=f"results/{DATASET}/plots/stability.{SETTINGS['plot']['vector_format']}",
    log:
        f"results/{DATASET}/logs/plots/stability.log",
    benchmark:
        f"results/{DATASET}/benchmarks/plots/stability.tsv"
    conda:
        "../../envs/umap-sweep.yaml"
    resources:
        mem_mb=memory_of("plot_stability"),
        runtime=minutes_of("plot_stability"),
    params:
        code=code_of("plot_stability", "stability"),
        plot=plot_settings,
        dataset=DATASET,
    script:
        "../../scripts/plot_stability.py"


rule plot_instability:
    """Draw which points other seeds move."""
    input:
        sweep=f"results/{DATASET}/sweep.parquet",
        points=stability_points,
    output:
        png=report(
            f"results/{DATASET}/plots/instability.png",
            caption="../report/instability.rst",
            category="Stability",
            labels={"figure": "which points move", "dataset": DATASET},
        ),
        vector=f"results/{DATASET}/plots/instability.{SETTINGS['plot']['vector_format']}",
    log:
        f"results/{DATASET}/logs/plots/instability.log",
    benchmark:
        f"results/{DATASET}/benchmarks/plots/instability.tsv"
    conda:
        "../../envs/umap-sweep.yaml"
    resources:
        mem_mb=memory_of("plot_instability"),
        runtime=minutes_of("plot_instability"),
    params:
        code=code_of("plot_instability", "sweep", "seed_pairs"),
        plot=plot_settings,
        dataset=DATASET,
        cells=CELLS.seeded(),
        knn_seed=CELLS.seeds_drawn()[0],
        seed=CELLS.seeds_drawn()[1],
        method=SETTINGS["knn"]["method"],
    script:
        "../../scripts/plot_instability.py"
