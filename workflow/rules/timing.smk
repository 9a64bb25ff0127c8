# Takes a data set; makes the comparison of umap-learn's time with this pipeline's: `timing.parquet` and its figure.
#
# The arms take all cores, so that they run one after the other and nothing beside them.
rule timing_arm:
    """Time one way of running the grid, stage by stage."""
    input:
        data=checked(DATA_FILE),
    output:
        "results/{dataset}/timing/{arm}.parquet",
    log:
        "results/{dataset}/logs/timing/{arm}.log",
    benchmark:
        "results/{dataset}/benchmarks/timing/{arm}.tsv"
    conda:
        "../../envs/umap-sweep.yaml"
    threads: workflow.resource_settings.cores or os.cpu_count()
    resources:
        mem_mb=doubling(8000),
        runtime=doubling(24 * 60),
    params:
        code=code_of("timing_arm", "data"),
        fits=timed(TIMED_CELLS),
        cells=timed(CELLS.table),
        settings={name: SETTINGS[name] for name in ("knn", "umap", "cpu", "blas_threads")},
        snakefile=own_snakefile,
    script:
        "../../scripts/timing_arm.py"


rule join_timing:
    """Join the timed arms into one table."""
    input:
        timing_arms,
    output:
        parquet="results/{dataset}/timing.parquet",
        csv=report(
            "results/{dataset}/timing.csv",
            caption="../report/timing_table.rst",
            category="Speed",
            labels={"table": "timing", "dataset": "{dataset}"},
        ),
    log:
        "results/{dataset}/logs/join_timing.log",
    benchmark:
        "results/{dataset}/benchmarks/join_timing.tsv"
    conda:
        "../../envs/umap-sweep.yaml"
    resources:
        mem_mb=doubling(1000),
        runtime=doubling(30),
    params:
        code=code_of("join_timing", "timing_arm"),
    script:
        "../../scripts/join_timing.py"


rule plot_timing:
    """Draw the timed stages as bars."""
    input:
        "results/{dataset}/timing.parquet",
    output:
        png=report(
            "results/{dataset}/plots/timing.png",
            caption="../report/timing.rst",
            category="Speed",
            labels={"figure": "timing", "dataset": "{dataset}"},
        ),
        vector=f"results/{{dataset}}/plots/timing.{SETTINGS['plot']['vector_format']}",
    log:
        "results/{dataset}/logs/plots/timing.log",
    benchmark:
        "results/{dataset}/benchmarks/plots/timing.tsv"
    conda:
        "../../envs/umap-sweep.yaml"
    resources:
        mem_mb=doubling(1000),
        runtime=doubling(30),
    params:
        code=code_of("plot_timing", "join_timing"),
        dataset="{dataset}",
        dpi=SETTINGS["plot"]["dpi"],
    script:
        "../../scripts/plot_timing.py"


# It has no output, so it says its piece every time.
rule timing:
    """Time the grid by umap-learn and here, stage by stage."""
    input:
        timing=f"results/{DATASET}/timing.parquet",
        plot=f"results/{DATASET}/plots/timing.png",
    log:
        f"results/{DATASET}/logs/timing.log",
    conda:
        "../../envs/umap-sweep.yaml"
    resources:
        mem_mb=doubling(1000),
        runtime=doubling(30),
    params:
        code=code_of("timing", "join_timing"),
        dataset=DATASET,
    script:
        "../../scripts/timing.py"
