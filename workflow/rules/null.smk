# Takes what cells of the sweep and of its null are measured by; makes `null.parquet`, `trust.parquet` and the figure.


rule null:
    """Hold metrics and points of the sweep against those of permuted data."""
    input:
        metrics=f"results/{DATASET}/metrics.parquet",
        points=of_cells(POINTS_FILE, CELLS.table),
        contributions=contributions,
        data=null_data,
        null_metrics=of_nulls(CELL_METRICS_FILE),
        null_points=of_nulls(POINTS_FILE),
        null_contributions=of_nulls(CONTRIBUTIONS_FILE),
    output:
        trust=of_cells(TRUST_FILE, CELLS.table),
        parquet=f"results/{DATASET}/null.parquet",
        csv=report(
            f"results/{DATASET}/null.csv",
            caption="../report/null_table.rst",
            category="Which cell",
            labels={"table": "against the null", "dataset": DATASET},
        ),
    log:
        f"results/{DATASET}/logs/null.log",
    benchmark:
        f"results/{DATASET}/benchmarks/null.tsv"
    conda:
        "../../envs/umap-sweep.yaml"
    resources:
        mem_mb=memory_of("sweep"),
        runtime=minutes_of("sweep"),
    params:
        code=code_of("null", "metrics", "cell_metrics", "data"),
    script:
        "../../scripts/null.py"


rule plot_null:
    """Draw each metric of the sweep beside what it is on permuted data."""
    input:
        null=f"results/{DATASET}/null.parquet",
    output:
        png=report(
            f"results/{DATASET}/plots/null.png",
            caption="../report/null.rst",
            category="Which cell",
            labels={"figure": "against the null", "dataset": DATASET},
        ),
        vector=f"results/{DATASET}/plots/null.{SETTINGS['plot']['vector_format']}",
    log:
        f"results/{DATASET}/logs/plots/null.log",
    benchmark:
        f"results/{DATASET}/benchmarks/plots/null.tsv"
    conda:
        "../../envs/umap-sweep.yaml"
    resources:
        mem_mb=memory_of("plot_stability"),
        runtime=minutes_of("plot_stability"),
    params:
        code=code_of("plot_null", "null"),
        plot=plot_settings,
        dataset=DATASET,
    script:
        "../../scripts/plot_null.py"
