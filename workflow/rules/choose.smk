# Takes the cells, and what each look leaves of them; makes the choice, its figure and its page.


checkpoint look:
    """Compare the settings that are left, under the seeds of one look, and drop the beaten."""
    input:
        unpack(evidence),
    output:
        settings=f"{LOOK_FOLDER}/settings.parquet",
        comparisons=f"{LOOK_FOLDER}/comparisons.parquet",
    log:
        f"results/{DATASET}/logs/choose/look={{look}}.log",
    benchmark:
        f"results/{DATASET}/benchmarks/choose/look={{look}}.tsv"
    conda:
        "../../envs/umap-sweep.yaml"
    resources:
        mem_mb=memory_of("seed_pairs", seeds=len(LOOKS[-1])),
        runtime=minutes_of("seed_pairs"),
    params:
        code=code_of("look", "cell_metrics", "look"),
        cell_keys=keys_of_look,
        settings=len(first_cells()),
        is_last=is_last_look,
        worth=SETTINGS["choose"]["worth"],
    script:
        "../../scripts/look.py"


rule choice:
    """Join what all looks found."""
    input:
        unpack(looks_taken),
    output:
        parquet=f"results/{DATASET}/choice.parquet",
        csv=report(
            f"results/{DATASET}/choice.csv",
            caption="../report/choice_table.rst",
            category="Choice",
            labels={"table": "choice", "dataset": DATASET},
        ),
    log:
        f"results/{DATASET}/logs/choice.log",
    benchmark:
        f"results/{DATASET}/benchmarks/choice.tsv"
    conda:
        "../../envs/umap-sweep.yaml"
    resources:
        mem_mb=memory_of("shortlist"),
        runtime=minutes_of("shortlist"),
    params:
        code=code_of("choice", "look"),
    script:
        "../../scripts/choice.py"


rule plot_choice:
    """Draw what was chosen: each listed setting under its first seed, and the criteria of all with their errors."""
    input:
        choice=f"results/{DATASET}/choice.parquet",
        rows=ROWS_FILE.format(dataset=DATASET),
        layouts=first_layouts,
    output:
        png=report(
            f"results/{DATASET}/plots/choice.png",
            caption="../report/choice.rst",
            category="Choice",
            labels={"figure": "choice", "dataset": DATASET},
        ),
        vector=f"results/{DATASET}/plots/choice.{SETTINGS['plot']['vector_format']}",
    log:
        f"results/{DATASET}/logs/plots/choice.log",
    benchmark:
        f"results/{DATASET}/benchmarks/plots/choice.tsv"
    conda:
        "../../envs/umap-sweep.yaml"
    resources:
        mem_mb=memory_of("plot_grid"),
        runtime=minutes_of("plot_grid"),
    params:
        code=code_of("plot_choice", "choice", "rows", "layout"),
        cell_keys=first_keys,
        plot=plot_settings,
        dataset=DATASET,
    script:
        "../../scripts/plot_choice.py"


rule choice_page:
    """Write the page that one can put before a reviewer."""
    input:
        choice=f"results/{DATASET}/choice.parquet",
        png=f"results/{DATASET}/plots/choice.png",
    output:
        report(
            f"results/{DATASET}/choice.html",
            caption="../report/choice.rst",
            category="Choice",
            labels={"page": "choice", "dataset": DATASET},
        ),
    log:
        f"results/{DATASET}/logs/choice_page.log",
    benchmark:
        f"results/{DATASET}/benchmarks/choice_page.tsv"
    conda:
        "../../envs/umap-sweep.yaml"
    resources:
        mem_mb=memory_of("shortlist"),
        runtime=minutes_of("shortlist"),
    params:
        code=code_of("choice_page", "choice"),
        configuration=copied(SETTINGS),
        grid={name: SETTINGS[name] for name in ("grid", "metrics", "choose")},
    script:
        "../../scripts/choice_page.py"


rule choose:
    """Add seeds where they decide, until it is known which settings no other beats."""
    input:
        f"results/{DATASET}/choice.csv",
        f"results/{DATASET}/plots/choice.png",
        f"results/{DATASET}/choice.html",
