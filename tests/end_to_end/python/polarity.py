"""Checks that mne shows the one spike of an export downwards at Fp1, by at least 100 µV.

usage: polarity.py FILE
"""

import sys

import mne

path = sys.argv[1]
read = mne.io.read_raw_bdf if path.endswith(".bdf") else mne.io.read_raw_edf
raw = read(path, preload=True, verbose="error")
(label,) = [name for name in raw.ch_names if "Fp1" in name.replace("-", " ").split()]
fp1 = raw.get_data(picks=[label])[0] * 1e6
assert fp1.min() < -100 < fp1.max() < 100, f"{label}: {fp1.min()} to {fp1.max()} µV"
print(f"ok      {label}: {fp1.min():.1f} to {fp1.max():.1f} µV")
