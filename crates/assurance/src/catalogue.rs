//! Reading the catalogues.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use bailee_proof::claim::Claim;
use serde::Deserialize;

/// The file of each framework.
const FRAMEWORKS: &[&str] = &[
    include_str!("../data/frameworks/mlps2.yaml"),
    include_str!("../data/frameworks/iso27001-2022.yaml"),
    include_str!("../data/frameworks/iso22301-2019.yaml"),
    include_str!("../data/frameworks/iso9001-2015.yaml"),
    include_str!("../data/frameworks/iso20000-1-2018.yaml"),
    include_str!("../data/frameworks/soc2-tsc.yaml"),
];
const CHECKS: &str = include_str!("../data/checks.yaml");
const CLAIMS: &str = include_str!("../data/claims.yaml");
const MAPPINGS: &str = include_str!("../data/mappings.yaml");

/// Words in the two languages.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Text {
    /// Chinese.
    pub zh: String,
    /// English.
    pub en: String,
}

/// Who is shown what a check found.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Sees {
    /// Anybody.
    Public,
    /// A tenant, of what is its own.
    Tenant,
    /// Auditors.
    Auditor,
}

/// How bad a failure is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Hardly.
    Low,
    /// Somewhat.
    Medium,
    /// Bad.
    High,
    /// A promise is broken.
    Critical,
}

/// A question to the running system, answered by pass, fail, unknown or not applicable.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Check {
    /// Its name, `ENC-01`.
    pub id: String,
    /// The room that is looked at.
    pub room: String,
    /// How bad a failure is.
    pub severity: Severity,
    /// How often it is asked, as written (`5m`, `1h`, `24h`, `7d`).
    every: String,
    /// The question in Chinese.
    pub zh: String,
    /// The question in English.
    pub en: String,
    /// What is looked at.
    pub queries: String,
    /// What a finding shows.
    pub evidence: String,
    /// Who is shown it.
    pub sees: Vec<Sees>,
    /// Controls that it supports, `framework:id`; it never says that one is fulfilled.
    pub supports: Vec<String>,
}

impl Check {
    /// Seconds between two times that it is asked.
    pub fn every_secs(&self) -> u64 {
        secs(&self.every).unwrap_or(u64::MAX)
    }

    /// Whether anybody may see what it found.
    pub fn is_public(&self) -> bool {
        self.sees.contains(&Sees::Public)
    }
}

/// One control of a framework.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Control {
    /// Its number in the standard.
    pub id: String,
    /// Our short title in Chinese.
    pub zh: String,
    /// Our short title in English.
    pub en: String,
    /// Of MLPS: the levels that have it.
    #[serde(default)]
    pub levels: Vec<u8>,
    /// Of MLPS: requirement items at level 3.
    #[serde(default)]
    pub items: Option<u32>,
    /// The control that it is a part of.
    #[serde(default)]
    pub parent: Option<String>,
}

/// Controls that belong together.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Group {
    /// Its number.
    pub id: String,
    /// Its title in Chinese.
    pub zh: String,
    /// Its title in English.
    pub en: String,
    /// Where its structure was taken from.
    #[serde(default)]
    pub source: String,
    /// Groups in it.
    #[serde(default)]
    pub groups: Vec<Group>,
    /// Controls in it.
    #[serde(default)]
    pub controls: Vec<Control>,
}

impl Group {
    /// All controls in it, at any depth, in their order.
    pub fn all(&self) -> Vec<&Control> {
        let deeper = self.groups.iter().flat_map(Group::all);
        self.controls.iter().chain(deeper).collect()
    }
}

/// A standard, as a list of its controls.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Framework {
    /// Its name here, `iso27001-2022`.
    #[serde(rename = "framework")]
    pub id: String,
    /// Its title.
    pub title: Text,
    /// The edition.
    pub edition: String,
    /// Where the structure was taken from.
    pub source: String,
    /// What is to be known about it.
    #[serde(default)]
    pub note: Option<Text>,
    /// Its groups.
    pub groups: Vec<Group>,
}

