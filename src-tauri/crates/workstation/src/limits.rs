//! Limits and defaults of the composition, with their units and reasons.

use events::payloads::QualityIssue;
use std::time::Duration;

/// Marks of people that wait for the recorder. Nobody types a hundred in a tenth of a second.
pub const MARK_QUEUE: usize = 256;

/// Closed segments that wait to be noted in the ledger: an hour of 16 streams.
pub const SEGMENT_QUEUE: usize = 1_024;

/// How long the store may take to accept a trial change before 'start now' records without it. A
/// commit takes milliseconds; recording is to run within 30 s of the call.
pub const STORE_TRIAL: Duration = Duration::from_secs(3);

/// Pause before a session that was recorded without the store is offered to it again.
pub const TAKE_IN_RETRY: Duration = Duration::from_secs(2);

/// How long the system may take to say whether it holds sleep off: it asks nobody.
pub const AWAKE_ANSWER: Duration = Duration::from_secs(5);

/// Pause before a system that does not hold sleep off is asked again.
pub const AWAKE_RETRY: Duration = Duration::from_secs(5);

/// How often a running collection says that it is alive, and looks whether it should end.
pub const COLLECT_BEAT: Duration = Duration::from_millis(100);

/// Pause before a device that could not be opened is tried again.
pub const REOPEN_PAUSE: Duration = Duration::from_secs(1);

/// How long looking for devices may take, all drivers together.
pub const DISCOVER_TIMEOUT: Duration = Duration::from_secs(5);

/// Warning when the disk lasts less than this many hours at the present rate, unless policy says
/// otherwise.
pub const DISK_WARNING_HOURS: f64 = 24.0;

/// Earliest such warning that policy may ask for, hours: a month.
pub const MOST_DISK_WARNING_HOURS: f64 = 720.0;

/// Problem when it lasts less than this many hours.
pub const DISK_PROBLEM_HOURS: f64 = 2.0;

/// Bytes an hour assumed when nothing is recorded: 32 channels × 256 Hz, 16 bits, uncompressed.
pub const ASSUMED_BYTES_PER_HOUR: f64 = 32.0 * 256.0 * 2.0 * 3_600.0;

/// Longest description of an annotation, characters.
pub const MAX_ANNOTATION_CHARS: usize = 2_000;

/// Longest code of an annotation, characters: the protocols' longest is half of it.
pub const MAX_CODE_CHARS: usize = 64;

/// Longest note of an order, characters.
pub const MAX_NOTE_CHARS: usize = 2_000;

/// Most lines of a worklist: far more than a laboratory records in a day.
pub const MAX_WORKLIST_ROWS: usize = 500;

/// Most patients that a search in the worklist shows.
pub const MAX_WORKLIST_PATIENTS: usize = 50;

/// Most sessions shown of each of them, the latest.
pub const MAX_WORKLIST_SESSIONS: u32 = 50;

/// A session that nobody has signed stays on the worklist for so many days.
pub const TO_SIGN_DAYS: i64 = 30;

/// Longest text of a report's impression, conclusion or addendum, characters: some five pages.
pub const MAX_REPORT_TEXT_CHARS: usize = 10_000;

/// Longest meaning of a signature, characters.
pub const MAX_MEANING_CHARS: usize = 300;

/// Longest reason of a reassignment, characters.
pub const MAX_REASON_CHARS: usize = 2_000;

/// Most entries or events in one answer.
pub const MAX_ANSWER_ROWS: u32 = 100_000;

/// Gaps that a session's status shows, the latest.
pub const STATUS_GAPS: usize = 100;

/// How often the disk is looked at while something is recorded, and how long a recording must be
/// before its rate is known.
pub const DISK_CHECK: Duration = Duration::from_secs(10);

/// Events kept in memory while the store does not take any: a day of the worst unrest, some MB.
pub const KEPT_EVENTS: usize = 10_000;

/// Events that were told and not sent yet. A store that does not answer costs each a quarter of a
/// second: half an hour of four events a second.
pub const POSTED_EVENTS: usize = 8_192;

/// How long the end of a recording waits for its events to be sent; they are sent all the same.
pub const FLUSH_WAIT: Duration = Duration::from_secs(5);

