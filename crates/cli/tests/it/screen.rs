//! What is different on a terminal: colors, the width, the bar of a replay.

use std::{
    ffi::OsStr,
    fs::{File, OpenOptions},
    io::Read as _,
    os::unix::ffi::OsStrExt as _,
};

use rustix::{
    pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt},
    termios::{Winsize, tcsetwinsize},
};

use crate::support::{Stored, program};

/// Runs the program on a terminal of so many columns; returns all that the terminal was sent.
fn on_screen(stored: &Stored, columns: u16, arguments: &[&str], variables: &[(&str, &str)]) -> String {
    let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).expect("there are terminals");
    grantpt(&master).and_then(|()| unlockpt(&master)).expect("it is ours");
    let name = ptsname(&master, Vec::new()).expect("it has a name");
    let screen = OpenOptions::new().read(true).write(true).open(OsStr::from_bytes(name.to_bytes())).expect("it opens");
    let size = Winsize { ws_row: 40, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
    tcsetwinsize(&screen, size).expect("it can be sized");
    let other_end = || screen.try_clone().expect("a handle can be doubled");
    let mut command = program();
    command.args(arguments).arg("--store").arg(&stored.path).env("TERM", "xterm").env_remove("NO_COLOR");
    command.envs(variables.iter().copied()).stdin(other_end()).stdout(other_end()).stderr(other_end());
    let mut child = command.spawn().expect("the program begins");
    // What keeps the terminal open is the child alone, so that reading ends with it.
    drop(command);
    drop(screen);
    let mut sent = Vec::new();
    let mut master = File::from(master);
    let mut part = [0; 4_096];
    // The end of a terminal is an error on Linux.
    while let Ok(count @ 1..) = master.read(&mut part) {
        sent.extend_from_slice(&part[..count]);
    }
    assert!(child.wait().expect("it was started").success());
    String::from_utf8(sent).expect("the program writes UTF-8")
}

#[test]
fn colors_come_on_a_terminal_alone_and_not_where_nobody_wants_them() {
    let stored = Stored::with_runs(1);
    for command in ["show", "events"] {
        assert!(on_screen(&stored, 120, &[command], &[]).contains("\u{1b}[31m"), "{command}: a failure is red");
        for (name, value) in [("NO_COLOR", "1"), ("TERM", "dumb")] {
            let plain = on_screen(&stored, 120, &[command], &[(name, value)]);
            assert!(!plain.contains('\u{1b}'), "{command} with {name}: {plain}");
        }
        assert!(on_screen(&stored, 120, &[command], &[("NO_COLOR", "")]).contains('\u{1b}'), "empty is not set");
    }
}

#[test]
fn a_drawing_is_as_wide_as_the_terminal() {
    let stored = Stored::with_runs(1);
    for columns in [50, 90, 130] {
        let drawn = on_screen(&stored, columns, &["show"], &[("NO_COLOR", "1"), ("COLUMNS", "200")]);
        let lines = drawn.lines().skip(1).filter(|line| !line.contains("components"));
        let widest = lines.map(|line| line.trim_end().chars().count()).max().unwrap();
        assert!(widest <= usize::from(columns) && widest + 40 > usize::from(columns), "{widest} of {columns}: {drawn}");
    }
}

#[test]
fn a_replay_has_a_bar_below_whole_lines_and_leaves_none_behind() {
    let stored = Stored::with_runs(3);
    for speed in ["max", "1"] {
        let shown = on_screen(&stored, 100, &["replay", "--speed", speed], &[]);
        assert!(shown.contains(" events  ") && shown.contains(" left"), "{shown}");
        // What stays on the screen is what was written since the last time that the line was cleared.
        let cleared = |line: &str| line.rsplit("\u{1b}[2K").next().unwrap_or_default().trim_end().to_owned();
        let lines: Vec<_> = shown.lines().map(cleared).filter(|line| !line.is_empty()).collect();
        let said =
            lines.iter().filter(|line| line.contains("researcher says: An otter lives for ten to sixteen years."));
        assert_eq!(said.count(), 3, "{shown:?}");
        assert!(!lines.last().unwrap().contains(" left"), "{shown:?}");
    }
}
