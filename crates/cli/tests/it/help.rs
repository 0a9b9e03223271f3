//! What the program says of itself.

use std::{env, fs, path::Path};

use crate::support::{program, ran};

const GOLDEN: &str = "tests/it/help.txt";

#[test]
fn the_help_is_as_it_was_agreed_on() {
    let mut all = String::new();
    for command in ["", "events", "show", "replay", "recover", "doctor", "completions"] {
        let arguments: Vec<_> = [command, "--help"].into_iter().filter(|argument| !argument.is_empty()).collect();
        let help = ran(program().args(&arguments).output().unwrap());
        assert_eq!((help.code, help.err.as_str()), (0, ""));
        all.push_str(&format!("$ agent-runtime {}\n{}\n", arguments.join(" "), help.out));
    }
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join(GOLDEN);
    if env::var_os("AGENT_RUNTIME_UPDATE_GOLDEN").is_some() {
        fs::write(&golden, &all).unwrap();
    }
    let agreed = fs::read_to_string(golden).unwrap();
    assert!(all == agreed, "{GOLDEN} differs; AGENT_RUNTIME_UPDATE_GOLDEN=1 writes it anew:\n{all}");
}

#[test]
fn every_shell_has_completions_that_name_the_commands() {
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let script = ran(program().args(["completions", shell]).output().unwrap());
        assert_eq!((script.code, script.err.as_str()), (0, ""));
        for word in ["events", "show", "replay", "recover", "doctor", "follow"] {
            assert!(script.out.contains(word), "{shell} does not complete {word}");
        }
    }
    assert_eq!(ran(program().args(["completions", "cmd.exe"]).output().unwrap()).code, 2);
}

#[test]
fn the_version_is_the_packages() {
    let version = ran(program().arg("--version").output().unwrap());
    assert_eq!(version.out, format!("agent-runtime {}\n", env!("CARGO_PKG_VERSION")));
}
