//! The source files, as the rules read them.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// A source file.
pub(super) struct Source {
    /// Below the folder of the sources, with `/` between its parts.
    pub(super) path: String,
    pub(super) text: String,
}

impl Source {
    /// The code, without comments and unit tests.
    pub(super) fn code(&self) -> String {
        let tested = self.text.split("#[cfg(test)]\nmod tests").next().unwrap_or_default();
        let lines = tested.lines().filter(|line| !line.trim_start().starts_with("//"));
        lines.collect::<Vec<_>>().join("\n")
    }

    /// The folder below `src`, empty for a file of the crate's root.
    pub(super) fn folder(&self) -> &str {
        self.path.rsplit_once('/').map_or("", |(folder, _)| folder)
    }

    /// The outermost folder, or the file's name without its ending if it lies in the crate's root.
    pub(super) fn room(&self) -> &str {
        self.path.split_once('/').map_or_else(|| self.path.trim_end_matches(".rs"), |(room, _)| room)
    }

    /// The file's name without its ending.
    pub(super) fn stem(&self) -> &str {
        self.path.rsplit('/').next().unwrap_or_default().trim_end_matches(".rs")
    }

    /// What the file imports, as whole paths: `use a::{b, c::d}` is `a::b` and `a::c::d`.
    pub(super) fn imports(&self) -> Vec<String> {
        let code = self.code();
        let mut paths = Vec::new();
        for statement in code.split(';') {
            let Some(start) = statement.rfind("use ") else { continue };
            let before = statement[..start].trim_end();
            let is_import = before.is_empty() || before.ends_with(['\n', ']', '}', ')']) || before.ends_with("pub");
            if is_import {
                expand("", &statement[start + 4..], &mut paths);
            }
        }
        paths
    }

    /// Every path that begins with a prefix, imported or written out in the code.
    pub(super) fn paths_from(&self, prefix: &str) -> Vec<String> {
        let code = self.code();
        let written = code.match_indices(prefix).map(|(at, _)| path_at(&code[at..]));
        let imported = self.imports().into_iter().filter(|path| path.starts_with(prefix));
        imported.chain(written).filter(|path| path.len() > prefix.len()).collect()
    }
}

/// All source files of the library.
pub(super) fn sources() -> Vec<Source> {
    let sources = sources_below("src");
    assert!(sources.len() > 50, "the sources lie elsewhere");
    sources
}

/// Where the sources of each member of the workspace lie, below the repository's root.
pub(super) fn members() -> Vec<String> {
    let crates = fs::read_dir(repository().join("crates")).expect("the members lie there");
    let name = |entry: fs::DirEntry| entry.file_name().to_string_lossy().into_owned();
    crates.map(|entry| format!("crates/{}/src", name(entry.expect("an entry of a folder")))).collect()
}

/// All source files below a folder of the repository.
pub(super) fn sources_below(folder: &str) -> Vec<Source> {
    let root = repository().join(folder);
    let source = |path: PathBuf| {
        let text = fs::read_to_string(&path).expect("a source file");
        let below = path.strip_prefix(&root).expect("it was found below the root");
        let parts: Vec<_> = below.iter().map(|part| part.to_string_lossy()).collect();
        Source { path: parts.join("/"), text }
    };
    files_below(&root, "rs").into_iter().map(source).collect()
}

fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The files below a folder whose names end so, in order.
pub(super) fn files_below(folder: &Path, extension: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten() {
        let path = entry.expect("an entry of a folder").path();
        if path.is_dir() {
            if path.file_name().is_some_and(|name| name != "target") {
                found.extend(files_below(&path, extension));
            }
        } else if path.extension().is_some_and(|found| found == extension) {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// Adds the paths of a tree of imports, which begin with a prefix; returns what follows the tree.
fn expand<'a>(prefix: &str, tree: &'a str, paths: &mut Vec<String>) -> &'a str {
    let end = tree.find(['{', ',', '}']).unwrap_or(tree.len());
    let (path, rest) = (tree[..end].trim(), &tree[end..]);
    let Some(mut inner) = rest.strip_prefix('{') else {
        let name = path.rsplit_once(" as ").map_or(path.to_owned(), |(path, alias)| {
            let parent = path.rfind("::").map_or("", |end| &path[..end + 2]);
            format!("{parent}{alias}")
        });
        paths.extend(Some(name).filter(|name| !name.is_empty()).map(|name| format!("{prefix}{name}")));
        return rest;
    };
    let prefix = format!("{prefix}{path}");
    loop {
        inner = expand(&prefix, inner, paths);
        match inner.split_at_checked(1) {
            Some((",", after)) => inner = after,
            Some((_, after)) => return after,
            None => return inner,
        }
    }
}

fn path_at(code: &str) -> String {
    let is_part = |c: char| c.is_alphanumeric() || c == '_' || c == ':';
    code.chars().take_while(|c| is_part(*c)).collect::<String>().trim_end_matches(':').to_owned()
}

#[test]
fn imports_are_read_as_whole_paths() {
    let text = "//! Head.\nuse a::{\n    b,\n    c::{self, D as E},\n    f::{G, h::I},\n};\npub(crate) use j::K;\npub use l::M;\n";
    let source = Source { path: "x/y.rs".to_owned(), text: text.to_owned() };
    let expected = ["a::b", "a::c::self", "a::c::E", "a::f::G", "a::f::h::I", "j::K", "l::M"];
    assert_eq!(source.imports(), expected);
    assert_eq!((source.folder(), source.room(), source.stem()), ("x", "x", "y"));
}
