rule knn:
    input:
        data=DATA_FILE,
    output:
        KNN_FILE,
    log:
        f"results/{{dataset}}/logs/knn/metric={{metric}}/{KNN}.log",
    benchmark:
        f"results/{{dataset}}/benchmarks/knn/metric={{metric}}/{KNN}.tsv"
    conda:
        "../../envs/umap-sweep.yaml"
    threads: SETTINGS["knn"]["n_jobs"]
    resources:
        mem_mb=memory_of("knn"),
        runtime=minutes_of("knn"),
    params:
        method=SETTINGS["knn"]["method"],
        metric_kwds=SETTINGS["umap"]["metric_kwds"],
        held=HELD,
    script:
        "../../scripts/knn.py"
