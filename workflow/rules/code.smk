# Takes the scripts and the package; makes the code of each rule a param, and so a part of its results' key.
import json
import os
from functools import cache

from snakemake.sourcecache import GenericSourceFile, LocalGitFile, LocalSourceFile
from umap_sweep import code


@cache
def digest_of(script):
    """Found where a run is planned; the processes of Snakemake that its jobs start inherit it, because it takes a while."""
    name = f"UMAP_SWEEP_CODE_OF_{script}"
    if workflow.is_main_process or name not in os.environ:
        os.environ[name] = json.dumps(code.of_script(workflow.source_path(f"../../scripts/{script}.py")))
    return json.loads(os.environ[name])


def code_of(script):
    """The digest of a script and of the modules that it uses, and the versions of the libraries they compute with."""

    def code(wildcards):
        return digest_of(script)

    return code


def todays_code(wildcards):
    """The digest of each stage's code, to tell its files from those that other code has made."""
    stages = ("rows", "knn", "graph", "initial_layout", "layout", "embedding")
    scripts = {"data": "fetch", **{stage: stage for stage in stages}}
    return {stage: digest_of(script)["digest"] for stage, script in scripts.items()}


def leave_scripts_to_digests():
    """Keep Snakemake from running a job again because its script is newer than its results.

    A checkout or a copy makes scripts newer and changes no result; a change that does is in the params. Snakemake looks
    at the time of local scripts alone, so it is told that those of these rules may be anywhere.
    """
    folder = workflow.current_basedir.join("rules")
    for one in workflow.rules:
        if one.script and one.basedir == folder:
            if isinstance(folder, LocalSourceFile):
                one.basedir = GenericSourceFile(folder.get_path_or_uri(secret_free=True))
            elif isinstance(folder, LocalGitFile):
                # Snakemake 9.27 cannot join the path of a script to a folder in a local repository.
                one.script = folder.join(one.script).get_path_or_uri(secret_free=True)
