"""Speed against peers, as ratios measured in one run."""

import os

os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")  # as in commands, for ours and the peers
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