/// How one control relates to another, seen from the first.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Relation {
    /// They ask for the same.
    Equal,
    /// The first is a part of the second.
    Subset,
    /// The second is a part of the first.
    Superset,
    /// They have something in common.
    Intersects,
}

/// A link between frameworks, for the reuse of evidence; never a statement of conformity.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Link {
    /// `framework:id`.
    pub a: String,
    /// What it is linked with.
    pub b: Vec<String>,
    /// How.
    pub rel: Relation,
    /// How sure: `high`, `medium`, `low`.
    pub conf: String,
}

/// Why the catalogues cannot be used.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum CatalogueError {
    /// A file is not of its form.
    #[error("{0}: {1}")]
    File(&'static str, String),
    /// Something is named that is not there, or twice.
    #[error("{0}")]
    Broken(String),
}

/// All of it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Catalogue {
    /// Standards.
    pub frameworks: Vec<Framework>,
    /// Checks, in the order of their file.
    pub checks: Vec<Check>,
    /// Claims.
    pub claims: Vec<Claim>,
    /// Links between standards.
    pub links: Vec<Link>,
}

#[derive(Deserialize)]
struct ChecksFile {
    checks: Vec<Check>,
}

#[derive(Deserialize)]
struct ClaimsFile {
    claims: Vec<ClaimLine>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ClaimLine {
    id: String,
    zh: String,
    en: String,
    checks: Vec<String>,
    max_age: String,
    #[serde(rename = "per")]
    _per: String,
}

#[derive(Deserialize)]
struct LinksFile {
    links: Vec<Link>,
}

static BUILT_IN: LazyLock<Catalogue> = LazyLock::new(|| {
    #[expect(clippy::expect_used, reason = "the files are part of the program, and a test reads them")]
    Catalogue::read(FRAMEWORKS, CHECKS, CLAIMS, MAPPINGS).expect("the catalogues of this program")
});

impl Catalogue {
    /// The one that comes with the program.
    pub fn built_in() -> &'static Self {
        &BUILT_IN
    }

    fn read(frameworks: &[&str], checks: &str, claims: &str, links: &str) -> Result<Self, CatalogueError> {
        let frameworks: Vec<Framework> =
            frameworks.iter().map(|text| parsed("frameworks", text)).collect::<Result<_, _>>()?;
        let checks = parsed::<ChecksFile>("checks", checks)?.checks;
        let links = parsed::<LinksFile>("mappings", links)?.links;
        let claims = parsed::<ClaimsFile>("claims", claims)?
            .claims
            .into_iter()
            .map(|c| {
                let broken = || CatalogueError::Broken(format!("claim {}: max_age `{}`", c.id, c.max_age));
                let max_age_secs = secs(&c.max_age).ok_or_else(broken)?;
                Ok(Claim { id: c.id, max_age_secs, checks: c.checks, en: c.en, zh: c.zh })
            })
            .collect::<Result<_, _>>()?;
        let all = Self { frameworks, checks, claims, links };
        all.holds_together()?;
        Ok(all)
    }

    fn holds_together(&self) -> Result<(), CatalogueError> {
        let broken = |what: String| Err(CatalogueError::Broken(what));
        let controls: BTreeSet<String> = self.controls().map(|(f, c)| format!("{}:{}", f.id, c.id)).collect();
        if controls.len() != self.controls().count() {
            return broken("a control has its number twice".into());
        }
        let frameworks: BTreeSet<_> = self.frameworks.iter().map(|f| f.id.as_str()).collect();
        // Legal bases of transfers are the residency room's list, not a standard's.
        let there = |control: &str| match control.split_once(':') {
            Some((framework, _)) if frameworks.contains(framework) => controls.contains(control),
            Some((framework, _)) => framework == "gdpr-transfer-bases",
            None => false,
        };
        let mut checks = BTreeMap::new();
        for check in &self.checks {
            if checks.insert(check.id.as_str(), check).is_some() || secs(&check.every).is_none() {
                return broken(format!("check {}: twice, or `every` is no time", check.id));
            }
            if let Some(missing) = check.supports.iter().find(|c| !there(c)) {
                return broken(format!("check {}: there is no control {missing}", check.id));
            }
        }
        let mut claims = BTreeSet::new();
        for claim in &self.claims {
            if !claims.insert(&claim.id) {
                return broken(format!("claim {} stands there twice", claim.id));
            }
            if let Some(missing) = claim.checks.iter().find(|c| !checks.contains_key(c.as_str())) {
                return broken(format!("claim {}: there is no check {missing}", claim.id));
            }
        }
        for link in &self.links {
            if let Some(missing) = std::iter::once(&link.a).chain(&link.b).find(|c| !there(c)) {
                return broken(format!("a link: there is no control {missing}"));
            }
        }
        Ok(())
    }

