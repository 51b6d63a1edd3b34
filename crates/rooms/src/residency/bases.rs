//! Legal bases for moving personal data across borders, as data (`bases.txt`), and the form that each must have.
//!
//! Whether a basis holds is for the tenant and its counsel to judge. What is checked here is its form: that it is one of the law of
//! the place that is left, still in use, told completely, for the right roles and the right country.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use bailee_types::Timestamp;

use crate::Failure;

static TEXT: &str = include_str!("bases.txt");
static ALL: LazyLock<Vec<Basis>> = LazyLock::new(|| TEXT.lines().filter_map(Basis::read).collect());

const DAY_MS: i64 = 86_400_000;
/// A derogation is for a specific situation, no routine: it is registered for so many days at most (ours).
const DEROGATION_DAYS_MAX: i64 = 31;
/// A security assessment holds three years (CAC provisions of 2024-03-22).
const ASSESSMENT_DAYS_MAX: i64 = 3 * 366;
/// Any other.
const DAYS_MAX: i64 = 5 * 366;

/// Countries of the European Economic Area, ISO 3166-1 alpha-2.
const EEA: &[&str] = &[
    "AT", "BE", "BG", "CY", "CZ", "DE", "DK", "EE", "ES", "FI", "FR", "GR", "HR", "HU", "IE", "IS", "IT",
    "LI", "LT", "LU", "LV", "MT", "NL", "NO", "PL", "PT", "RO", "SE", "SI", "SK",
];

/// One legal basis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Basis {
    /// Its id, e.g. `scc-m2`.
    pub id: &'static str,
    /// The law of the place that is left: `eu`, `uk`, `cn`, or `any`.
    pub law: &'static str,
    /// `adequacy`, `scc`, `bcr`, `derogation`, ….
    pub kind: &'static str,
    /// The last day of its use, for historic ones.
    pub usable_until: Option<&'static str>,
    /// `controller` or `processor`, when it is for that role only.
    pub exporter: Option<&'static str>,
    /// The same of the receiver.
    pub importer: Option<&'static str>,
    /// What must be told of it.
    pub needs: &'static str,
    /// Its name.
    pub en: &'static str,
    /// The same in Chinese.
    pub zh: &'static str,
}

/// What is registered with a basis.
#[derive(Clone, Debug, Default)]
pub(super) struct Claim<'c> {
    pub(super) from: &'c str,
    pub(super) to: &'c str,
    pub(super) exporter: &'c str,
    pub(super) importer: &'c str,
    pub(super) facts: Option<&'c BTreeMap<String, String>>,
    pub(super) documents: usize,
    pub(super) valid_from: i64,
    pub(super) valid_until: i64,
}

impl Basis {
    fn read(line: &'static str) -> Option<Self> {
        let fields: Vec<&str> = line.split(" | ").collect();
        let &[id, law, kind, until, exporter, importer, needs, en, zh] = fields.as_slice() else {
            return None;
        };
        let some = |text: &'static str| Some(text).filter(|t| *t != "-");
        Some(Self {
            id,
            law,
            kind,
            usable_until: some(until),
            exporter: some(exporter),
            importer: some(importer),
            needs: some(needs).unwrap_or_default(),
            en,
            zh,
        })
        .filter(|b| !b.id.starts_with('#'))
    }

    /// All of them.
    pub fn all() -> &'static [Self] {
        &ALL
    }

    /// The one of this id.
    pub fn find(id: &str) -> Option<&'static Self> {
        ALL.iter().find(|b| b.id == id)
    }

    /// The one of this id, or what to do about it.
    pub(super) fn known(id: &str) -> Result<&'static Self, Failure> {
        Self::find(id).ok_or_else(|| {
            Failure::invalid("basis", "is none of the register: `bailee residency bases` lists them")
        })
    }

    /// What must be told of it, one by one.
    pub fn needed(&self) -> impl Iterator<Item = &'static str> + use<> {
        self.needs.split(' ').filter(|n| !n.is_empty())
    }

    /// Whether a document must lie at hand.
    fn needs_document(&self) -> bool {
        matches!(self.kind, "scc" | "bcr" | "certification" | "assessment" | "code" | "safeguard")
    }

    /// Whether it can be a basis of what leaves a place.
    pub(super) fn check_law(&self, from: &str) -> Result<(), Failure> {
        let no = |why: String| Err(Failure::invalid("basis", why));
        let id = self.id;
        if self.kind == "restriction" {
            return no(format!("`{id}` is no basis by itself: name the one that it rests on"));
        }
        let law = law_of(from);
        if self.law != "any" && Some(self.law) != law {
            return no(format!(
                "`{id}` is of the law of {}; the data lies in {from}",
                self.law.to_uppercase(),
            ));
        }
        Ok(())
    }

    pub(super) fn check(&self, claim: &Claim<'_>) -> Result<(), Failure> {
        self.check_law(claim.from)?;
        let no = |why: String| Err(Failure::invalid("basis", why));
        let id = self.id;
        if let Some(until) = self.usable_until {
            let ends = Timestamp::parse_iso(&format!("{until}T23:59:59Z")).map_or(0, Timestamp::ms);
            if claim.valid_until > ends {
                return no(format!("`{id}` is historic: it could be used until {until}"));
            }
        }
        if id == "intra-eea" && !(EEA.contains(&claim.from) && EEA.contains(&claim.to)) {
            return no(format!(
                "`{id}` is for moves within the EEA; {} or {} is not in it",
                claim.from, claim.to
            ));
        }
        if id == "eu-45" && !EEA.contains(&claim.to) && !adequate(claim.to, claim.valid_from) {
            return no(format!("`{id}`: no adequacy decision for {} is on file", claim.to));
        }
        for (role, wanted, given) in
            [("exporter", self.exporter, claim.exporter), ("importer", self.importer, claim.importer)]
        {
            if wanted.is_some_and(|w| w != given && !(w == "processor" && given == "sub_processor")) {
                return no(format!(
                    "`{id}` is for another role of the {role}: `{}`",
                    wanted.unwrap_or_default()
                ));
            }
        }
        let days = match self.kind {
            "derogation" => DEROGATION_DAYS_MAX,
            "assessment" => ASSESSMENT_DAYS_MAX,
            _ => DAYS_MAX,
        };
        if claim.valid_until - claim.valid_from > days * DAY_MS {
            return no(format!("`{id}` is registered for {days} days at most; register it anew then"));
        }
        for name in self.needed() {
            let given = claim.facts.and_then(|f| f.get(name)).map(|v| v.trim()).unwrap_or_default();
            if given.is_empty() {
                return no(format!("`{id}` needs `{name}`"));
            }
            if name.ends_with("_on") || name.ends_with("_date") || name == "valid_until" {
                let day = Timestamp::parse_iso(&format!("{given}T00:00:00Z"));
                let Ok(day) = day else { return no(format!("`{name}` must be a day, e.g. 2026-11-26")) };
                if name == "valid_until" && claim.valid_until > day.ms() + DAY_MS {
                    return no(format!("it ends on {given}, before the transfer does"));
                }
            }
        }
        if self.needs_document() && claim.documents == 0 {
            return no(format!("`{id}` needs its document: name and SHA-256"));
        }
        Ok(())
    }
}

