//! The words of comments and documents: each line of the house's list that a program can find.

use std::{fs, path::Path};

use super::source::files_below;

/// What is not written, and what is written in its place.
const BANNED: [(&str, &str); 14] = [
    ("gives", "returns, hands, passes"),
    ("giving", "returning, passing"),
    ("tells", "reports, says"),
    ("telling", "reporting"),
    ("told", "reported"),
    ("given up", "canceled, abandoned"),
    ("gives up", "cancels, abandons"),
    ("broke off", "was interrupted"),
    ("breaks off", "is interrupted"),
    ("inside of", "inside"),
    ("outside of", "outside"),
    ("amid", "during"),
    ("dear", "expensive"),
    ("of the user's own", "the user's"),
];

#[test]
fn comments_and_documents_use_the_words_of_the_house() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut faults = Vec::new();
    for path in files_below(&root.join("src"), "rs") {
        let text = fs::read_to_string(&path).expect("a source file");
        let comments = text.lines().enumerate().filter(|(_, line)| line.trim_start().starts_with("//"));
        look(&path, comments.map(|(at, line)| (at, line.to_owned())), &mut faults);
    }
    for path in files_below(&root.join("docs"), "md").into_iter().chain(documents(root)) {
        let text = fs::read_to_string(&path).expect("a document");
        let mut in_program = false;
        let prose = text.lines().enumerate().filter(|(_, line)| {
            let is_fence = line.trim_start().starts_with("```");
            in_program ^= is_fence;
            !in_program && !is_fence
        });
        look(&path, prose.map(|(at, line)| (at, line.to_owned())), &mut faults);
    }
    assert!(faults.is_empty(), "{} lines:\n{}", faults.len(), faults.join("\n"));
}

fn documents(root: &Path) -> Vec<std::path::PathBuf> {
    ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "CHANGELOG.md"].map(|name| root.join(name)).to_vec()
}

fn look(path: &Path, lines: impl Iterator<Item = (usize, String)>, faults: &mut Vec<String>) {
    for (at, line) in lines {
        let lower = line.to_lowercase();
        let is_word = |found: usize, length: usize| {
            let before = lower[..found].chars().next_back();
            let after = lower[found + length..].chars().next();
            ![before, after].into_iter().flatten().any(|c| c.is_alphanumeric() || c == '_')
        };
        for (banned, instead) in BANNED {
            if lower.match_indices(banned).any(|(found, word)| is_word(found, word.len())) {
                faults.push(format!("{}:{}: {banned:?}, rather {instead}: {}", path.display(), at + 1, line.trim()));
            }
        }
    }
}