/// Pause before a kept event is sent again.
pub const KEPT_EVENT_PAUSE: Duration = Duration::from_secs(1);

/// How often a kept event is sent again: for a day.
pub const KEPT_EVENT_TRIES: u32 = 86_400;

/// How long a session's status waits for its workflow to tell its steps: it answers in
/// microseconds unless the store holds it up.
pub const PROGRESS_WAIT: Duration = Duration::from_millis(500);

/// Warnings of a device that a session's notes keep, the latest.
pub const DEVICE_WARNINGS: usize = 20;

/// How long a token holds: a long shift of hospital staff, after which the password is asked again.
pub const TOKEN_LASTS: Duration = Duration::from_secs(12 * 3_600);

/// How long break-glass lets someone in: one shift, until somebody with an account is there.
pub const BREAK_GLASS_LASTS: Duration = Duration::from_secs(8 * 3_600);

/// Tokens that hold at the same time; the oldest makes room. A station has a handful of windows.
pub const MAX_TOKENS: usize = 256;

/// Attempts at a login without a pause: slips of the finger.
pub const FREE_TRIES: u32 = 3;

/// Pause after the last free attempt; it doubles with each further one.
pub const SHORTEST_PAUSE: Duration = Duration::from_secs(1);

/// Longest pause between attempts: slow enough for guessing (3,000 a day), and short enough that
/// nobody at the bedside is locked out.
pub const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// Attempts are forgotten so long after the last pause.
pub const FORGET_TRIES: Duration = Duration::from_secs(15 * 60);

/// Logins whose attempts are remembered; the oldest makes room.
pub const MAX_TRIED_LOGINS: usize = 1_024;

/// Looking at the same patient again within this time is one look.
pub const VIEW_SPAN: Duration = Duration::from_secs(10 * 60);

/// Longest name to sign in with or to show, characters.
pub const MAX_USER_NAME_CHARS: usize = 100;

/// The window locks itself after so long without a key or movement, s: 15 minutes, the longest that
/// NIST SP 800-63B section 7.2 allows where a password alone lets in again.
pub const LOCK_AFTER_S: u32 = 900;

/// Greatest log of a session without store, bytes: a line of some 500 a closed segment, a minute of
/// 16 streams for two months.
pub const MAX_UNSTORED_LOG_BYTES: u64 = 1 << 30;

/// Pause before a recording without store is tried again after a failure.
pub const UNSTORED_RETRY: Duration = Duration::from_secs(1);

/// A recording without store that was interrupted less than this ago goes on by itself: whoever is
/// recorded is likely still there. A restart after a repair takes minutes.
pub const RESUME_WITHIN: Duration = Duration::from_secs(15 * 60);

/// How long the engine's stop waits for recordings without store to be closed.
pub const UNSTORED_STOP: Duration = Duration::from_secs(20);

/// Longest label of a channel, characters: what EDF+ has room for.
pub const MAX_LABEL_CHARS: usize = 16;

/// Longest code that says why a recording is paused, characters.
pub const MAX_PAUSE_CODE_CHARS: usize = 32;

/// How often a measurement of impedances is looked at.
pub const IMPEDANCE_POLL: Duration = Duration::from_millis(50);

/// How long measuring impedances may take in the middle of a recording: as long as before it.
pub const IMPEDANCE_TIMEOUT: Duration = clinic::limits::PREPARE_TIMEOUT;

/// Alerts that a session keeps, the latest; what is over is forgotten first.
pub const ALERTS_KEPT: usize = 100;

/// Mains frequency against which hum is judged, Hz, unless policy says otherwise: that of most of the
/// world; the Americas and parts of Asia have 60.
pub const MAINS_HZ: f64 = 50.0;

/// A stream of which nothing has arrived for this long is shown as stale: when acquisition
/// announces 'no data'.
pub const STALE_AFTER: Duration = acquisition::limits::SILENCE;

/// When an issue of a channel is told and when it is over, in seconds judged one by one.
#[derive(Debug, Clone, Copy)]
pub struct QualityRule {
    /// Which issue.
    pub issue: QualityIssue,
    /// Told when found in this many …
    pub found_s: u32,
    /// … of the last so many seconds, at most 31.
    pub of_s: u32,
    /// Over when found in none of the last so many seconds, at most 31.
    pub clear_s: u32,
}

