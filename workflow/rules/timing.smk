# The arms take all cores, so that they run one after the other and nothing beside them.
rule timing_arm:
    input:
        data=DATA_FILE,
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
        fits=timed(TIMED_CELLS),
        cells=timed(CELLS.dataframe),
        settings={name: SETTINGS[name] for name in ("knn", "umap", "cpu", "blas_threads")},
    script:
        "../../scripts/timing_arm.py"


rule join_timing:
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
    script:
        "../../scripts/join_timing.py"


rule plot_timing:
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
        dataset="{dataset}",
        dpi=SETTINGS["plot"]["dpi"],
    script:
        "../../scripts/plot_timing.py"


# It has no output, so it says its piece every time.
rule timing:
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
        dataset=DATASET,
    script:
        "../../scripts/timing.py"
