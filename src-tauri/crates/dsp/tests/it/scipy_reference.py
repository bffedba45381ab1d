"""Reference numbers of SciPy for the tests beside this file, as JSON on standard output.

The test runs this where NEURASCALE_PYENV names a Python environment with SciPy, and reads
scipy_reference.json, made by the same program, everywhere. Inputs are made from a linear
congruential generator, so that both sides make the same ones.
"""

import json
import sys

import numpy as np
import scipy
from scipy import signal


def noise(seed, count):
    """Numbers in -1 .. 1, the same in Rust: x = 1664525 x + 1013904223 mod 2**32."""
    state, values = seed, np.empty(count)
    for n in range(count):
        state = (1664525 * state + 1013904223) % 2**32
        values[n] = state / 2**31 - 1
    return values


def eeg(seed, count, rate):
    """Noise with an electrode's offset, a 10 Hz rhythm and hum; microvolts."""
    t = np.arange(count) / rate
    return 5000 + 20 * noise(seed, count) + 30 * np.sin(2 * np.pi * 10 * t) + 5 * np.sin(2 * np.pi * 50 * t)


FILTERS = [
    ("low", 2, [70.0], 256.0),
    ("low", 4, [30.0], 1000.0),
    ("low", 5, [15.0], 250.0),
    ("low", 8, [100.0], 2000.0),
    ("low", 1, [0.5], 1000.0),
    ("high", 1, [0.1], 256.0),
    ("high", 1, [1.0], 1000.0),
    ("high", 3, [0.5], 500.0),
    ("high", 4, [5.0], 250.0),
    ("band", 1, [8.0, 13.0], 256.0),
    ("band", 2, [0.5, 70.0], 256.0),
    ("band", 3, [4.0, 8.0], 250.0),
    ("band", 4, [1.0, 40.0], 250.0),
    ("band", 4, [2.0, 15.0], 1000.0),
    ("band", 5, [8.0, 30.0], 500.0),
    ("stop", 1, [49.0, 51.0], 500.0),
    ("stop", 2, [48.0, 52.0], 250.0),
    ("stop", 3, [55.0, 65.0], 1000.0),
    ("stop", 4, [45.0, 55.0], 256.0),
]
KINDS = {"low": "lowpass", "high": "highpass", "band": "bandpass", "stop": "bandstop"}
COUNT = 600


def filters():
    for number, (kind, order, corners, rate) in enumerate(FILTERS):
        corner = corners[0] if len(corners) == 1 else corners
        sos = signal.butter(order, corner, KINDS[kind], fs=rate, output="sos")
        x = eeg(number + 1, COUNT, rate)
        zi = signal.sosfilt_zi(sos)
        case = dict(
            kind=kind,
            order=order,
            corners=corners,
            rate=rate,
            seed=number + 1,
            sos=sos.tolist(),
            zi=zi.tolist(),
            rest=signal.sosfilt(sos, x)[::7].tolist(),
            settled=signal.sosfilt(sos, x, zi=zi * x[0])[0][::7].tolist(),
            zero_phase=signal.sosfiltfilt(sos, x)[::7].tolist(),
        )
        yield case


def notches():
    for centre, quality, rate in [(50.0, 30.0, 256.0), (60.0, 30.0, 250.0), (50.0, 5.0, 1000.0)]:
        b, a = signal.iirnotch(centre, quality, fs=rate)
        x = eeg(99, COUNT, rate)
        yield dict(centre=centre, quality=quality, rate=rate, b=b.tolist(), a=a.tolist(),
                   rest=signal.lfilter(b, a, x)[::7].tolist())


def spectra():
    for segment, overlap, count, rate in [(512, 256, 5000, 256.0), (512, 256, 512, 250.0), (250, 125, 1999, 250.0), (255, 100, 2000, 500.0)]:
        for scaling in ["density", "spectrum"]:
            f, p = signal.welch(eeg(7, count, rate), rate, nperseg=segment, noverlap=overlap, scaling=scaling)
            yield dict(segment=segment, overlap=overlap, count=count, rate=rate, scaling=scaling, seed=7,
                       resolution=f[1], values=p[::3].tolist())


json.dump(dict(scipy=scipy.__version__, filters=list(filters()), notches=list(notches()),
               spectra=list(spectra())), sys.stdout, indent=None, separators=(",", ":"))
print()
