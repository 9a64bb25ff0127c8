rule knn:
    input:
        data=DATA_FILE,
        imported=imported_knn,
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
        neighbors_key=SETTINGS["knn"].get("neighbors_key"),
        held=HELD,
    script:
        "../../scripts/knn.py"
