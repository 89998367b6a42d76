"""One file a paper or a claim: ``python -m benchmarks.NAME``. Native threads are capped before NumPy is imported."""

import os

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_name, "1")