/// The rules. A pulled electrode shows as a flat or railed line, as hum, or as something larger
/// than any EEG, and must be told within 5 s: up to 1 s until the next whole second begins, 3 s
/// found, and what it takes to tell. Muscle and pops come and go with chewing and movement, so
/// that only what lasts or keeps coming back calls for someone. All are over after 5 s without:
/// shorter, and a loose lead would call at every touch.
pub const QUALITY_RULES: [QualityRule; 6] = [
    QualityRule {
        issue: QualityIssue::Flat,
        found_s: 2,
        of_s: 2,
        clear_s: 5,
    },
    QualityRule {
        issue: QualityIssue::Railed,
        found_s: 2,
        of_s: 2,
        clear_s: 5,
    },
    QualityRule {
        issue: QualityIssue::Mains,
        found_s: 3,
        of_s: 3,
        clear_s: 5,
    },
    QualityRule {
        issue: QualityIssue::Excessive,
        found_s: 3,
        of_s: 3,
        clear_s: 5,
    },
    QualityRule {
        issue: QualityIssue::ElectrodePop,
        found_s: 3,
        of_s: 10,
        clear_s: 10,
    },
    QualityRule {
        issue: QualityIssue::Muscle,
        found_s: 10,
        of_s: 10,
        clear_s: 10,
    },
];
const _: () = {
    let mut at = 0;
    while at < QUALITY_RULES.len() {
        let rule = &QUALITY_RULES[at];
        // A bit a second; the word has 32.
        assert!(rule.of_s < 32 && rule.clear_s < 32 && rule.found_s <= rule.of_s);
        at += 1;
    }
};

/// Frequencies of display filters, Hz: above the fastest amplifier's half rate.
pub const MAX_FILTER_HZ: f64 = 100_000.0;

/// Least columns a second of a feed: an hour across 360 pixels.
pub const MIN_COLUMNS_PER_S: f64 = 0.1;

/// Most columns a second of a feed: 8k pixels at 5 s a page, thrice over.
pub const MAX_COLUMNS_PER_S: f64 = 4_000.0;

/// Longest history that a feed begins with, s: ten minutes to look back.
pub const MAX_HISTORY_S: f64 = 600.0;

/// Most pairs of least and greatest value in a feed's history or a page: 64 MB of floats.
pub const MAX_VIEW_PAIRS: usize = 8 << 20;

/// Columns of one message of a feed: 4,096 rows of them are still one message.
pub const MESSAGE_COLUMNS: usize = 512;

/// Live columns that wait for a client, in messages; older ones are dropped and counted. At 25
/// blocks a second and two streams, five seconds.
pub const OUTBOX_COLUMNS: usize = 256;

/// And in bytes, history apart: what 512 rows at 800 columns a second come to in five seconds.
pub const OUTBOX_BYTES: usize = 16 << 20;

/// Items that wait for a feed's thread, which computes history meanwhile: 20 s of five streams.
pub const FEED_ITEMS: usize = 2_048;

/// Feeds of one session: windows, looks back, and a switch under way in each.
pub const MAX_FEEDS: usize = 32;

/// Blocks between device thread and hub; the oldest are dropped when the hub does not come to run.
pub const HUB_QUEUE: usize = 1_024;

/// How long the hub waits for a block before it looks for marks and silence.
pub const HUB_BEAT: Duration = Duration::from_millis(50);

/// A stream without samples for this long is told to displays as a gap that lasts, as acquisition
/// announces 'no data'.
pub const NO_DATA: Duration = Duration::from_secs(2);

/// Samples held in memory beside a running session, ns: a page of 10 s and the longest warm-up of
/// the default filters, so that a switch reads no file.
pub const RING_NS: i64 = 20_000_000_000;

/// And in bytes: 64 channels × 1 kHz × 20 s thrice over.
pub const RING_BYTES: usize = 16 << 20;

/// Whatever the bytes, this much is held, ns: four times what the journal may be behind.
pub const RING_LEAST_NS: i64 = 2_000_000_000;

/// Marks held beside a running session.
pub const RING_MARKS: usize = 1_024;

/// How long a correction waits for the mark that it corrects to come through the recorder, which
/// takes marks at every tick of a tenth of a second.
pub const MARK_WAIT: Duration = Duration::from_secs(2);

