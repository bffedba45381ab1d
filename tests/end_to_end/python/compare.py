"""Reads exports of played-back files with programs that others wrote; compares them with the source.

usage: compare.py JOBS.json

JOBS.json: [{"source": EDF or BDF file, "folder": export, "annotations": whether they are kept}].
The source is decoded here, from the specification; the export's manifest says which file holds
which stretch of which signal. pyedflib refuses EDF+D and is asked only about continuous files; mne
resamples what is slower than the fastest signal of a file, so it is asked about the fastest only.
Prints a line for each file and reader and ends with status 1 when anything differs.
"""

import json
import pathlib
import re
import sys

import edfio
import mne
import numpy as np
import pyedflib

TOLERANCE_S = 2e-6  # readers resolve a file's start to a microsecond
FROM_VOLTS = {"uV": 1e6, "mV": 1e3, "nV": 1e9}  # mne gives volts
TO_UV = {"v": 1e6, "mv": 1e3, "uv": 1.0, "µv": 1.0, "nv": 1e-3}


class Source:
    def __init__(self, path):
        data = pathlib.Path(path).read_bytes()
        head = data[:256]
        count = int(head[252:256])
        width = 3 if head[0] == 255 else 2
        plus = head[192:196] in (b"EDF+", b"BDF+")
        at = 256

        def column(size):
            nonlocal at
            found = [data[at + n * size : at + (n + 1) * size] for n in range(count)]
            at += count * size
            return [text.decode("latin1").strip(" \0") for text in found]

        labels, _, units = column(16), column(80), column(8)
        pmin, pmax, dmin, dmax = (list(map(float, column(8))) for _ in range(4))
        column(80)
        per = list(map(int, column(8)))
        at += 32 * count
        size = width * sum(per)
        records = (len(data) - at) // size
        stated = int(head[236:244])
        records = min(records, stated) if stated > 0 else records
        raw = np.frombuffer(data, np.uint8, records * size, at).reshape(records, size)
        self.duration = float(head[244:252])
        self.onsets = np.arange(records) * self.duration
        self.signals, self.annotations = [], []
        offset, keeps_time = 0, True
        for n in range(count):
            part = raw[:, offset : offset + per[n] * width]
            offset += per[n] * width
            if plus and labels[n] in ("EDF Annotations", "BDF Annotations"):
                self.take(part, keeps_time)
                keeps_time = False
                continue
            part = part.reshape(-1, width).astype(np.int64)
            values = sum(part[:, b] << (8 * b) for b in range(width))
            values -= (values >> (8 * width - 1)) << (8 * width)
            gain = (pmax[n] - pmin[n]) / (dmax[n] - dmin[n])
            self.signals.append(
                dict(
                    label=labels[n], unit=units[n].lower(), per=per[n], digital=values,
                    physical=pmin[n] + (values - dmin[n]) * gain, scaled=gain != 0,
                )
            )
        rates = list(dict.fromkeys(s["per"] for s in self.signals))
        # Stream by stream, as the rates appear.
        self.streams = [[s for s in self.signals if s["per"] == rate] for rate in rates]

    def take(self, part, keeps_time):
        for record, row in enumerate(part):
            lists = [one for one in row.tobytes().split(b"\0") if one]
            for position, one in enumerate(lists):
                times, *texts = one.decode("utf-8").split("\x14")
                onset, _, duration = times.partition("\x15")
                if keeps_time and position == 0:
                    self.onsets[record] = float(onset)
                for text in texts:
                    if text:
                        self.annotations.append((float(onset), float(duration or 0), text))

    def stretch(self, stream, first, samples):
        """Positions in the source of samples by index, which counts through the source's gaps."""
        per = self.streams[stream][0]["per"]
        jumps = np.diff(self.onsets, prepend=self.onsets[0] - self.duration) - self.duration
        jumps[np.abs(jumps) < self.duration / 2] = 0
        bases = np.rint(np.cumsum(jumps) * per / self.duration).astype(int)
        index = (bases + np.arange(len(bases)) * per)[:, None] + np.arange(per)[None, :]
        index = index.reshape(-1)
        at = int(np.searchsorted(index, first))
        assert index[at] == first and index[at + samples - 1] == first + samples - 1, "another run"
        return slice(at, at + samples)


def same(what, found, expected):
    found, expected = np.asarray(found), np.asarray(expected)
    assert found.shape == expected.shape, f"{what}: {found.shape} values, not {expected.shape}"
    wrong = np.flatnonzero(found != expected)
    assert not len(wrong), f"{what}: {len(wrong)} values differ, first at {wrong[0]}"


