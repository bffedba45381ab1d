//! Screenshots as pixels.

use std::path::Path;

/// Pixels, RGB.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Picture {
    /// Pixels across.
    pub width: usize,
    /// Pixels down.
    pub height: usize,
    png: Vec<u8>,
    rgb: Vec<[u8; 3]>,
}

impl Picture {
    /// From the bytes of a PNG file.
    ///
    /// # Panics
    /// When they are none, or not 8 bits of RGB or RGBA.
    #[must_use]
    pub fn from_png(bytes: Vec<u8>) -> Self {
        let mut reader = png::Decoder::new(std::io::Cursor::new(&bytes))
            .read_info()
            .expect("a PNG");
        let mut pixels = vec![0; reader.output_buffer_size().expect("a size that fits")];
        let info = reader.next_frame(&mut pixels).expect("a frame");
        assert_eq!(info.bit_depth, png::BitDepth::Eight);
        let step = match info.color_type {
            png::ColorType::Rgb => 3,
            png::ColorType::Rgba => 4,
            other => panic!("a PNG of {other:?}"),
        };
        let rgb = pixels[..info.buffer_size()]
            .chunks_exact(step)
            .map(|p| [p[0], p[1], p[2]])
            .collect();
        Self {
            width: info.width as usize,
            height: info.height as usize,
            png: bytes,
            rgb,
        }
    }

    /// One pixel.
    #[must_use]
    pub fn at(&self, x: usize, y: usize) -> [u8; 3] {
        self.rgb[y * self.width + x]
    }

    /// Share of pixels, 0 to 1, that differ from those of `other`; 1 when the sizes differ.
    #[must_use]
    pub fn difference(&self, other: &Self) -> f64 {
        if (self.width, self.height) != (other.width, other.height) {
            return 1.0;
        }
        let differ = self.rgb.iter().zip(&other.rgb).filter(|(a, b)| a != b);
        differ.count() as f64 / self.rgb.len() as f64
    }

    /// Share of pixels, 0 to 1, that differ from the most frequent colour: how much is drawn.
    #[must_use]
    pub fn ink(&self) -> f64 {
        let mut counts = std::collections::HashMap::new();
        for pixel in &self.rgb {
            *counts.entry(pixel).or_insert(0_usize) += 1;
        }
        let ground = counts.values().copied().max().unwrap_or(0);
        1.0 - ground as f64 / self.rgb.len().max(1) as f64
    }

    /// Writes the PNG.
    ///
    /// # Panics
    /// When it cannot.
    pub fn save(&self, file: &Path) {
        if let Some(folder) = file.parent() {
            std::fs::create_dir_all(folder).expect("the folder of screenshots");
        }
        std::fs::write(file, &self.png).expect("a screenshot");
    }
}
