//! Edges between crates against the table in `edges.txt`, and dependencies against the workspace and the documents.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use toml::{Table, Value};

const TABLE: &str = include_str!("edges.txt");

/// What one crate may use.
struct Allowed {
    always: BTreeSet<String>,
    in_tests: BTreeSet<String>,
}

/// All findings.
pub(super) fn check(root: &Path) -> Result<Vec<String>, String> {
    let allowed = table(TABLE)?;
    let mut findings = Vec::new();
    let crates = root.join("crates");
    let listed = std::fs::read_dir(&crates).map_err(|e| format!("{}: {e}", crates.display()))?;
    let mut names: Vec<String> = listed.flatten().filter_map(|e| e.file_name().into_string().ok()).collect();
    names.sort();
    for name in &names {
        let file = format!("crates/{name}/Cargo.toml");
        let manifest = read(root, &file)?;
        match allowed.get(name) {
            Some(allowed) => findings.extend(crate_edges(&file, &manifest, allowed)),
            None => findings.push(format!("{file}: the crate stands not in xtask/src/tidy/edges.txt")),
        }
        findings.extend(from_the_workspace(&file, &manifest));
    }
    findings.extend(from_the_workspace("xtask/Cargo.toml", &read(root, "xtask/Cargo.toml")?));
    findings.extend(named_in_documents(root)?);
    Ok(findings)
}

fn table(text: &str) -> Result<BTreeMap<String, Allowed>, String> {
    let mut out = BTreeMap::new();
    for line in text.lines().filter(|l| !l.is_empty() && !l.starts_with('#')) {
        let (name, uses) = line.split_once(':').ok_or_else(|| format!("edges.txt: `{line}` has no colon"))?;
        let (always, in_tests) = uses.split_once('|').unwrap_or((uses, ""));
        let set = |words: &str| words.split_whitespace().map(str::to_owned).collect();
        out.insert(name.to_owned(), Allowed { always: set(always), in_tests: set(in_tests) });
    }
    Ok(out)
}

fn crate_edges(file: &str, manifest: &Table, allowed: &Allowed) -> Vec<String> {
    let mut findings = Vec::new();
    for (section, in_tests) in
        [("dependencies", false), ("build-dependencies", false), ("dev-dependencies", true)]
    {
        for name in keys(manifest, section).filter_map(|k| k.strip_prefix("bailee-")) {
            let is_allowed = allowed.always.contains(name) || (in_tests && allowed.in_tests.contains(name));
            if !is_allowed {
                findings.push(format!(
                    "{file}: `{name}` in [{section}] is an edge that xtask/src/tidy/edges.txt does not allow"
                ));
            }
        }
    }
    findings
}

/// One version of each dependency and one set of lints, both said in the workspace.
fn from_the_workspace(file: &str, manifest: &Table) -> Vec<String> {
    let inherits = |value: Option<&Value>| {
        value.and_then(Value::as_table).and_then(|t| t.get("workspace")).and_then(Value::as_bool)
            == Some(true)
    };
    let mut findings = Vec::new();
    for section in ["dependencies", "build-dependencies", "dev-dependencies"] {
        for name in keys(manifest, section) {
            let value = manifest.get(section).and_then(|s| s.get(name));
            if !inherits(value) {
                findings.push(format!("{file}: `{name}` must be `{name}.workspace = true`"));
            }
        }
    }
    if !inherits(manifest.get("lints")) {
        findings.push(format!("{file}: [lints] must be `workspace = true`"));
    }
    findings
}

/// Each dependency from outside has its reason in `docs/dependencies.md`; what is gone from here is gone from there.
fn named_in_documents(root: &Path) -> Result<Vec<String>, String> {
    const FILE: &str = "docs/dependencies.md";
    let Ok(text) = std::fs::read_to_string(root.join(FILE)) else {
        return Ok(vec![format!("{FILE}: it is missing")]);
    };
    let workspace = read(root, "Cargo.toml")?;
    let all = workspace.get("workspace").and_then(Value::as_table).cloned().unwrap_or_default();
    Ok(keys(&all, "dependencies")
        .filter(|name| !name.starts_with("bailee-") && !text.contains(&format!("`{name}`")))
        .map(|name| format!("{FILE}: it does not say what `{name}` is for"))
        .collect())
}

fn keys<'t>(manifest: &'t Table, section: &str) -> impl Iterator<Item = &'t str> {
    manifest.get(section).and_then(Value::as_table).into_iter().flat_map(|t| t.keys().map(String::as_str))
}

fn read(root: &Path, file: &str) -> Result<Table, String> {
    let text = std::fs::read_to_string(root.join(file)).map_err(|e| format!("{file}: {e}"))?;
    text.parse().map_err(|e| format!("{file}: {e}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allowed(line: &str) -> Allowed {
        table(line).unwrap().remove("web").unwrap()
    }

    #[test]
    fn an_edge_that_the_table_does_not_have_is_found() {
        let manifest =
            "[dependencies]\nbailee-rooms.workspace = true\nbailee-store.workspace = true".parse().unwrap();
        let found = crate_edges("m", &manifest, &allowed("web: rooms"));
        assert_eq!(
            found,
            ["m: `store` in [dependencies] is an edge that xtask/src/tidy/edges.txt does not allow"]
        );
    }

    #[test]
    fn an_edge_for_tests_is_none_for_the_program() {
        let only_tests = allowed("web: rooms | testkit");
        let manifest = "[dev-dependencies]\nbailee-testkit.workspace = true".parse().unwrap();
        assert!(crate_edges("m", &manifest, &only_tests).is_empty());
        let manifest = "[dependencies]\nbailee-testkit.workspace = true".parse().unwrap();
        assert_eq!(crate_edges("m", &manifest, &only_tests).len(), 1);
    }

    #[test]
    fn a_version_outside_the_workspace_is_found() {
        let manifest = "[lints]\nworkspace = true\n[dependencies]\nserde = \"1\"".parse().unwrap();
        assert_eq!(from_the_workspace("m", &manifest), ["m: `serde` must be `serde.workspace = true`"]);
    }
}
