//! Id tokens, key sets, discovery documents, token responses: nothing panics, and nothing that our test key did not
//! sign verifies. The first line of an input says what it is.
#![no_main]

use std::sync::LazyLock;

use bailee_federation::jwt::Jwks;
use bailee_federation::oidc::discovery::Document;
use bailee_federation::oidc::{Expect, IdToken, TokenResponse, verify_id_token};
use bailee_types::Timestamp;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use libfuzzer_sys::fuzz_target;
use ring::signature::{Ed25519KeyPair, KeyPair as _};

const ISSUER: &str = "https://id.example";
const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);

static KEY: LazyLock<Ed25519KeyPair> =
    LazyLock::new(|| Ed25519KeyPair::from_seed_unchecked(&[3; 32]).expect("a seed"));

/// Our test key, and the keys of RFC 7515 A.3 and RFC 8037 A.2, whose tokens are among the seeds.
static JWKS: LazyLock<Jwks> = LazyLock::new(|| {
    let ours = URL_SAFE_NO_PAD.encode(KEY.public_key());
    let text = format!(
        r#"{{"keys":[{{"kty":"OKP","crv":"Ed25519","kid":"1","x":"{ours}"}},
        {{"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}},
        {{"kty":"OKP","crv":"Ed25519","kid":"2","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}}]}}"#
    );
    Jwks::parse(text.as_bytes()).expect("keys")
});

fn verify(token: &str) -> Option<IdToken> {
    let audiences = ["bailee".to_owned()];
    let expect =
        Expect { issuer: ISSUER, audiences: &audiences, nonce: Some("n"), now: NOW, leeway_ms: 1000 };
    verify_id_token(token, &JWKS, &expect).ok()
}

/// A token out of a line of header and lines of claims of any kind, signed well.
fn signed(text: &[u8]) -> String {
    let cut = text.iter().position(|b| *b == b'\n').unwrap_or(text.len());
    let (header, claims) = text.split_at(cut);
    let claims = claims.get(1..).unwrap_or_default();
    let signed = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims));
    let signature = KEY.sign(signed.as_bytes());
    format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
}

/// The seed of that kind must verify, or its mutants are for nothing.
static READY: LazyLock<()> = LazyLock::new(|| {
    let seed = include_bytes!("../../seeds/jwt/signed").strip_prefix(b"signed\n").expect("its first line");
    assert!(verify(&signed(seed)).is_some());
});

fuzz_target!(|bytes: &[u8]| {
    LazyLock::force(&READY);
    let Some(at) = bytes.iter().position(|b| *b == b'\n') else { return };
    let (kind, rest) = (&bytes[..at], &bytes[at + 1..]);
    match kind {
        b"token" => {
            let Ok(token) = std::str::from_utf8(rest) else { return };
            // The standards' tokens have another issuer, and nobody has our key.
            assert_eq!(verify(token), None);
        }
        b"signed" => {
            // What verifies says what we asked for.
            let token = signed(rest);
            let Some(found) = verify(&token) else { return };
            assert_eq!((found.issuer.as_str(), found.nonce.as_deref()), (ISSUER, Some("n")));
            assert!(found.audiences.contains(&"bailee".to_owned()) && !found.subject.is_empty());
            assert!(found.expires_at.plus_ms(1000) > NOW && found.issued_at <= NOW.plus_ms(1000));
            let _ = found.check_access_token("token");
            // Another character anywhere.
            let place = usize::from(rest[0]) * token.len() / 256;
            let other = if token.as_bytes()[place] == b'A' { "B" } else { "A" };
            let mut changed = token.clone();
            changed.replace_range(place..=place, other);
            assert_eq!(verify(&changed), None);
        }
        b"jwks" => {
            if let Ok(keys) = Jwks::parse(rest) {
                assert!(!keys.is_empty());
            }
        }
        b"discovery" => {
            if let Ok(found) = Document::parse(rest, ISSUER) {
                assert_eq!(found.issuer, ISSUER);
                for address in [found.authorization_endpoint, found.token_endpoint, found.jwks_uri] {
                    let address = address.to_ascii_lowercase();
                    assert!(address.starts_with("https://") && !address.contains('#'));
                }
            }
        }
        _ => drop(TokenResponse::parse(rest)),
    }
});
