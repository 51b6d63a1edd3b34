//! Password hashes: argon2id with a pepper, as PHC text. Parameters stand in the hash, so that they can grow.
//!
//! INVARIANT: a stolen table of hashes alone cannot be guessed: the pepper is derived from the root key and in no row.

use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use argon2::{Algorithm, Argon2, Params, Version};
use bailee_types::SecretText;

use crate::seal::SealingKey;

/// What one hash costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cost {
    /// Memory in KiB.
    pub memory_kib: u32,
    /// Passes over it.
    pub passes: u32,
}

impl Cost {
    /// For operators: 64 MiB, 3 passes (about a quarter of a second).
    pub const OPERATOR: Self = Self { memory_kib: 64 * 1024, passes: 3 };
    /// For tenants' users: 19 MiB, 2 passes (OWASP's floor).
    pub const USER: Self = Self { memory_kib: 19 * 1024, passes: 2 };
    /// For tests only: as little as argon2id takes.
    pub const LEAST: Self = Self { memory_kib: 8, passes: 1 };
}

/// A password could not be hashed (parameters, memory).
#[derive(Debug, Clone, thiserror::Error)]
#[error("a password cannot be hashed: {0}")]
pub struct HashError(String);

/// Hashes and checks passwords under one pepper.
pub struct Hasher {
    pepper: SealingKey,
}

impl Hasher {
    /// A hasher whose pepper is this key.
    pub fn new(pepper: &SealingKey) -> Self {
        Self { pepper: pepper.clone() }
    }

    /// The PHC text of a password with a new random salt.
    ///
    /// # Errors
    /// When the parameters are refused.
    pub fn hash(&self, password: &SecretText, cost: Cost) -> Result<String, HashError> {
        let hashed = self.argon2(cost)?.hash_password(password.expose().as_bytes());
        hashed.map(|h| h.to_string()).map_err(|e| HashError(e.to_string()))
    }

    /// Whether a password fits a hash; compares in constant time. A hash that cannot be read fits nothing.
    pub fn verify(&self, password: &SecretText, hash: &str) -> bool {
        // The parameters come from the hash itself; what is given here is only where the pepper travels.
        let (Ok(parsed), Ok(argon2)) = (PasswordHash::new(hash), self.argon2(Cost::USER)) else {
            return false;
        };
        argon2.verify_password(password.expose().as_bytes(), &parsed).is_ok()
    }

    /// Costs what [`Hasher::verify`] costs: for names that do not exist.
    pub fn verify_dummy(&self, password: &SecretText, cost: Cost) {
        let mut out = [0u8; 32];
        if let Ok(argon2) = self.argon2(cost) {
            // The result is of no use; the time is what counts.
            let _ = argon2.hash_password_into(password.expose().as_bytes(), b"bailee/no such name", &mut out);
        }
        std::hint::black_box(out);
    }

    fn argon2(&self, cost: Cost) -> Result<Argon2<'_>, HashError> {
        let params =
            Params::new(cost.memory_kib, cost.passes, 1, None).map_err(|e| HashError(e.to_string()))?;
        Argon2::new_with_secret(self.pepper.expose(), Algorithm::Argon2id, Version::V0x13, params)
            .map_err(|e| HashError(e.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(t: &str) -> SecretText {
        SecretText::new(t.to_owned())
    }

    #[test]
    fn a_password_fits_its_own_hash_only_and_only_under_its_pepper() {
        let hasher = Hasher::new(&SealingKey::random());
        let hash = hasher.hash(&text("correct horse"), Cost::LEAST).unwrap();
        assert!(hash.starts_with("$argon2id$v=19$m=8,t=1,p=1$"), "{hash}");
        assert!(hasher.verify(&text("correct horse"), &hash));
        assert!(!hasher.verify(&text("correct horsf"), &hash));
        assert!(!Hasher::new(&SealingKey::random()).verify(&text("correct horse"), &hash));
        assert_ne!(hash, hasher.hash(&text("correct horse"), Cost::LEAST).unwrap());
    }

    #[test]
    fn a_hash_that_cannot_be_read_fits_nothing() {
        let hasher = Hasher::new(&SealingKey::random());
        for bad in ["", "x", "$argon2id$", "$argon2id$v=19$m=8,t=1,p=1$AAAA", "$2y$10$abc"] {
            assert!(!hasher.verify(&text("x"), bad), "{bad}");
        }
        hasher.verify_dummy(&text("x"), Cost::LEAST);
    }

    #[test]
    fn the_costs_that_are_shipped_are_accepted() {
        let hasher = Hasher::new(&SealingKey::random());
        assert!(hasher.hash(&text("x"), Cost::USER).unwrap().contains("m=19456,t=2,p=1"));
    }
}
