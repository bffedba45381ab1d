//! What test programs reported, read from their `test result:` lines.

use std::ops::AddAssign;

/// Counts of tests. A program that ends badly without saying so counts as one failure.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) passed: usize,
    pub(crate) failed: usize,
    pub(crate) ignored: usize,
}

impl AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.ignored += other.ignored;
    }
}

impl Tally {
    /// Sums every result line in `output`; `ended_well` is the program's own exit status.
    pub(crate) fn of(output: &str, ended_well: bool) -> Self {
        let mut sum = Self::default();
        for line in output.lines().filter_map(result_line) {
            sum += line;
        }
        if !ended_well && sum.failed == 0 {
            sum.failed = 1;
        }
        sum
    }
}

/// `test result: ok. 5 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.10s`
fn result_line(line: &str) -> Option<Tally> {
    let (_, counts) = line
        .trim()
        .strip_prefix("test result: ")?
        .split_once(". ")?;
    let count = |what: &str| {
        counts
            .split(';')
            .find_map(|part| part.trim().strip_suffix(what)?.trim().parse::<usize>().ok())
    };
    Some(Tally {
        passed: count("passed")?,
        failed: count("failed")?,
        ignored: count("ignored")?,
    })
}

#[cfg(test)]
mod tests {
    use super::Tally;

    #[test]
    fn sums_result_lines() {
        let output = "test a ... ok\n\
            test result: ok. 5 passed; 0 failed; 1 ignored; 0 measured; 2 filtered out; finished in 0.10s\n\
            noise: 9 passed; 9 failed\n\
            test result: FAILED. 1 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out; finished in 1s\n";
        assert_eq!(
            Tally::of(output, false),
            Tally {
                passed: 6,
                failed: 2,
                ignored: 1
            }
        );
    }

    #[test]
    fn a_crash_without_a_result_is_a_failure() {
        assert_eq!(
            Tally::of("running 3 tests\n", false),
            Tally {
                passed: 0,
                failed: 1,
                ignored: 0
            }
        );
        let lying = "test result: ok. 3 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out";
        assert_eq!(
            Tally::of(lying, false).failed,
            1,
            "a bad end after good results is still a failure"
        );
        assert_eq!(
            Tally::of(lying, true),
            Tally {
                passed: 3,
                failed: 0,
                ignored: 0
            }
        );
    }
}
