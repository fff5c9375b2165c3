"""nbval runs the notebooks in the smoke profile, in a folder of its own, in the order of their numbers."""

import os
import tempfile

os.environ["NRSED_PROFILE"] = "smoke"
os.environ["NRSED_RESULTS"] = tempfile.mkdtemp(prefix="nrsed-notebooks-")
os.environ["NRSED_KEPT"] = os.path.join(os.environ["NRSED_RESULTS"], "kept")
os.environ["OMP_NUM_THREADS"] = "1"  # tests run beside them, on another core
