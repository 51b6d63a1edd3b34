//! `bailee-verify`: not written yet; it will check a bundle offline.
