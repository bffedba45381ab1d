//! What a frame costs at 16, 64 and 256 rows: printed, and bounded only by what would be a mistake.

use std::time::Instant;

use ui_types::feed::Message;

use crate::feed::{bytes, description, envelope, row};
use crate::stage::{Stage, calibrated};

/// A page of 1,900 columns in 10 s, as live EEG moves: noise, slow waves.
fn signal(row: usize, at: f64) -> f32 {
    let phase = row as f64;
    (20.0 * (at * 60.0 + phase).sin() + 15.0 * (at * 371.0 * (1.0 + phase / 97.0)).sin()) as f32
}

#[test]
fn a_live_frame_costs_what_is_new_and_not_what_is_shown() {
    for rows in [16, 64, 256] {
        let mut stage = Stage::of_size(2_012.0, 1_000.0, 1.0, calibrated(3.78));
        stage.frame();
        let views = (0..rows)
            .map(|at| row(&format!("R{at}-Cz"), &format!("{}", at / 8), "left"))
            .collect();
        stage.begin_feed(1);
        let column_ns = 10e9 / 1_900.0;
        let messages = [
            Message::Description(description(views)),
            envelope(rows, column_ns, 0..1_900, true, &signal),
        ];
        stage.push(1, &bytes(&messages));
        let begun = Instant::now();
        stage.frame();
        let whole = begun.elapsed();
        // Thirty frames of a second: 6 or 7 columns each.
        let edges: Vec<_> = (0..=30_u64).map(|frame| 1_900 + frame * 190 / 30).collect();
        let frames: Vec<_> = edges
            .windows(2)
            .map(|edge| bytes(&[envelope(rows, column_ns, edge[0]..edge[1], false, &signal)]))
            .collect();
        let begun = Instant::now();
        for message in &frames {
            stage.push(1, message);
            stage.frame();
        }
        let each = begun.elapsed() / 30;
        let drawn = stage.scope().columns_drawn();
        println!(
            "{rows} rows x 1900 columns: whole page {:.1} ms, a live frame {:.2} ms ({drawn} columns drawn)",
            whole.as_secs_f64() * 1e3,
            each.as_secs_f64() * 1e3
        );
        assert!(drawn < 100, "a live frame drew {drawn} columns");
    }
}
