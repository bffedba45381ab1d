//! Samples that come channel by channel, each in a notification of its own, put together by their counter.

use signal::HostNanos;

/// Most channels and samples of a group.
pub(super) const CHANNELS: usize = 5;
const SAMPLES: usize = 12;
/// Groups that are incomplete at a time.
const OPEN: usize = 4;
/// A counter so far behind the last given group is late, not begun anew: half a second and more of every stream.
const LATE: u16 = 64;

/// What stands for a sample that was lost: no converter gives it.
pub(super) const LOST: i32 = -1;

/// The samples of one counter.
#[derive(Debug, Clone, Copy)]
pub(super) struct Group {
    pub(super) counter: u16,
    /// When its last notification came.
    pub(super) at: HostNanos,
    /// A bit for each channel that is there.
    pub(super) there: u8,
    pub(super) samples: [[i32; SAMPLES]; CHANNELS],
}

/// Puts groups together.
#[derive(Debug)]
pub(super) struct Groups {
    channels: usize,
    open: [Option<Group>; OPEN],
    newest: [Option<u16>; CHANNELS],
    given: Option<u16>,
}

impl Groups {
    pub(super) const fn new(channels: usize) -> Self {
        Self {
            channels,
            open: [None; OPEN],
            newest: [None; CHANNELS],
            given: None,
        }
    }

    pub(super) const fn begin(&mut self) {
        *self = Self::new(self.channels);
    }

    /// Adds a channel's samples. Gives groups that are complete, or that can no more become so because every
    /// channel that they lack has gone on. Whether the samples were new.
    pub(super) fn push(
        &mut self,
        channel: usize,
        counter: u16,
        samples: &[i32],
        at: HostNanos,
        mut give: impl FnMut(&Group),
    ) -> bool {
        if channel >= self.channels || samples.len() > SAMPLES {
            return false;
        }
        if self
            .given
            .is_some_and(|given| given.wrapping_sub(counter) < LATE)
        {
            return false;
        }
        let place = match self.place(counter) {
            Some(place) => place,
            None => self.make(counter, at, &mut give),
        };
        let Some(group) = &mut self.open[place] else {
            return false;
        };
        if group.there & 1 << channel != 0 {
            return false;
        }
        group.there |= 1 << channel;
        group.at = at;
        group.samples[channel][..samples.len()].copy_from_slice(samples);
        self.newest[channel] = Some(counter);
        self.close(at, &mut give);
        true
    }

    /// Gives, in order, groups to which nothing came since before `since`.
    pub(super) fn flush(&mut self, since: HostNanos, mut give: impl FnMut(&Group)) -> bool {
        let mut any = false;
        while let Some(place) = self.oldest()
            && self.open[place].is_some_and(|group| group.at < since)
        {
            self.give(place, None, &mut give);
            any = true;
        }
        any
    }

    fn place(&self, counter: u16) -> Option<usize> {
        let is_it = |group: &Option<Group>| group.is_some_and(|group| group.counter == counter);
        self.open.iter().position(is_it)
    }

    /// The open group with the lowest counter, wraps considered.
    fn oldest(&self) -> Option<usize> {
        let mut oldest: Option<(usize, u16)> = None;
        for (place, group) in self.open.iter().enumerate() {
            let Some(group) = group else { continue };
            if oldest.is_none_or(|(_, counter)| is_newer(counter, group.counter)) {
                oldest = Some((place, group.counter));
            }
        }
        oldest.map(|(place, _)| place)
    }

    fn make(&mut self, counter: u16, at: HostNanos, give: &mut impl FnMut(&Group)) -> usize {
        let free = self.open.iter().position(Option::is_none);
        let place = free.unwrap_or_else(|| {
            let place = self.oldest().unwrap_or(0);
            self.give(place, Some(at), give);
            place
        });
        self.open[place] = Some(Group {
            counter,
            at,
            there: 0,
            samples: [[LOST; SAMPLES]; CHANNELS],
        });
        place
    }

    fn close(&mut self, at: HostNanos, give: &mut impl FnMut(&Group)) {
        while let Some(place) = self.oldest()
            && self.open[place].is_some_and(|group| self.is_closed(&group))
        {
            self.give(place, Some(at), give);
        }
    }

    fn is_closed(&self, group: &Group) -> bool {
        (0..self.channels).all(|channel| {
            let is_there = group.there & 1 << channel != 0;
            is_there || self.newest[channel].is_some_and(|newest| is_newer(newest, group.counter))
        })
    }

    fn give(&mut self, place: usize, at: Option<HostNanos>, give: &mut impl FnMut(&Group)) {
        if let Some(mut group) = self.open[place].take() {
            group.at = at.unwrap_or(group.at);
            self.given = Some(group.counter);
            give(&group);
        }
    }
}

const fn is_newer(one: u16, than: u16) -> bool {
    let ahead = one.wrapping_sub(than);
    ahead != 0 && ahead < 1 << 15
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Counter and present channels of what is given for these notifications of (channel, counter).
    fn given(channels: usize, came: &[(usize, u16)]) -> Vec<(u16, u8)> {
        let mut groups = Groups::new(channels);
        let mut given = Vec::new();
        for (n, (channel, counter)) in came.iter().enumerate() {
            let at = HostNanos(i64::try_from(n).expect("few"));
            let value = i32::from(*counter);
            groups.push(*channel, *counter, &[value; 12], at, |group| {
                for (row, samples) in group.samples.iter().enumerate().take(channels) {
                    let lost = group.there & 1 << row == 0;
                    let expected = if lost { LOST } else { i32::from(group.counter) };
                    assert_eq!(*samples, [expected; 12]);
                }
                given.push((group.counter, group.there));
            });
        }
        groups.flush(HostNanos(i64::MAX), |group| {
            given.push((group.counter, group.there));
        });
        given
    }

    #[test]
    fn channels_of_one_counter_make_a_group() {
        let came = [(0, 65_535), (1, 65_535), (1, 0), (0, 0), (0, 1)];
        assert_eq!(given(2, &came), [(65_535, 3), (0, 3), (1, 1)]);
    }

    #[test]
    fn a_lost_channel_is_known_when_it_has_gone_on() {
        let came = [(0, 1), (0, 2), (1, 2), (1, 3), (0, 3)];
        assert_eq!(given(2, &came), [(1, 1), (2, 3), (3, 3)]);
    }

    #[test]
    fn repeated_and_reordered_ones_change_nothing() {
        let came = [
            (0, 1),
            (0, 1),
            (1, 1),
            (1, 1),
            (0, 1),
            (0, 3),
            (0, 2),
            (1, 2),
            (1, 3),
        ];
        assert_eq!(given(2, &came), [(1, 3), (2, 3), (3, 3)]);
    }

    #[test]
    fn a_silent_channel_holds_up_four_groups_and_no_more() {
        let came: Vec<_> = (0..10).map(|counter| (0, counter)).collect();
        let expected: Vec<_> = (0..10).map(|counter| (counter, 1)).collect();
        assert_eq!(given(2, &came), expected);
    }
}
