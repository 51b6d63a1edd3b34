//! Id tokens: each algorithm once, and each rule broken once.

use bailee_federation::jwt::{
    Algorithm, JWKS_BYTES_MAX, JWKS_KEYS_MAX, Jwks, JwksError, KeyRefusal, TOKEN_BYTES_MAX, TokenError,
};
use bailee_federation::oidc::{Expect, IdToken, verify_id_token};
use bailee_types::Timestamp;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::keys::Key;

const NOW: i64 = 1_800_000_000;
const ISSUER: &str = "https://id.example/tenant";

fn claims() -> Value {
    json!({
        "iss": ISSUER, "sub": "248289761001", "aud": "bailee", "iat": NOW - 10, "exp": NOW + 300,
        "nonce": "n-0S6", "email": "lin@example.com", "email_verified": true, "name": "Lin", "groups": ["ops"],
    })
}

fn jwks(keys: &[Value]) -> Jwks {
    Jwks::parse(json!({ "keys": keys }).to_string().as_bytes()).unwrap()
}

fn check(token: &str, jwks: &Jwks) -> Result<IdToken, TokenError> {
    let audiences = ["bailee".to_owned(), "bailee-cli".to_owned()];
    let now = Timestamp::from_secs(NOW);
    let expect =
        Expect { issuer: ISSUER, audiences: &audiences, nonce: Some("n-0S6"), now, leeway_ms: 60_000 };
    verify_id_token(token, jwks, &expect)
}

