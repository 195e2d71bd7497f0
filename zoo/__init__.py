"""The zoo: shipped checkpoints with their records, the sample, and what is built from them."""
