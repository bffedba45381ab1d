//! EDF+ export beside edfio and pyedflib.

use crate::figure::{Figure, Row};
use crate::filters::number;
use crate::limits::{EXPORT_PASSES, EXPORTED};
use crate::measure::{digits, time};
use crate::{folders, synthetic};
use anyhow::{Context as _, Result, ensure};
use export::{ExportOptions, RecordingSource, export_edf};
use std::fs;
use std::ops::ControlFlow;
use std::time::Instant;

pub(crate) const ROWS: [Row; 1] = [Row {
    what: "EDF+ export, samples/s, against edfio and pyedflib",
    bound: "faster than pyedflib",
    aim: "faster than edfio",
}];

pub(crate) fn run() -> Result<Vec<Figure>> {
    let Some(mut python) = folders::python("edf.py") else {
        return Ok(vec![ROWS[0].not_measured(folders::NO_PYTHON)]);
    };
    let (seconds, channels, hz) = EXPORTED;
    let len = seconds * hz;
    let counts = synthetic::counts(channels, len);
    let folder = folders::scratch()?;
    let path = folder.path().join("counts.i16");
    let bytes: Vec<u8> = counts
        .iter()
        .flat_map(|count| count.to_le_bytes())
        .collect();
    fs::write(&path, bytes).with_context(|| format!("cannot write {}", path.display()))?;
    let plan = [channels, hz, EXPORT_PASSES].map(|n| n.to_string());
    python
        .arg(&path)
        .args(&plan)
        .arg(folder.path())
        .args(["-3276.8", "3276.7"]);
    let peers = folders::answer(python)?;

    let recorded = folder.path().join("recording");
    let (rate, length) = (u32::try_from(hz)?, seconds as u64);
    synthetic::record(&recorded, (channels, rate, length), |first, take, block| {
        for row in counts.chunks_exact(len) {
            block.extend_from_slice(&row[first as usize..first as usize + take]);
        }
    })?;
    let mut ours = f64::INFINITY;
    let mut written = 0;
    for pass in 0..EXPORT_PASSES {
        let to = folder.path().join(format!("export-{pass}"));
        let options = ExportOptions::deidentified("bench", "S001", 7);
        let begun = Instant::now();
        let recording = synthetic::open(&recorded)?;
        let source = RecordingSource::new(&recording);
        let mut last = 0;
        export_edf(&source, &to, &options, &mut |progress| {
            last = progress.samples;
            ControlFlow::Continue(())
        })?;
        ours = ours.min(begun.elapsed().as_secs_f64());
        written = last;
        drop(fs::remove_dir_all(&to));
    }
    ensure!(
        written == counts.len() as u64,
        "{written} of {} samples exported",
        counts.len()
    );

    let (edfio, pyedflib) = (number(&peers, "edfio_s")?, number(&peers, "pyedflib_s")?);
    let speed = |seconds: f64| digits(written as f64 / seconds / 1e6);
    Ok(vec![ROWS[0].measured(
        ours < pyedflib,
        format!(
            "{} M samples/s ({}) from the encrypted recording to a synced file; edfio {} M ({}), \
             pyedflib {} M ({}), both from integers in memory and without a sync: {} × pyedflib, \
             {} × edfio",
            speed(ours),
            time(ours),
            speed(edfio),
            time(edfio),
            speed(pyedflib),
            time(pyedflib),
            digits(pyedflib / ours),
            digits(edfio / ours),
        ),
    )])
}