/// A token whose claims were changed, signed well.
fn with(change: Value) -> Result<IdToken, TokenError> {
    let key = Key::ed25519();
    let mut all = claims();
    for (name, value) in change.as_object().unwrap() {
        match value {
            Value::Null => drop(all.as_object_mut().unwrap().remove(name)),
            value => all[name] = value.clone(),
        }
    }
    check(&key.token(r#"{"alg":"EdDSA","kid":"1"}"#, &all.to_string()), &jwks(&[key.jwk("1")]))
}

/// A token with this header, signed well by an RSA key `1`.
fn headed(header: &str) -> Result<IdToken, TokenError> {
    let key = Key::rsa();
    check(&key.token(header, &claims().to_string()), &jwks(&[key.jwk("1")]))
}

#[test]
fn each_algorithm_of_the_list_verifies_with_its_key() {
    let all = [
        (Key::rsa(), "RS256", Algorithm::Rs256),
        (Key::rsa(), "RS384", Algorithm::Rs384),
        (Key::rsa(), "RS512", Algorithm::Rs512),
        (Key::rsa(), "PS256", Algorithm::Ps256),
        (Key::rsa(), "PS384", Algorithm::Ps384),
        (Key::rsa(), "PS512", Algorithm::Ps512),
        (Key::p256(), "ES256", Algorithm::Es256),
        (Key::p384(), "ES384", Algorithm::Es384),
        (Key::ed25519(), "EdDSA", Algorithm::EdDsa),
    ];
    for (key, alg, algorithm) in all {
        let header = json!({"alg": alg, "kid": "1", "typ": "JWT"}).to_string();
        let token = key.token(&header, &claims().to_string());
        let found = check(&token, &jwks(&[Key::other_rsa().jwk("0"), key.jwk("1")])).unwrap();
        assert_eq!((found.algorithm, found.subject.as_str()), (algorithm, "248289761001"));
        assert_eq!(found.expires_at, Timestamp::from_secs(NOW + 300));
        assert!(found.email_verified && found.email.as_deref() == Some("lin@example.com"));
        assert_eq!(found.claims["groups"], json!(["ops"]));
    }
}

/// RFC 7515 appendix A.2 and A.3 (their tokens are no id tokens: they verify, then lack claims), RFC 8037 A.4.
#[test]
fn the_tokens_of_the_standards_verify() {
    let es256 = jwks(&[json!({
        "kty": "EC", "crv": "P-256", "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
        "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"
    })]);
    let token = "eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q";
    assert_eq!(check(token, &es256), Err(TokenError::Issuer { found: "joe".into() }));
    let changed = token.replacen("eyJpc3MiOiJqb2Ui", "eyJpc3MiOiJqb2Yi", 1);
    assert_eq!(check(&changed, &es256), Err(TokenError::Signature));

    let eddsa =
        jwks(&[json!({"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"})]);
    let token = "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc.hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg";
    assert!(
        matches!(check(token, &eddsa), Err(TokenError::Json { part: "claims", .. })),
        "after the signature"
    );
}

/// `tests/oracles/make_jwt.py`.
#[test]
fn what_pyjwt_signs_verifies_and_what_nobody_signed_does_not() {
    let all: Value = serde_json::from_str(include_str!("fixtures/pyjwt.json")).unwrap();
    let keys = Jwks::parse(all["jwks"].to_string().as_bytes()).unwrap();
    let mut verified = Vec::new();
    for pair in all["tokens"].as_array().unwrap() {
        let (name, token) = (pair[0].as_str().unwrap(), pair[1].as_str().unwrap());
        match check(token, &keys) {
            Ok(found) => {
                assert_eq!(found.name.as_deref(), Some("Lin Müller"));
                verified.push(name);
            }
            Err(TokenError::Unsigned) => assert_eq!(name, "none"),
            Err(error) => assert_eq!((name, error), ("HS256", TokenError::Symmetric { alg: "HS256".into() })),
        }
    }
    assert_eq!(verified, ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "EdDSA"]);
}

#[test]
fn a_header_that_asks_for_another_check_is_refused() {
    let wrong = |header: &str| headed(header).unwrap_err();
    for none in ["none", "None", "nOnE"] {
        assert_eq!(wrong(&json!({"alg": none, "kid": "1"}).to_string()), TokenError::Unsigned);
    }
    for hmac in ["HS256", "HS384", "HS512", "hs256"] {
        assert_eq!(
            wrong(&json!({ "alg": hmac, "kid": "1" }).to_string()),
            TokenError::Symmetric { alg: hmac.into() }
        );
    }
    for alg in ["ES512", "ES256K", "RSA1_5", "rs256", ""] {
        assert_eq!(
            wrong(&json!({ "alg": alg, "kid": "1" }).to_string()),
            TokenError::Algorithm { alg: alg.into() }
        );
    }
    assert_eq!(wrong(r#"{"alg":"ES256","kid":"1"}"#), TokenError::Mismatch { alg: Algorithm::Es256 });
    assert_eq!(wrong(r#"{"alg":"EdDSA","kid":"1"}"#), TokenError::Mismatch { alg: Algorithm::EdDsa });
    assert_eq!(wrong(r#"{"kid":"1"}"#), TokenError::NoAlgorithm);
    assert_eq!(wrong(r#"{"alg":"RS256","kid":"1","crit":["b64"],"b64":false}"#), TokenError::Critical);
    for name in ["jku", "jwk", "x5u", "x5c"] {
        let header = json!({"alg": "RS256", "kid": "1", name: "https://evil.example/"}).to_string();
        assert_eq!(wrong(&header), TokenError::KeyInHeader { name });
    }
    assert_eq!(
        wrong(r#"{"alg":"RS256","kid":"1","typ":"at+jwt"}"#),
        TokenError::Type { typ: "at+jwt".into() }
    );
    assert_eq!(wrong(r#"{"alg":"RS256","kid":7}"#), TokenError::KeyId);
    assert!(matches!(
        wrong(r#"{"alg":"RS256","kid":"1","kid":"1"}"#),
        TokenError::Json { part: "header", .. }
    ));
}

#[test]
fn the_public_key_is_no_hmac_secret() {
    let key = Key::rsa();
    let secret = key.jwk("1").to_string();
    let signed = format!(
        "{}.{}",
        URL_SAFE_NO_PAD.encode(r#"{"alg":"HS256","kid":"1"}"#),
        URL_SAFE_NO_PAD.encode(claims().to_string())
    );
    let mac = ring::hmac::sign(
        &ring::hmac::Key::new(ring::hmac::HMAC_SHA256, secret.as_bytes()),
        signed.as_bytes(),
    );
    let token = format!("{signed}.{}", URL_SAFE_NO_PAD.encode(mac));
    assert_eq!(check(&token, &jwks(&[key.jwk("1")])), Err(TokenError::Symmetric { alg: "HS256".into() }));
}

#[test]
fn another_key_is_told_apart_from_a_key_that_is_not_known() {
    let (ours, other) = (Key::rsa(), Key::other_rsa());
    let token = other.token(r#"{"alg":"RS256","kid":"2"}"#, &claims().to_string());
    assert_eq!(check(&token, &jwks(&[ours.jwk("1")])), Err(TokenError::UnknownKey { kid: "2".into() }));
    assert_eq!(check(&token, &jwks(&[ours.jwk("2")])), Err(TokenError::Signature));
    assert!(check(&token, &jwks(&[ours.jwk("1"), other.jwk("2")])).is_ok(), "after the rotation");
    let nameless = other.token(r#"{"alg":"RS256"}"#, &claims().to_string());
    assert!(check(&nameless, &jwks(&[other.jwk("2"), Key::p256().jwk("3")])).is_ok());
    assert_eq!(check(&nameless, &jwks(&[other.jwk("2"), ours.jwk("1")])), Err(TokenError::AmbiguousKey));
    let mut bound = other.jwk("2");
    bound["alg"] = "PS256".into();
    assert_eq!(check(&token, &jwks(&[bound])), Err(TokenError::Mismatch { alg: Algorithm::Rs256 }));
}

#[test]
fn a_claim_that_is_missing_or_of_another_form_is_refused() {
    for claim in ["iss", "sub", "aud", "exp", "iat", "nonce"] {
        assert_eq!(with(json!({ claim: null })), Err(TokenError::Missing { claim }));
        assert_eq!(with(json!({ claim: {"a": 1} })), Err(TokenError::Form { claim }));
    }
    for exp in [json!("1800000300"), json!(-1), json!(1e300), json!(true)] {
        assert_eq!(with(json!({ "exp": exp })), Err(TokenError::Form { claim: "exp" }));
    }
    assert!(with(json!({"exp": 1_800_000_300.5})).is_ok());
    assert_eq!(with(json!({"sub": ""})), Err(TokenError::Form { claim: "sub" }));
    assert_eq!(with(json!({"sub": "x".repeat(256)})), Err(TokenError::Form { claim: "sub" }));
    let key = Key::ed25519();
    let twice = claims().to_string().replacen('{', r#"{"sub":"admin","#, 1);
    let token = key.token(r#"{"alg":"EdDSA","kid":"1"}"#, &twice);
    let found = check(&token, &jwks(&[key.jwk("1")])).unwrap_err();
    assert_eq!(found.to_string(), "the token's claims names the member `sub` twice");
}

#[test]
fn issuer_audience_party_and_nonce_must_be_ours() {
    let issuer = "https://id.example/tenant/";
    assert_eq!(with(json!({ "iss": issuer })), Err(TokenError::Issuer { found: issuer.into() }));
    assert_eq!(with(json!({"aud": "other"})), Err(TokenError::Audience));
    assert_eq!(with(json!({"aud": []})), Err(TokenError::Form { claim: "aud" }));
    assert!(with(json!({"aud": ["bailee"]})).is_ok());
    assert_eq!(with(json!({"aud": ["bailee", "other"]})), Err(TokenError::AuthorizedParty));
    assert!(with(json!({"aud": ["bailee", "other"], "azp": "bailee"})).is_ok());
    assert_eq!(with(json!({"azp": "other"})), Err(TokenError::AuthorizedParty));
    assert_eq!(with(json!({"nonce": "of-another-sign-on"})), Err(TokenError::Nonce));
}

#[test]
fn time_is_bounded_on_both_sides_with_leeway() {
    let at = Timestamp::from_secs;
    assert!(with(json!({"exp": NOW - 59})).is_ok());
    assert_eq!(with(json!({"exp": NOW - 60})), Err(TokenError::Expired { at: at(NOW - 60) }));
    assert!(with(json!({"iat": NOW + 60})).is_ok());
    assert_eq!(with(json!({"iat": NOW + 61})), Err(TokenError::NotYet { at: at(NOW + 61) }));
    assert_eq!(with(json!({"nbf": NOW + 61})), Err(TokenError::NotYet { at: at(NOW + 61) }));
}

#[test]
fn the_access_token_must_be_the_one_that_was_meant() {
    // OpenID Connect Core, appendix A.3: the access token and its hash under RS256.
    let access = "jHkWEdUXMU1BwAsC4vtUsZwnNvTIxEl0z9K3vx5KF0Y";
    let key = Key::rsa();
    let mut all = claims();
    all["at_hash"] = "77QmUPtjPfzWtF2AnpK9RQ".into();
    let token = key.token(r#"{"alg":"RS256","kid":"1"}"#, &all.to_string());
    let token = check(&token, &jwks(&[key.jwk("1")])).unwrap();
    assert_eq!(token.check_access_token(access), Ok(()));
    assert_eq!(token.check_access_token("another"), Err(TokenError::AccessTokenHash));
}

#[test]
fn a_token_that_is_cut_long_or_badly_written_is_refused() {
    let key = Key::ed25519();
    let (header, all) = (r#"{"alg":"EdDSA","kid":"1"}"#, claims().to_string());
    let token = key.token(header, &all);
    let keys = jwks(&[key.jwk("1")]);
    assert!(check(&token, &keys).is_ok());
    assert_eq!(check(&"a".repeat(TOKEN_BYTES_MAX + 1), &keys), Err(TokenError::TooLong));
    assert_eq!(check(token.rsplit_once('.').unwrap().0, &keys), Err(TokenError::NotCompact));
    assert_eq!(check(&format!("{token}.a"), &keys), Err(TokenError::NotCompact));
    assert_eq!(check(&format!("{token}="), &keys), Err(TokenError::Encoding { part: "signature" }));
    let unsigned = format!("{}.", token.rsplit_once('.').unwrap().0);
    assert_eq!(check(&unsigned, &keys), Err(TokenError::Signature));
}

#[test]
fn weak_private_and_foreign_keys_of_a_jwks_are_not_used_and_say_why() {
    let good = Key::rsa();
    let weak = json!({"kty": "RSA", "kid": "weak", "n": URL_SAFE_NO_PAD.encode([0xff; 128]), "e": "AQAB"});
    let mut for_encryption = Key::other_rsa().jwk("enc");
    for_encryption["use"] = "enc".into();
    let mut oaep = Key::other_rsa().jwk("oaep");
    oaep["alg"] = "RSA-OAEP".into();
    let mut private = Key::ed25519().jwk("private");
    private["d"] = "AAAA".into();
    let mut misfit = Key::p256().jwk("misfit");
    misfit["alg"] = "RS256".into();
    let shared = json!({"kty": "oct", "kid": "shared", "k": "AAAA"});
    let keys = jwks(&[weak, for_encryption, oaep, private, misfit, shared, good.jwk("good")]);
    assert_eq!(keys.len(), 1);
    let reasons: Vec<_> = keys.refused().iter().map(|k| k.reason.to_string()).collect();
    assert_eq!(
        reasons,
        [
            "the RSA key has 1024 bits, at least 2048 are needed",
            "it is not meant for signatures",
            "its algorithm `RSA-OAEP` is not accepted",
            "its private part is published; the issuer must replace it",
            "its algorithm `Rs256` is not accepted",
            "its type `oct` is not RSA, EC P-256, EC P-384 or Ed25519",
        ]
    );
    let token = good.token(r#"{"alg":"RS256","kid":"enc"}"#, &claims().to_string());
    let reason = KeyRefusal::NotForSignatures;
    assert_eq!(check(&token, &keys), Err(TokenError::RefusedKey { kid: "enc".into(), reason }));
}

#[test]
fn a_jwks_has_limits() {
    let parse = |text: &str| Jwks::parse(text.as_bytes()).map(|k| k.len());
    assert_eq!(parse(&" ".repeat(JWKS_BYTES_MAX + 1)), Err(JwksError::TooLong));
    assert_eq!(parse(r#"{"keys":{}}"#), Err(JwksError::NoList));
    assert_eq!(parse(r#"{"keys":[1]}"#), Err(JwksError::NoList));
    assert_eq!(parse(r#"{"keys":[]}"#), Err(JwksError::NoKey));
    assert!(matches!(parse(r#"{"keys":[],"keys":[]}"#), Err(JwksError::Json(_))));
    let many = vec![Key::ed25519().jwk("1"); JWKS_KEYS_MAX + 1];
    assert_eq!(parse(&json!({ "keys": many }).to_string()), Err(JwksError::TooMany));
}

proptest! {
    #[test]
    fn a_changed_character_is_always_found(at in any::<prop::sample::Index>(), to in "[A-Za-z0-9_.=-]") {
        let key = Key::ed25519();
        let token = key.token(r#"{"alg":"EdDSA","kid":"1"}"#, &claims().to_string());
        let keys = jwks(&[key.jwk("1")]);
        let at = at.index(token.len());
        let mut changed = token.clone();
        changed.replace_range(at..=at, &to);
        prop_assume!(changed != token);
        prop_assert!(check(&changed, &keys).is_err());
    }

    #[test]
    fn any_text_is_read_without_a_panic(token in "[A-Za-z0-9_.-]{0,200}", bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let keys = jwks(&[Key::ed25519().jwk("1")]);
        prop_assert!(check(&token, &keys).is_err());
        prop_assert!(Jwks::parse(&bytes).is_err());
    }
}
