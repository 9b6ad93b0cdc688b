//! Documents must name things that exist.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The root of the checkout.
pub(crate) fn checkout() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("the tests crate is a folder of the checkout")
        .to_owned()
}

/// Every file of the checkout that git tracks or would track, relative to its root.
pub(crate) fn tracked_files() -> Vec<PathBuf> {
    let output = Command::new("git")
        .args(["ls-files", "--cached", "--others", "--exclude-standard"])
        .current_dir(checkout())
        .output()
        .expect("git is installed by scripts/setup");
    assert!(output.status.success(), "git ls-files failed");
    String::from_utf8(output.stdout)
        .expect("file names are UTF-8")
        .lines()
        .map(PathBuf::from)
        .filter(|path| checkout().join(path).exists())
        .collect()
}

fn markdown_files() -> Vec<PathBuf> {
    let files: Vec<_> = tracked_files()
        .into_iter()
        .filter(|path| path.extension().is_some_and(|extension| extension == "md"))
        .collect();
    assert!(
        files.len() > 10,
        "the list of documents is not complete: {files:?}"
    );
    files
}

/// The text between backticks, for every pair on every line outside code blocks.
fn code_spans(text: &str) -> Vec<String> {
    let mut spans = Vec::new();
    let mut in_block = false;
    for line in text.lines() {
        if line.trim_start().starts_with("```") {
            in_block = !in_block;
        } else if !in_block {
            spans.extend(line.split('`').skip(1).step_by(2).map(str::to_owned));
        }
    }
    spans
}

fn looks_like_a_path(span: &str) -> bool {
    let known_roots = [
        "domain/",
        "commands/",
        "projections/",
        "api/",
        "infra/",
        "tests/",
        "docs/",
        "scripts/",
        ".ci/",
    ];
    known_roots.iter().any(|root| span.starts_with(root))
        && !span.contains([' ', '<', '*', '{', '…'])
}

#[test]
fn paths_in_documents_exist() {
    for file in markdown_files() {
        let text = fs::read_to_string(checkout().join(&file)).unwrap();
        for span in code_spans(&text)
            .iter()
            .filter(|span| looks_like_a_path(span))
        {
            assert!(
                checkout().join(span).exists(),
                "{} names {span}, which does not exist",
                file.display()
            );
        }
    }
}

#[test]
fn links_between_documents_lead_somewhere() {
    for file in markdown_files() {
        let text = fs::read_to_string(checkout().join(&file)).unwrap();
        let folder = checkout().join(file.parent().unwrap_or(Path::new("")));
        for part in text.split("](").skip(1) {
            let target = part.split(')').next().unwrap_or_default();
            let path = target.split('#').next().unwrap_or_default();
            if path.is_empty() || target.contains("://") || target.starts_with("mailto:") {
                continue;
            }
            assert!(
                folder.join(path).exists(),
                "{} links to {target}, which does not exist",
                file.display()
            );
        }
    }
}

#[test]
fn every_direct_dependency_is_explained() {
    let manifest = fs::read_to_string(checkout().join("Cargo.toml")).unwrap();
    let page = fs::read_to_string(checkout().join("docs/dependencies.md")).unwrap();
    let dependencies = manifest
        .split("[workspace.dependencies]")
        .nth(1)
        .and_then(|rest| rest.split("\n[").next())
        .expect("the workspace lists its dependencies");
    let names: Vec<_> = dependencies
        .lines()
        .filter_map(|line| line.split_once(" = ").map(|(name, _)| name.trim()))
        .filter(|name| !name.starts_with("satpost-"))
        .collect();
    assert!(
        names.len() > 20,
        "the list of dependencies is not complete: {names:?}"
    );
    for name in &names {
        assert!(
            page.contains(&format!("| `{name}` |")),
            "docs/dependencies.md has no line for {name}"
        );
    }
    for line in page.lines().filter_map(|line| line.strip_prefix("| `")) {
        let name = line.split('`').next().unwrap_or_default();
        assert!(
            names.contains(&name),
            "docs/dependencies.md explains {name}, which is not used any more"
        );
    }
}

#[test]
fn every_decision_is_in_the_index() {
    let folder = checkout().join("docs/adr");
    let index = fs::read_to_string(folder.join("README.md")).unwrap();
    for entry in fs::read_dir(&folder).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        assert!(
            name == "README.md" || index.contains(&format!("({name})")),
            "docs/adr/README.md does not list {name}"
        );
    }
}
