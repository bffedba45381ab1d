"""Times the EDF+ writers of edfio and pyedflib. Arguments: file of i16 (channels x samples), channels,
rate, passes, folder, physical minimum, physical maximum. Prints seconds (best) as JSON."""

import json
import os
import sys
from time import perf_counter

import numpy as np
import pyedflib
from edfio import Edf, EdfSignal

path = sys.argv[1]
channels, rate, passes = (int(text) for text in sys.argv[2:5])
folder = sys.argv[5]
physical = (float(sys.argv[6]), float(sys.argv[7]))
data = np.fromfile(path, dtype="<i2").reshape(channels, -1)
# pyedflib takes digital values as 32-bit integers; widening them is not counted.
wide = [np.ascontiguousarray(row, dtype=np.int32) for row in data]
labels = [f"EEG E{index + 1}-Ref" for index in range(channels)]


def target(name):
    file = os.path.join(folder, name)
    if os.path.exists(file):
        os.remove(file)
    return file


def edfio():
    file = target("edfio.edf")
    begun = perf_counter()
    signals = [
        EdfSignal.from_digital(
            row, rate, label=label, physical_dimension="uV", physical_range=physical,
            digital_range=(-32768, 32767),
        )
        for label, row in zip(labels, data)
    ]
    Edf(signals, data_record_duration=1).write(file)
    return perf_counter() - begun


def pyedf():
    file = target("pyedflib.edf")
    headers = [
        {
            "label": label, "dimension": "uV", "sample_frequency": rate,
            "physical_min": physical[0], "physical_max": physical[1],
            "digital_min": -32768, "digital_max": 32767, "transducer": "", "prefilter": "",
        }
        for label in labels
    ]
    begun = perf_counter()
    with pyedflib.EdfWriter(file, channels, file_type=pyedflib.FILETYPE_EDFPLUS) as writer:
        writer.setSignalHeaders(headers)
        writer.writeSamples(wide, digital=True)
    return perf_counter() - begun


print(
    json.dumps(
        {
            "edfio_s": min(edfio() for _ in range(passes)),
            "pyedflib_s": min(pyedf() for _ in range(passes)),
        }
    )
)
