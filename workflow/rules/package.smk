# Takes the installed package; makes sure that it is there, and of the version that this workflow belongs to.


def where_to_install_from():
    """What pip installs the package from: this workflow's own folder, or the repository that it was fetched from."""
    folder = workflow.current_basedir.join("../..")
    if hasattr(folder, "repo_path"):
        return f'"git+file://{folder.repo_path}@{folder.ref}"'
    if hasattr(folder, "repo"):
        return f'"git+{folder.get_path_or_uri(secret_free=True).partition("/" + folder.repo)[0]}/{folder.repo}@{folder.ref}"'
    return folder.get_path_or_uri(secret_free=True)


try:
    from umap_sweep import __version__ as INSTALLED
except ImportError:
    INSTALLED = None

if INSTALLED != VERSION:
    raise WorkflowError(
        f"This workflow needs the Python package umap-sweep {VERSION}, and "
        + (f"{INSTALLED} is installed" if INSTALLED else "it is not installed")
        + f" where Snakemake runs; install it with: python -m pip install {where_to_install_from()}"
    )
