//! The catalogues behind what a provider publishes: controls of frameworks, checks over the running system, claims that checks
//! carry. They are data (`data/*.yaml`); this crate reads them and holds them together.
//!
//! Titles of controls are our own short ones: the text of a requirement is read in the standard itself.
//! INVARIANT: what a catalogue names is there: a claim's checks, a check's controls, both ends of a mapping.

mod catalogue;

pub use catalogue::{
    Catalogue, CatalogueError, Check, Control, Framework, Group, Link, Relation, Sees, Severity, Text,
};
