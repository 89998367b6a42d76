"""Native threads are capped before numpy is imported: two busy OpenMP threads on a loaded machine spin for minutes."""

import os

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(name, "1")
