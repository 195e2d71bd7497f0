"""Reports that a person reads: pages of HTML with their tables and figures.

- `html`: the one writer of pages.
- `analysis`: what the blocks of a network do; `inputs` loads the data, `measuring` measures, `experiments`
  says what each measurement asks, the modules `*_findings` what it shows, and `pages` puts it on a page.
- `diagnosis`: how well a classifier does, and what is wrong with the data.
"""

from keras_unrolled.reporting.analysis import analyze

__all__ = ["analyze"]
