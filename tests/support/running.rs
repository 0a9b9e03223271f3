//! An example while it runs, read line by line or character by character.

use std::{
    io::{BufRead as _, BufReader, Read as _},
    process::{Child, ChildStdout, Command, Stdio},
};

use super::process::{example, isolate};

/// A running example; killed when dropped.
#[derive(Debug)]
pub(crate) struct Running {
    child: Child,
    stdout: BufReader<ChildStdout>,
}

impl Running {
    #[track_caller]
    pub(crate) fn start(name: &str, arguments: &[&str], variables: &[(&str, &str)]) -> Self {
        let mut command = example(name, arguments);
        isolate(&mut command, variables);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().expect("it starts");
        let stdout = BufReader::new(child.stdout.take().expect("it is piped"));
        Self { child, stdout }
    }

    /// Waits for the next line.
    #[track_caller]
    pub(crate) fn line(&mut self) -> String {
        let mut line = String::new();
        self.stdout.read_line(&mut line).expect("a pipe can be read");
        assert!(!line.is_empty(), "it ended: {:?}", self.child.try_wait());
        line.trim_end().to_owned()
    }

    /// Waits until this much has been written, whether or not a line is complete.
    #[track_caller]
    pub(crate) fn wrote(&mut self, expected: &str) {
        let mut written = vec![0; expected.len()];
        self.stdout.read_exact(&mut written).expect("it writes this much");
        assert_eq!(String::from_utf8_lossy(&written), expected);
    }

    /// Presses Ctrl-C and reads what is left.
    #[cfg(unix)]
    #[track_caller]
    pub(crate) fn interrupt(mut self) -> (bool, String) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args(["-INT", &pid]).status().expect("there is `kill`").success());
        let mut rest = String::new();
        self.stdout.read_to_string(&mut rest).expect("a pipe can be read");
        (self.child.wait().expect("it is our child").success(), rest)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended already.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}