    /// All controls with their frameworks.
    pub fn controls(&self) -> impl Iterator<Item = (&Framework, &Control)> {
        self.frameworks.iter().flat_map(|f| f.groups.iter().flat_map(Group::all).map(move |c| (f, c)))
    }

    /// A check by its name.
    pub fn check(&self, id: &str) -> Option<&Check> {
        self.checks.iter().find(|c| c.id == id)
    }

    /// A claim by its name.
    pub fn claim(&self, id: &str) -> Option<&Claim> {
        self.claims.iter().find(|c| c.id == id)
    }
}

fn parsed<T: for<'de> Deserialize<'de>>(file: &'static str, text: &str) -> Result<T, CatalogueError> {
    serde_saphyr::from_str(text).map_err(|e| CatalogueError::File(file, e.to_string()))
}

/// `5m`, `1h`, `24h`, `7d` as seconds.
fn secs(text: &str) -> Option<u64> {
    let (number, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let unit = match unit {
        "m" => 60,
        "h" => 3_600,
        "d" => 86_400,
        _ => return None,
    };
    number.parse::<u64>().ok()?.checked_mul(unit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_built_in_catalogues_hold_together() {
        let all = Catalogue::built_in();
        let of = |id: &str| all.controls().filter(|(f, _)| f.id == id).collect::<Vec<_>>();
        assert_eq!(of("iso27001-2022").iter().filter(|(_, c)| c.id.starts_with("A.")).count(), 93);
        // Level 3 has 71 general points of 211 items, and 16 of the cloud extension of 46.
        let level_3: Vec<_> = of("mlps2").into_iter().filter(|(_, c)| c.levels.contains(&3)).collect();
        assert_eq!(level_3.len(), 71 + 16);
        assert_eq!(level_3.iter().filter_map(|(_, c)| c.items).sum::<u32>(), 211 + 46);
        assert_eq!(of("soc2-tsc").len(), 61);
        assert!(all.claims.len() > 30 && all.claims.iter().all(|c| !c.checks.is_empty()));
        bailee_proof::claim::list(&all.claims).unwrap();
        assert_eq!(all.check("TRL-01").unwrap().every_secs(), 300);
    }

    #[test]
    fn what_names_something_that_is_not_there_is_refused() {
        for (from, to) in [("checks: [PUB-04]", "checks: [PUB-99]"), ("max_age: 48h", "max_age: 48y")] {
            let claims = CLAIMS.replacen(from, to, 1);
            assert_ne!(claims, CLAIMS);
            assert!(Catalogue::read(FRAMEWORKS, CHECKS, &claims, MAPPINGS).is_err(), "{to}");
        }
        for (from, to) in
            [("mlps2:8.1.4.8", "mlps2:8.1.4.88"), ("id: ENC-02", "id: ENC-01"), ("every: 1h", "every: 1y")]
        {
            let checks = CHECKS.replacen(from, to, 1);
            assert_ne!(checks, CHECKS);
            assert!(Catalogue::read(FRAMEWORKS, &checks, CLAIMS, MAPPINGS).is_err(), "{to}");
        }
    }
}