class File:
    """One file of an export, with what the source holds of it."""

    def __init__(self, source, folder, entry):
        self.path, self.kind = str(folder / entry["name"]), entry["kind"]
        self.start_s = float(entry["start_s"])
        ranges = dict(zip(entry["streams"], entry["first_index_and_samples"]))
        self.scales, self.digital, self.physical, self.rates = entry["signals"], [], [], []
        for scale in self.scales:
            signal = source.streams[scale["stream"]][scale["channel"]]
            parts = [source.stretch(scale["stream"], *r) for r in ranges[scale["stream"]]]
            self.digital.append(np.concatenate([signal["digital"][p] for p in parts]))
            physical = np.concatenate([signal["physical"][p] for p in parts])
            self.physical.append(physical * self.factor(signal, scale) if signal["scaled"] else None)
            self.rates.append(signal["per"] / source.duration)
            check_label(signal["label"], scale["label"])
            assert scale["rounding_bound"] < abs(scale["gain"]) / 2, "rounded by more than half a count"
        self.length_s = max(len(d) / r for d, r in zip(self.digital, self.rates))

    @staticmethod
    def factor(signal, scale):
        if signal["unit"] in TO_UV and scale["unit"] == "uV":
            return TO_UV[signal["unit"]]
        return 1.0

    def edfio(self):
        read = edfio.read_bdf if self.kind.startswith("BDF") else edfio.read_edf
        edf = read(self.path)
        assert [s.label for s in edf.signals] == [s["label"] for s in self.scales]
        for n, signal in enumerate(edf.signals):
            assert abs(signal.sampling_frequency / self.rates[n] - 1) < 1e-6, signal.sampling_frequency
            same(signal.label, signal.digital, self.digital[n])
        return [(a.onset, a.duration or 0.0, a.text) for a in edf.annotations]

    def pyedflib(self):
        with pyedflib.EdfReader(self.path) as reader:
            assert reader.getSignalLabels() == [s["label"] for s in self.scales]
            for n in range(reader.signals_in_file):
                assert abs(reader.getSampleFrequency(n) / self.rates[n] - 1) < 1e-6
                same(self.scales[n]["label"], reader.readSignal(n, digital=True), self.digital[n])
            return [(float(o), max(float(d), 0.0), t) for o, d, t in zip(*reader.readAnnotations())]

    def mne(self):
        read = mne.io.read_raw_bdf if self.kind.startswith("BDF") else mne.io.read_raw_edf
        raw = read(self.path, preload=True, stim_channel=[], verbose="error")
        fastest = max(self.rates)
        assert abs(raw.info["sfreq"] / fastest - 1) < 1e-6
        compared = 0
        for n, scale in enumerate(self.scales):
            if self.rates[n] != fastest or self.physical[n] is None:
                continue
            found = raw.get_data(picks=[n])[0] * FROM_VOLTS.get(scale["unit"], 1.0)
            expected = self.physical[n]
            assert found.shape == expected.shape, f"{found.shape} values, not {expected.shape}"
            largest = np.max(np.abs(expected), initial=0.0)
            worst = np.max(np.abs(found - expected), initial=0.0)
            # Beside the bound: what floating point itself costs.
            allowed = scale["rounding_bound"] + 1e-11 * largest
            assert worst <= allowed, f"{scale['label']}: {worst} {scale['unit']} off, not {allowed}"
            compared += 1
        assert compared or all(p is None for p in self.physical), "nothing to compare"
        return [(float(a["onset"]), float(a["duration"]), a["description"]) for a in raw.annotations]


ELECTRODE = re.compile(r"(FP|AFP?|FC|FT|F|CP|C|TP|T|PO|P|O|I|A|M)(Z|\d{1,2})", re.IGNORECASE)


def check_label(source, label):
    """Electrodes keep their name; other texts of a header may identify and give way to a number."""
    assert label and label.isascii() and len(label) <= 16 and label.isprintable(), repr(label)
    words = re.findall(r"[A-Za-z0-9]+", source.encode("ascii", "ignore").decode())
    words = [w for w in words if w.lower() not in ("eeg", "ecg", "emg", "eog", "ref", "uv")]
    if words and words[0].lower()[:8] not in label.lower():
        assert not ELECTRODE.fullmatch(words[0]), f"{source!r} became {label!r}"
        assert re.fullmatch(r"[A-Za-z0-9]+ \d+", label), f"{source!r} became {label!r}"


def same_annotations(found, expected):
    order = lambda a: (round(a[0], 5), a[2])  # noqa: E731
    found, expected = sorted(found, key=order), sorted(expected, key=order)
    assert len(found) == len(expected), f"{len(found)} annotations, not {len(expected)}: {found}"
    for (onset, duration, text), (onset2, duration2, text2) in zip(found, expected):
        assert text == text2, f"{text!r}, not {text2!r}"
        assert abs(onset - onset2) <= TOLERANCE_S, f"{text!r} at {onset} s, not {onset2} s"
        assert abs(duration - duration2) <= TOLERANCE_S, f"{text!r} lasts {duration} s, not {duration2} s"


def compare(job):
    source, folder = Source(job["source"]), pathlib.Path(job["folder"])
    (manifest,) = folder.glob("*.json")
    entries = json.loads(manifest.read_text())["files"]
    files = [File(source, folder, entry) for entry in entries]
    held = sum(d.size for file in files for d in file.digital)
    total = sum(s["digital"].size for s in source.signals)
    assert held == total, f"the files hold {held} samples of {total}"
    # Seconds from the first sample, which is where an export counts from.
    expected = [(onset - source.onsets[0], d, t) for onset, d, t in source.annotations]
    expected = expected if job["annotations"] else []
    readers = ["edfio", "mne"]
    if all(file.kind.endswith("+C") for file in files):
        readers.append("pyedflib")
    for reader in readers:
        found, wanted = [], expected
        for file in files:
            for onset, duration, text in getattr(file, reader)():
                found.append((file.start_s + onset, duration, text))
        if reader == "mne":
            # It drops what lies outside the samples, and takes +D for continuous.
            inside = lambda a: any(0 <= a[0] - f.start_s < f.length_s for f in files)  # noqa: E731
            wanted = [a for a in expected if inside(a)]
        same_annotations(found, wanted)
        yield reader, len(files), len(found)


def main():
    failed = 0
    for job in json.loads(pathlib.Path(sys.argv[1]).read_text()):
        name = pathlib.Path(job["source"]).name
        try:
            for reader, files, annotations in compare(job):
                print(f"ok      {name}: {reader}: {files} files, {annotations} annotations")
        except Exception as error:  # noqa: BLE001 - every export is looked at
            failed += 1
            print(f"FAILED  {name} in {job['folder']}: {type(error).__name__}: {error}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
