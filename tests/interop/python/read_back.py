"""Reads exports with programs that others wrote and compares them with what was recorded.

usage: read_back.py EXPECTED.json

EXPECTED.json: {"files": [{"path", "kind", "clock_of_sample_0",
  "signals": [{"label", "rate", "digital": [...], "gain", "offset", "rounding"}],
  "annotations": [[seconds_after_sample_0, duration or null, text], ...]}]}

'clock_of_sample_0' is local ISO 8601; every annotation's clock time is that plus its seconds, across
gaps too. pyedflib refuses EDF+D and is asked only about continuous files. Prints one line for each
file and reader and ends with status 1 when anything differs.
"""

import datetime
import json
import sys

import edfio
import mne
import numpy as np
import pyedflib

TOLERANCE_S = 2e-6  # readers resolve a file's start to a microsecond


def same(what, found, expected):
    found, expected = np.asarray(found), np.asarray(expected)
    assert found.shape == expected.shape, f"{what}: {found.shape} values, not {expected.shape}"
    wrong = np.flatnonzero(found != expected)
    assert not len(wrong), f"{what}: {len(wrong)} values differ, first at {wrong[0]}"


def same_annotations(reader, found, expected):
    found, expected = sorted(found, key=str), sorted(expected, key=str)
    assert len(found) == len(expected), f"{reader}: {len(found)} annotations, not {len(expected)}"
    for (clock, duration, text), (clock2, duration2, text2) in zip(
        sorted(found, key=lambda a: (a[0], a[2])), sorted(expected, key=lambda a: (a[0], a[2]))
    ):
        apart = abs((clock - clock2).total_seconds())
        assert apart <= TOLERANCE_S, f"{reader}: {text!r} at {clock}, not {clock2}"
        assert text == text2, f"{reader}: {text!r}, not {text2!r}"
        assert abs(duration - duration2) <= TOLERANCE_S, f"{reader}: {text!r} lasts {duration}"


def expected_annotations(file):
    start = datetime.datetime.fromisoformat(file["clock_of_sample_0"])
    return [
        (start + datetime.timedelta(seconds=onset), duration or 0.0, text)
        for onset, duration, text in file["annotations"]
    ]


def with_pyedflib(file):
    with pyedflib.EdfReader(file["path"]) as reader:
        assert reader.signals_in_file == len(file["signals"])
        for n, signal in enumerate(file["signals"]):
            assert reader.getLabel(n) == signal["label"], reader.getLabel(n)
            assert abs(reader.getSampleFrequency(n) / signal["rate"] - 1) < 1e-6
            same(f"pyedflib, signal {n}", reader.readSignal(n, digital=True), signal["digital"])
        # pyedflib places the start by whole seconds and counts the rest apart, in 100 ns.
        start = reader.getStartdatetime().replace(microsecond=0)
        rest = datetime.timedelta(microseconds=reader.starttime_subsecond / 10)
        onsets, durations, texts = reader.readAnnotations()
        found = [
            (start + rest + datetime.timedelta(seconds=o), max(float(d), 0.0), t)
            for o, d, t in zip(onsets, durations, texts)
        ]
    same_annotations("pyedflib", found, expected_annotations(file))


def with_edfio(file):
    read = edfio.read_bdf if file["kind"].startswith("BDF") else edfio.read_edf
    edf = read(file["path"])
    assert len(edf.signals) == len(file["signals"])
    for signal, expected in zip(edf.signals, file["signals"]):
        assert signal.label == expected["label"], signal.label
        assert abs(signal.sampling_frequency / expected["rate"] - 1) < 1e-6
        same(f"edfio, {signal.label}", signal.digital, expected["digital"])
    start = datetime.datetime.combine(edf.startdate, edf.starttime)
    found = [
        (start + datetime.timedelta(seconds=a.onset), a.duration or 0.0, a.text)
        for a in edf.annotations
    ]
    same_annotations("edfio", found, expected_annotations(file))


def with_mne(file):
    read = mne.io.read_raw_bdf if file["kind"].startswith("BDF") else mne.io.read_raw_edf
    raw = read(file["path"], preload=True, verbose="error")
    fastest = max(signal["rate"] for signal in file["signals"])
    assert abs(raw.info["sfreq"] / fastest - 1) < 1e-6
    for n, signal in enumerate(file["signals"]):
        if signal["rate"] != fastest:
            continue  # mne resamples what is slower
        found = raw.get_data(picks=[n])[0] * 1e6
        digital = np.asarray(signal["digital"])
        exact = digital * signal["gain"] + signal["offset"]
        worst = np.max(np.abs(found - exact), initial=0.0)
        assert worst <= signal["rounding"] + 1e-6, f"mne, signal {n}: {worst} µV off"
        counts = np.rint((found - signal["offset"]) / signal["gain"])
        if signal["rounding"] < abs(signal["gain"]) / 4:
            same(f"mne, signal {n}", counts, digital)
    # mne documents that it drops the part of a second in a file's start; its annotations count from
    # sample 0 all the same. So the second is checked, and the rest is added.
    start = datetime.datetime.fromisoformat(file["clock_of_sample_0"])
    second = raw.info["meas_date"].replace(tzinfo=None)
    assert second == start.replace(microsecond=0), f"mne: starts at {second}"
    found = [
        (start + datetime.timedelta(seconds=float(a["onset"])), float(a["duration"]), a["description"])
        for a in raw.annotations
    ]
    expected = expected_annotations(file)
    if file["kind"].endswith("+D"):
        # mne takes a discontinuous file for continuous, and drops what then lies behind its end.
        end = start + datetime.timedelta(seconds=raw.n_times / raw.info["sfreq"])
        expected = [annotation for annotation in expected if annotation[0] < end]
    same_annotations("mne", found, expected)


def main():
    with open(sys.argv[1], encoding="utf-8") as source:
        expected = json.load(source)
    failed = 0
    for file in expected["files"]:
        readers = [("mne", with_mne), ("edfio", with_edfio)]
        if file["kind"].endswith("+C"):
            readers.append(("pyedflib", with_pyedflib))
        for name, reader in readers:
            try:
                reader(file)
                print(f"ok      {file['kind']} {name}: {file['path']}")
            except Exception as error:  # noqa: BLE001 - every reader is asked about every file
                failed += 1
                print(f"FAILED  {file['kind']} {name}: {file['path']}: {type(error).__name__}: {error}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
