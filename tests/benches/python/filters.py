"""Times the causal band-pass of SciPy and BrainFlow. Arguments: file of f64 (channels x samples),
channels, rate, block, order, passes, low, high. Prints seconds (best of the passes) as JSON."""

import json
import sys
from time import perf_counter

import numpy as np
from brainflow.data_filter import DataFilter, FilterTypes
from scipy import signal

path = sys.argv[1]
channels, rate, block, order, passes = (int(text) for text in sys.argv[2:7])
low, high = (float(text) for text in sys.argv[7:9])
data = np.fromfile(path, dtype="<f8").reshape(channels, -1)
samples = data.shape[1]
# Cut beforehand, so that cutting is not counted.
blocks = [np.ascontiguousarray(data[:, at : at + block]) for at in range(0, samples, block)]
sos = signal.butter(order, [low, high], "bandpass", fs=rate, output="sos")
BUTTERWORTH = FilterTypes.BUTTERWORTH.value


def scipy_blocks():
    state = np.zeros((sos.shape[0], channels, 2))
    filtered = []
    begun = perf_counter()
    for part in blocks:
        out, state = signal.sosfilt(sos, part, zi=state)
        filtered.append(out)
    return perf_counter() - begun, filtered


def scipy_whole():
    begun = perf_counter()
    signal.sosfilt(sos, data)
    return perf_counter() - begun


def brainflow(parts):
    rows = [[np.array(row) for row in part] for part in parts]
    begun = perf_counter()
    for part in rows:
        for row in part:
            DataFilter.perform_bandpass(row, rate, low, high, order, BUTTERWORTH, 0.0)
    return perf_counter() - begun


blocks_s, filtered = min((scipy_blocks() for _ in range(passes)), key=lambda timed: timed[0])
print(
    json.dumps(
        {
            "scipy_blocks_s": blocks_s,
            "scipy_power": float(sum(np.square(part).sum() for part in filtered)),
            "scipy_whole_s": min(scipy_whole() for _ in range(passes)),
            "brainflow_blocks_s": min(brainflow(blocks) for _ in range(passes)),
            "brainflow_whole_s": min(brainflow([data]) for _ in range(passes)),
        }
    )
)
