# Takes the data; makes `knn.parquet`: each row's nearest neighbours, for the largest k of the sweep.
#
# Wildcards are repeated in the params, because they are not in the key of the cache between workflows.
rule cached_knn:
    """Compute the k-NN for the largest k, or take one made elsewhere; from the cache between workflows where it is there."""
    input:
        data=checked(FEATURES_FILE),
        imported=imported_knn,
        rows=rows_of_imported_knn,
    output:
        KNN_FILE,
    log:
        f"results/{{dataset}}/logs/knn/{SEARCHED}/{KNN}.log",
    cache: CACHED
    conda:
        "../../envs/umap-sweep.yaml"
    threads: SETTINGS["knn"]["n_jobs"]
    resources:
        mem_mb=memory_of("knn"),
        runtime=minutes_of("knn"),
    params:
        code=code_of("knn", FEATURES),
        metric="{metric}",
        k="{knn_k}",
        seed="{knn_seed}",
        n_jobs="{knn_jobs}",
        method=SETTINGS["knn"]["method"],
        metric_kwds=SETTINGS["umap"]["metric_kwds"],
        neighbors_key=SETTINGS["knn"].get("neighbors_key"),
        held=HELD,
        provenance=provenance,
    script:
        "../../scripts/knn.py"


use rule cached_knn as knn with:
    """Compute the k-NN for the largest k, or take one made elsewhere."""
    benchmark:
        f"results/{{dataset}}/benchmarks/knn/{SEARCHED}/{KNN}.tsv"


if CACHED:

    ruleorder: cached_knn > knn

else:

    ruleorder: knn > cached_knn
