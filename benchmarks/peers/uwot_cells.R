# A grid by uwot, its way of sharing neighbours: one search at the widest n_neighbors, pruned for each cell and handed
# over as nn_method. Run as `Rscript uwot_cells.R FEATURES ROWS SEED CORES BATCH N_NEIGHBORS MIN_DIST`, where the last
# two are comma-separated and FEATURES is a file of float32 in rows.
arguments <- commandArgs(trailingOnly = TRUE)
rows <- as.integer(arguments[2])
seed <- as.integer(arguments[3])
cores <- as.integer(arguments[4])
batch <- arguments[5] == "batch"
n_neighbors <- as.integer(strsplit(arguments[6], ",")[[1]])
min_dist <- as.numeric(strsplit(arguments[7], ",")[[1]])
values <- readBin(arguments[1], "numeric", n = file.size(arguments[1]) / 4, size = 4)
features <- matrix(values, nrow = rows, byrow = TRUE)

set.seed(seed)
nearest <- uwot::umap(
  features, n_neighbors = max(n_neighbors), n_epochs = 0, init = "rand", ret_nn = TRUE,
  n_threads = cores
)$nn$euclidean
for (k in n_neighbors) {
  pruned <- list(idx = nearest$idx[, 1:k], dist = nearest$dist[, 1:k])
  for (m in min_dist) {
    set.seed(seed)
    embedding <- uwot::umap(
      NULL, nn_method = pruned, min_dist = m, n_threads = cores,
      # Several threads without batch give another result every time.
      n_sgd_threads = if (batch) cores else 0, batch = batch
    )
    stopifnot(nrow(embedding) == rows, all(is.finite(embedding)))
    cat(sprintf("n_neighbors %d, min_dist %g: done\n", k, m))
  }
}
cat("version", as.character(packageVersion("uwot")), "\n")
status <- readLines("/proc/self/status")
cat("peak kB", gsub("[^0-9]", "", grep("^VmHWM", status, value = TRUE)), "\n")
