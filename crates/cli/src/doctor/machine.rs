//! The file system that a store lies on.

use std::path::Path;

use super::check::{Check, Part};

/// The least room that a store should have, in bytes.
#[cfg(unix)]
const MIN_FREE: u64 = 256 * 1024 * 1024;

/// Bytes as people read them.
pub(super) fn amount(bytes: u64) -> String {
    let mut unit = 0;
    #[expect(clippy::cast_precision_loss, reason = "an amount for people")]
    let mut amount = bytes as f64;
    let units = ["bytes", "KiB", "MiB", "GiB", "TiB"];
    while amount >= 1024.0 && unit + 1 < units.len() {
        amount /= 1024.0;
        unit += 1;
    }
    if unit == 0 { format!("{bytes} bytes") } else { format!("{amount:.1} {}", units[unit]) }
}

/// How much room there is, and whether the file system is one that a store works on.
#[cfg(unix)]
pub(super) fn checks(path: &Path) -> Vec<Check> {
    let mut checks = Vec::new();
    match rustix::fs::statvfs(path) {
        Ok(found) => {
            let free = found.f_bavail.saturating_mul(found.f_frsize);
            let what = format!("{} are free", amount(free));
            checks.push(if free < MIN_FREE {
                Part::Store.problem("disk", what, "make room, or bound the store by a retention")
            } else {
                Part::Store.ok("disk", what)
            });
        }
        Err(error) => checks.push(Part::Store.note("disk", format!("how much room there is cannot be read: {error}"))),
    }
    checks.extend(kind(path));
    checks
}

#[cfg(not(unix))]
pub(super) fn checks(_: &Path) -> Vec<Check> {
    vec![Part::Store.note("disk", "how much room there is, is not looked at on this system")]
}

/// The magic numbers of Linux, `statfs(2)`.
#[cfg(target_os = "linux")]
fn kind(path: &Path) -> Option<Check> {
    const NETWORK: [(u32, &str); 7] = [
        (0x6969, "NFS"),
        (0x517b, "SMB"),
        (0xff53_4d42, "CIFS"),
        (0xfe53_4d42, "SMB2"),
        (0x0102_1997, "9p"),
        (0x00c3_6400, "Ceph"),
        (0x5346_414f, "AFS"),
    ];
    const TMPFS: u32 = 0x0102_1994;
    let found = rustix::fs::statfs(path).ok()?;
    // Which integer it is depends on the machine; the numbers have 32 bits.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "see above")]
    let magic = found.f_type as u32;
    if magic == TMPFS {
        return Some(
            Part::Store.note("filesystem", "it lies in memory (tmpfs), and is gone when the machine restarts"),
        );
    }
    let (_, name) = NETWORK.iter().find(|(number, _)| *number == magic)?;
    let what = format!("it lies on a network file system ({name}), where neither SQLite nor the locks of owners work");
    Some(Part::Store.problem("filesystem", what, "move it to a disk of this machine"))
}

#[cfg(all(unix, not(target_os = "linux")))]
const fn kind(_: &Path) -> Option<Check> {
    None
}
