"""Fine-tunes a preset, made to be killed or to run on several devices.

python finetune_worker.py PRESET DATA OUT REPLICAS [OPTION=VALUE ...]
"""

import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent.parent))

from keras_unrolled.finetuning.run import finetune

if __name__ == "__main__":
    preset, data, out, replicas, *options = sys.argv[1:]
    pairs = (option.split("=") for option in options)
    options = {name: json.loads(value) for name, value in pairs}
    result = finetune(preset, data, out, replicas=int(replicas), **options)
    print(json.dumps(result))