/// The law that rules what leaves a place, as far as bases of it are known here.
fn law_of(place: &str) -> Option<&'static str> {
    match place {
        "CN" => Some("cn"),
        "GB" => Some("uk"),
        place if EEA.contains(&place) => Some("eu"),
        _ => None,
    }
}

fn adequate(place: &str, at_ms: i64) -> bool {
    TEXT.lines().filter_map(|line| line.strip_prefix("adequate | ")).any(|line| {
        let mut fields = line.split(" | ");
        let (code, since) = (fields.next(), fields.next().unwrap_or_default());
        code == Some(place)
            && Timestamp::parse_iso(&format!("{since}T00:00:00Z")).is_ok_and(|t| t.ms() <= at_ms)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(id: &str, change: impl FnOnce(&mut Claim<'_>)) -> Result<(), String> {
        let basis = Basis::find(id).unwrap();
        let day = "2026-11-01".to_owned();
        let facts: BTreeMap<String, String> = basis.needed().map(|n| (n.to_owned(), day.clone())).collect();
        let mut claim = Claim {
            from: "DE",
            to: "JP",
            exporter: basis.exporter.unwrap_or("controller"),
            importer: basis.importer.unwrap_or("processor"),
            facts: Some(&facts),
            documents: 1,
            valid_from: 1_795_608_000_000,
            valid_until: 1_795_608_000_000 + DAY_MS,
        };
        change(&mut claim);
        basis.check(&claim).map_err(|e| e.to_string())
    }

    #[test]
    fn every_line_is_read_and_every_basis_can_be_used_or_says_why_not() {
        let lines =
            TEXT.lines().filter(|l| !l.starts_with('#') && !l.starts_with("adequate") && !l.is_empty());
        assert_eq!(Basis::all().len(), lines.count());
        for basis in Basis::all() {
            let from = match basis.law {
                "cn" => "CN",
                "uk" => "GB",
                _ => "DE",
            };
            let to = if basis.id == "intra-eea" { "FR" } else { "JP" };
            let checked = check(basis.id, |c| (c.from, c.to) = (from, to));
            let usable = basis.kind != "restriction"
                && basis.usable_until.is_none()
                && !basis.needs.contains("valid_until");
            assert_eq!(checked.is_ok(), usable, "{}: {checked:?}", basis.id);
        }
    }

    #[test]
    fn a_basis_of_another_law_role_country_or_time_is_refused() {
        assert!(check("scc-m2", |_| {}).is_ok());
        for (id, change) in [
            ("scc-m2", (|c| c.from = "CN") as fn(&mut Claim<'_>)),
            ("scc-m2", |c| c.from = "SG"),
            ("scc-m2", |c| c.importer = "controller"),
            ("scc-m2", |c| c.documents = 0),
            ("scc-m2", |c| c.facts = None),
            ("eu-45", |c| c.to = "IN"),
            ("eu-45", |c| (c.to, c.valid_from, c.valid_until) = ("BR", 0, DAY_MS)),
            ("intra-eea", |c| c.to = "CH"),
            ("eu-49-1-a", |c| c.valid_until += 40 * DAY_MS),
            ("cn-38-1", |c| c.from = "CN"),
        ] {
            assert!(check(id, change).is_err(), "{id}");
        }
        assert!(check("eu-45", |c| c.to = "BR").is_ok());
    }
}