/// How often it looks.
pub const MARK_POLL: Duration = Duration::from_millis(20);

/// Most columns of a page: an 8K screen twice over, as the overview's own limit.
pub const MAX_PAGE_COLUMNS: u32 = 16_384;

/// Shortest page, s: a few samples of the fastest amplifier.
pub const MIN_PAGE_S: f64 = 1e-3;

/// Longest page, s: ten years.
pub const MAX_PAGE_S: f64 = 3.2e8;

/// Values (channels × samples) that a page derives and filters; what is longer is drawn from the
/// overview. 32 channels × 256 Hz for three minutes.
pub const PAGE_VALUES: u64 = 1_500_000;

/// A page of the time bases (60 s and less) is always derived and filtered, up to this many values:
/// 256 channels × 2 kHz.
pub const PAGE_MOST_VALUES: u64 = 32_000_000;

/// Longest time base, s.
pub const LONGEST_PAGE_S: f64 = 60.0;

/// Pages computed at once; further ones wait.
pub const PAGES_AT_ONCE: usize = 4;

/// Recordings kept open for paging.
pub const SHELF: usize = 8;

/// A running recording is looked at again when the last look is older than this.
pub const SHELF_FRESH: Duration = Duration::from_millis(100);

/// Sensitivities to choose from, µV/mm: the steps of clinical recorders, from 1 to 1,000.
pub const SENSITIVITIES_UV_MM: [f64; 17] = [
    1.0, 2.0, 3.0, 5.0, 7.0, 10.0, 15.0, 20.0, 30.0, 50.0, 70.0, 100.0, 150.0, 200.0, 300.0, 500.0,
    1_000.0,
];

/// Sensitivity to begin with, µV/mm (ACNS guideline 1: 5 to 10, 7 in common use).
pub const DEFAULT_SENSITIVITY_UV_MM: f64 = 7.0;

/// Time bases to choose from, s/page.
pub const PAGES_S: [f64; 6] = [5.0, 10.0, 15.0, 20.0, 30.0, 60.0];

/// Time base to begin with, s/page (ACNS guideline 1: 30 mm/s, 10 s across 300 mm).
pub const DEFAULT_PAGE_S: f64 = 10.0;

/// Shortest such time that policy may ask for, s: less would lock while someone reads.
pub const SHORTEST_LOCK_AFTER_S: u32 = 60;

/// Longest, s.
pub const LONGEST_LOCK_AFTER_S: u32 = 3_600;

/// Largest policy file that is read, bytes.
pub const MAX_POLICY_BYTES: u64 = 64 << 10;

/// Channels and rate that a timing certificate is measured with: a 10-20 EEG.
pub const CERTIFY_CHANNELS: u32 = 16;
/// See [`CERTIFY_CHANNELS`]; Hz.
pub const CERTIFY_RATE_HZ: u32 = 256;

/// How fast the clock of the device runs that a timing certificate is measured with, ppm: a common
/// crystal.
pub const CERTIFY_DRIFT_PPM: f64 = 50.0;

/// How long its link may delay a block, ms: a good radio link; without it the fitted clock would have
/// nothing to do.
pub const CERTIFY_LINK_JITTER_MS: f64 = 4.0;

/// Columns a second that the measurement draws: a page of 10 s on 1,900 pixels.
pub const TIMING_COLUMNS_PER_S: u32 = 190;

/// Shortest measurement of the timing: below, the clock has not settled.
pub const SHORTEST_CERTIFY: Duration = Duration::from_secs(10);

/// Longest.
pub const LONGEST_CERTIFY: Duration = Duration::from_secs(3_600);

/// The fitted clock is judged from here on.
pub const CLOCK_SETTLES: Duration = Duration::from_secs(5);

/// Blocks that wait for the outlet of a published session: about 1 s at 50 blocks a second for several streams;
/// what is older is of no use to a program that watches.
pub(crate) const FEED_BLOCKS: usize = 256;

/// Marks that wait for it.
pub(crate) const OUTLET_MARKS: usize = 64;

/// Longest wait for a block, which bounds how late a mark goes out.
pub(crate) const OUTLET_WAIT: Duration = Duration::from_millis(20);
