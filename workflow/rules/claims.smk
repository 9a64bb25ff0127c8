# Takes a data set; makes the trial of umap-learn's statements on reproducibility: `claims.parquet` and its figure.
#
# The two processes run side by side: each keeps to one thread but for a moment, and compiles the same code.
rule claim_runs:
    """Run the arms of umap-learn's statements on reproducibility, in one of two processes."""
    input:
        data=checked(DATA_FILE),
        rows=ROWS_FILE,
    output:
        "results/{dataset}/claims/{process}.parquet",
    log:
        "results/{dataset}/logs/claims/{process}.log",
    benchmark:
        "results/{dataset}/benchmarks/claims/{process}.tsv"
    conda:
        "../../envs/umap-sweep.yaml"
    resources:
        mem_mb=doubling(4000),
        runtime=doubling(120),
    params:
        code=code_of("claim_runs", "data", "rows"),
        n_neighbors=SETTINGS["claims"]["n_neighbors"],
    script:
        "../../scripts/claim_runs.py"


rule judge_claims:
    """Judge the statements by what the two processes have computed."""
    input:
        first="results/{dataset}/claims/first.parquet",
        again="results/{dataset}/claims/again.parquet",
    output:
        parquet="results/{dataset}/claims.parquet",
        csv=report(
            "results/{dataset}/claims.csv",
            caption="../report/claims_table.rst",
            category="Reproducibility",
            labels={"table": "claims", "dataset": "{dataset}"},
        ),
    log:
        "results/{dataset}/logs/judge_claims.log",
    benchmark:
        "results/{dataset}/benchmarks/judge_claims.tsv"
    conda:
        "../../envs/umap-sweep.yaml"
    resources:
        mem_mb=doubling(1000),
        runtime=doubling(30),
    params:
        code=code_of("judge_claims", "claim_runs"),
    script:
        "../../scripts/judge_claims.py"


rule plot_claims:
    """Draw the pictures behind the claims."""
    input:
        claims="results/{dataset}/claims.parquet",
        first="results/{dataset}/claims/first.parquet",
        again="results/{dataset}/claims/again.parquet",
    output:
        png=report(
            "results/{dataset}/plots/claims.png",
            caption="../report/claims.rst",
            category="Reproducibility",
            labels={"figure": "claims", "dataset": "{dataset}"},
        ),
        vector=f"results/{{dataset}}/plots/claims.{SETTINGS['plot']['vector_format']}",
    log:
        "results/{dataset}/logs/plots/claims.log",
    benchmark:
        "results/{dataset}/benchmarks/plots/claims.tsv"
    conda:
        "../../envs/umap-sweep.yaml"
    resources:
        mem_mb=doubling(1000),
        runtime=doubling(30),
    params:
        code=code_of("plot_claims", "judge_claims", "claim_runs"),
        dataset="{dataset}",
        plot=plot_settings,
    script:
        "../../scripts/plot_claims.py"


# It has no output, because the table must survive its failure; so it says its piece every time.
rule claims:
    """Try umap-learn's statements on reproducibility on this machine, and fail where one does not hold."""
    input:
        claims=f"results/{SETTINGS['claims']['dataset']}/claims.parquet",
        plot=f"results/{SETTINGS['claims']['dataset']}/plots/claims.png",
    log:
        f"results/{SETTINGS['claims']['dataset']}/logs/claims.log",
    conda:
        "../../envs/umap-sweep.yaml"
    resources:
        mem_mb=doubling(1000),
        runtime=doubling(30),
    params:
        code=code_of("claims", "judge_claims"),
        dataset=SETTINGS["claims"]["dataset"],
    script:
        "../../scripts/claims.py"
