import subprocess
import sys

import pytest
import tensorflow as tf

from keras_unrolled import InputError
from tests.conftest import ROOT
from training.strategy import make_strategy


def test_one_device_is_the_default_on_a_machine_without_gpus():
    if tf.config.list_physical_devices("GPU"):
        pytest.skip("this machine has GPUs")
    assert make_strategy() is tf.distribute.get_strategy()
    assert make_strategy(1).num_replicas_in_sync == 1


@pytest.mark.parametrize("replicas", [0, -1, 1.5])
def test_an_impossible_number_of_replicas_is_refused(replicas):
    with pytest.raises(InputError, match="Expected `replicas`"):
        make_strategy(replicas)


def test_the_cpu_is_divided_before_tensorflow_starts_and_not_after():
    code = (
        "from training.strategy import make_strategy\n"
        "print(make_strategy(3).num_replicas_in_sync)\n"
        "print(make_strategy(2).num_replicas_in_sync)\n"  # of the three there are
        "try:\n    make_strategy(4)\nexcept ValueError as error:\n    print(error)\n"
    )
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    three, two, refused = done.stdout.splitlines()
    assert (three, two) == ("3", "2")
    assert "Make the strategy first" in refused
