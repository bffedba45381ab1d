"""Sends numbered samples over LSL, or reads some, with pylsl or mne-lsl.

lsl.py LIBRARY send ID COUNT: three channels of floats at 200 Hz; waits for a reader first.
lsl.py LIBRARY read ID COUNT: prints labels, units, samples and stamps as JSON.
"""

import json
import sys
import time

import numpy as np

library, task, identity, count = sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4])
LABELS, UNITS = ["Fp1", "Cz", "number"], ["microvolts", "microvolts", "none"]
NUMBERS = np.arange(count, dtype=np.float32)
DATA = np.stack([NUMBERS * 0.25 - 100, -NUMBERS / 3, NUMBERS], axis=1).astype(np.float32)


def send(outlet, have_consumers):
    print("ready", flush=True)
    until = time.monotonic() + 20
    while not have_consumers():
        if time.monotonic() > until:
            raise SystemExit("nobody reads")
        time.sleep(0.02)
    time.sleep(0.5)
    for first in range(0, count, 20):
        outlet.push_chunk(np.ascontiguousarray(DATA[first:first + 20]))
        time.sleep(0.1)
    time.sleep(2)


def told(labels, units, samples, stamps):
    print(json.dumps({"labels": labels, "units": units, "samples": samples, "stamps": stamps}), flush=True)


if library == "pylsl":
    import pylsl

    if task == "send":
        info = pylsl.StreamInfo("interop", "EEG", 3, 200, "float32", identity)
        channels = info.desc().append_child("channels")
        for label, unit in zip(LABELS, UNITS):
            channel = channels.append_child("channel")
            channel.append_child_value("label", label)
            channel.append_child_value("unit", unit)
            channel.append_child_value("type", "EEG")
        outlet = pylsl.StreamOutlet(info)
        send(outlet, outlet.have_consumers)
    else:
        found = pylsl.resolve_byprop("source_id", identity, timeout=15)
        inlet = pylsl.StreamInlet(found[0])
        channel = inlet.info().desc().child("channels").child("channel")
        labels, units = [], []
        for _ in range(inlet.channel_count):
            labels.append(channel.child_value("label"))
            units.append(channel.child_value("unit"))
            channel = channel.next_sibling("channel")
        inlet.open_stream(10)
        print("open", flush=True)
        samples, stamps = [], []
        while len(samples) < count:
            more, times = inlet.pull_chunk(timeout=10.0)
            if not times:
                break
            samples += [list(map(float, row)) for row in more]
            stamps += list(times)
        told(labels, units, samples, stamps)
else:
    from mne_lsl import lsl

    if task == "send":
        info = lsl.StreamInfo("interop", "EEG", 3, 200, "float32", identity)
        info.set_channel_names(LABELS)
        info.set_channel_types("eeg")
        info.set_channel_units(UNITS)
        outlet = lsl.StreamOutlet(info)
        send(outlet, lambda: outlet.has_consumers)
    else:
        found = lsl.resolve_streams(timeout=15, source_id=identity)
        inlet = lsl.StreamInlet(found[0])
        inlet.open_stream()
        info = inlet.get_sinfo()
        print("open", flush=True)
        samples, stamps = [], []
        until = time.monotonic() + 20
        while len(samples) < count and time.monotonic() < until:
            data, times = inlet.pull_chunk(timeout=1.0)
            samples += np.asarray(data, dtype=float).tolist()
            stamps += np.asarray(times).tolist()
        told(info.get_channel_names(), info.get_channel_units(), samples, stamps)
