"""Times Welch's method in SciPy and BrainFlow. Arguments: file of f64 (channels x samples), channels,
rate, segment, overlap, passes. Prints seconds (best of the passes) as JSON."""

import json
import sys
from time import perf_counter

import numpy as np
from brainflow.data_filter import DataFilter, WindowOperations
from scipy import signal

path = sys.argv[1]
channels, rate, segment, overlap, passes = (int(text) for text in sys.argv[2:7])
data = np.fromfile(path, dtype="<f8").reshape(channels, -1)
HANN = WindowOperations.HANNING.value


def scipy():
    begun = perf_counter()
    spectra = signal.welch(data, fs=rate, window="hann", nperseg=segment, noverlap=overlap)[1]
    return perf_counter() - begun, spectra


def brainflow():
    rows = [np.array(row) for row in data]
    begun = perf_counter()
    for row in rows:
        DataFilter.get_psd_welch(row, segment, overlap, rate, HANN)
    return perf_counter() - begun


scipy_s, spectra = min((scipy() for _ in range(passes)), key=lambda timed: timed[0])
print(
    json.dumps(
        {
            "scipy_s": scipy_s,
            "scipy_power": float(spectra.sum()),
            "brainflow_s": min(brainflow() for _ in range(passes)),
        }
    )
)
