# Wildcards are repeated in the params, because they are not in the key of the cache between workflows.
rule cached_knn:
    input:
        data=DATA_FILE,
    output:
        KNN_FILE,
    log:
        f"results/{{dataset}}/logs/knn/metric={{metric}}/{KNN}.log",
    cache: CACHED
    conda:
        "../../envs/umap-sweep.yaml"
    threads: SETTINGS["knn"]["n_jobs"]
    params:
        metric="{metric}",
        k="{knn_k}",
        seed="{knn_seed}",
        n_jobs="{knn_jobs}",
        method=SETTINGS["knn"]["method"],
        metric_kwds=SETTINGS["umap"]["metric_kwds"],
        held=HELD,
        versions=VERSIONS,
        provenance=provenance,
    script:
        "../../scripts/knn.py"


use rule cached_knn as knn with:
    benchmark:
        f"results/{{dataset}}/benchmarks/knn/metric={{metric}}/{KNN}.tsv"


if CACHED:

    ruleorder: cached_knn > knn

else:

    ruleorder: knn > cached_knn
