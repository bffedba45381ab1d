//! A serial line that exists in memory: a pseudo-terminal behind a name that stays.

use crate::Error;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::OptionalActions;
use std::fs;
use std::os::fd::OwnedFd;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How long what was sent may wait in the line for its reader before the line is cut.
const LINGER: Duration = Duration::from_millis(300);
/// Looks in a row, 2 ms apart, that must find it empty.
const EMPTY_LOOKS: u32 = 10;

/// The device's end of the line. The other end is opened at the path given.
#[derive(Debug)]
pub(crate) struct Pty {
    path: PathBuf,
    master: Option<OwnedFd>,
}

/// What became of bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Written {
    All,
    /// Nobody has the line open, or nobody reads: this many bytes went out.
    Only(usize),
}

fn system(what: &str) -> impl FnOnce(Errno) -> Error {
    let what = what.to_owned();
    move |error| Error::io(what, error.into())
}

impl Pty {
    /// A line whose other end is at `path`, a link that is replaced when it exists.
    pub(crate) fn new(path: &Path) -> Result<Self, Error> {
        let mut line = Self {
            path: path.to_owned(),
            master: None,
        };
        line.connect()?;
        Ok(line)
    }

    /// Plugs the line in.
    pub(crate) fn connect(&mut self) -> Result<(), Error> {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC)
            .map_err(system("cannot make a pseudo-terminal"))?;
        grantpt(&master).map_err(system("cannot grant the pseudo-terminal"))?;
        unlockpt(&master).map_err(system("cannot unlock the pseudo-terminal"))?;
        let mut mode =
            rustix::termios::tcgetattr(&master).map_err(system("cannot ask the line"))?;
        mode.make_raw();
        rustix::termios::tcsetattr(&master, OptionalActions::Now, &mode)
            .map_err(system("cannot set the line"))?;
        let flags = rustix::fs::fcntl_getfl(&master).map_err(system("cannot ask the line"))?;
        rustix::fs::fcntl_setfl(&master, flags | OFlags::NONBLOCK)
            .map_err(system("cannot set the line"))?;
        let name = ptsname(&master, Vec::new()).map_err(system("the line has no name"))?;
        let name = PathBuf::from(name.to_string_lossy().into_owned());
        self.unlink();
        symlink(&name, &self.path)
            .map_err(|error| Error::io(format!("cannot make {}", self.path.display()), error))?;
        self.master = Some(master);
        Ok(())
    }

    /// Unplugs it, once what was sent has been read.
    pub(crate) fn disconnect(&mut self) {
        self.linger();
        self.unlink();
        self.master = None;
    }

    fn unlink(&self) {
        if fs::symlink_metadata(&self.path).is_ok_and(|found| found.is_symlink()) {
            let _ = fs::remove_file(&self.path);
        }
    }

    /// Waits until the reader has taken what is in the line. Where the reader holds it exclusively, it cannot
    /// be asked, and the time must do.
    fn linger(&self) {
        let began = Instant::now();
        let slave = rustix::fs::open(
            &self.path,
            OFlags::RDONLY | OFlags::NOCTTY | OFlags::NONBLOCK | OFlags::CLOEXEC,
            Mode::empty(),
        );
        // What was written reaches the reader's side by a worker of the kernel's: an empty line may have bytes on
        // their way to it, so it is believed when it has been empty for a while.
        let mut empty = 0;
        while began.elapsed() < LINGER && empty < EMPTY_LOOKS {
            std::thread::sleep(Duration::from_millis(2));
            let is_empty =
                matches!(&slave, Ok(slave) if rustix::io::ioctl_fionread(slave) == Ok(0));
            empty = if is_empty { empty + 1 } else { 0 };
        }
    }

    /// Whether somebody has the other end open.
    pub(crate) fn is_open(&self) -> bool {
        self.master.as_ref().is_some_and(|master| {
            let mut fds = [PollFd::new(master, PollFlags::IN)];
            poll(&mut fds, Some(&Timespec::default())).is_ok()
                && !fds[0].revents().contains(PollFlags::HUP)
        })
    }

    /// What has come within `timeout`; 0 when nothing has.
    pub(crate) fn read(&self, buffer: &mut [u8], timeout: Duration) -> usize {
        let Some(master) = &self.master else {
            std::thread::sleep(timeout);
            return 0;
        };
        let mut fds = [PollFd::new(master, PollFlags::IN)];
        let _ = poll(&mut fds, Timespec::try_from(timeout).ok().as_ref());
        if fds[0].revents().contains(PollFlags::IN) {
            return rustix::io::read(master, buffer).unwrap_or(0);
        }
        if fds[0].revents().contains(PollFlags::HUP) {
            // Nobody there: poll returns at once, and the device must not spin.
            std::thread::sleep(timeout.min(Duration::from_millis(5)));
        }
        0
    }

    /// Sends bytes, waiting at most `patience` for room.
    pub(crate) fn write(&self, bytes: &[u8], patience: Duration) -> Written {
        let (Some(master), true) = (&self.master, self.is_open()) else {
            return Written::Only(0);
        };
        let (began, mut sent) = (Instant::now(), 0);
        while sent < bytes.len() {
            match rustix::io::write(master, &bytes[sent..]) {
                Ok(count) => sent += count,
                Err(Errno::AGAIN | Errno::INTR) => {
                    if began.elapsed() >= patience || !self.is_open() {
                        return Written::Only(sent);
                    }
                    let mut fds = [PollFd::new(master, PollFlags::OUT)];
                    let wait = Duration::from_millis(5);
                    let _ = poll(&mut fds, Timespec::try_from(wait).ok().as_ref());
                }
                Err(_) => return Written::Only(sent),
            }
        }
        Written::All
    }
}

impl Drop for Pty {
    fn drop(&mut self) {
        self.unlink();
    }
}
