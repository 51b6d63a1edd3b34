//! The authorization-code flow: what leaves, what may come back.

use bailee_federation::oidc::discovery::Document;
use bailee_federation::oidc::{
    AuthorizationRequest, Client, SignOnError, TokenRequest, TokenResponse, TokenResponseError,
};
use bailee_types::SecretText;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

fn issuer(more: &str) -> Document {
    let text = format!(
        r#"{{"issuer":"https://id.example","authorization_endpoint":"https://id.example/auth?x=1",
        "token_endpoint":"https://id.example/token","jwks_uri":"https://id.example/jwks"{more}}}"#
    );
    Document::parse(text.as_bytes(), "https://id.example").unwrap()
}

fn client(secret: Option<&str>) -> Client {
    Client {
        client_id: "bailee web".to_owned(),
        client_secret: secret.map(|s| SecretText::new(s.to_owned())),
        redirect_uri: "https://trust.example/back".to_owned(),
    }
}

#[test]
fn the_browser_is_sent_with_state_nonce_and_challenge() {
    let made =
        AuthorizationRequest::new(&issuer(""), &client(None), &["email"], &[("prompt", "login")]).unwrap();
    let pending = &made.pending;
    let hash = ring::digest::digest(&ring::digest::SHA256, pending.verifier.expose().as_bytes());
    assert_eq!(
        made.url,
        format!(
            "https://id.example/auth?x=1&response_type=code&client_id=bailee%20web\
             &redirect_uri=https%3A%2F%2Ftrust.example%2Fback&scope=openid%20email&state={}&nonce={}\
             &code_challenge={}&code_challenge_method=S256&prompt=login",
            pending.state.expose(),
            pending.nonce.expose(),
            URL_SAFE_NO_PAD.encode(hash)
        )
    );
    assert_eq!(pending.verifier.expose().len(), 43, "RFC 7636: 43 to 128 characters");
    let again = AuthorizationRequest::new(&issuer(""), &client(None), &[], &[]).unwrap();
    assert_ne!(again.pending.state.expose(), pending.state.expose());
    assert!(!made.url.contains(pending.verifier.expose()));
    assert!(!format!("{pending:?}").contains(pending.verifier.expose()));
    let again = AuthorizationRequest::new(&issuer(""), &client(None), &[], &[("state", "x")]).unwrap_err();
    assert_eq!(again, SignOnError::Parameter { name: "state".into() });
    let open = Client { redirect_uri: "http://trust.example/".into(), ..client(None) };
    let refused = AuthorizationRequest::new(&issuer(""), &open, &[], &[]).unwrap_err();
    assert_eq!(refused, SignOnError::RedirectAddress);
}

#[test]
fn an_answer_of_another_sign_on_or_issuer_is_refused() {
    let plain = issuer("");
    let says_who = issuer(r#","authorization_response_iss_parameter_supported":true"#);
    let pending = AuthorizationRequest::new(&plain, &client(None), &[], &[]).unwrap().pending;
    let state = pending.state.expose();
    assert_eq!(pending.accept(&plain, state, None), Ok(()));
    assert_eq!(pending.accept(&plain, "", None), Err(SignOnError::State));
    assert_eq!(pending.accept(&plain, &state[1..], None), Err(SignOnError::State));
    assert_eq!(pending.accept(&plain, state, Some("https://evil.example")), Err(SignOnError::Issuer));
    assert_eq!(pending.accept(&says_who, state, None), Err(SignOnError::NoIssuer));
    assert_eq!(pending.accept(&says_who, state, Some("https://id.example")), Ok(()));
}

#[test]
fn a_code_is_redeemed_with_the_verifier_and_the_secret_where_the_issuer_wants_it() {
    let pending = AuthorizationRequest::new(&issuer(""), &client(None), &[], &[]).unwrap().pending;
    let code = SecretText::new("a/b".to_owned());
    let public = TokenRequest::new(&issuer(""), &client(None), &pending, &code);
    assert_eq!(public.address, "https://id.example/token");
    assert_eq!(
        public.form.expose(),
        format!(
            "grant_type=authorization_code&code=a%2Fb&redirect_uri=https%3A%2F%2Ftrust.example%2Fback\
             &client_id=bailee%20web&code_verifier={}",
            pending.verifier.expose()
        )
    );
    assert!(public.authorization.is_none());
    let basic = TokenRequest::new(&issuer(""), &client(Some("s:1")), &pending, &code);
    // base64 of `bailee%20web:s%3A1` (RFC 6749 §2.3.1).
    assert_eq!(basic.authorization.unwrap().expose(), "Basic YmFpbGVlJTIwd2ViOnMlM0Ex");
    assert!(!basic.form.expose().contains("s%3A1"));
    let form_only = issuer(r#","token_endpoint_auth_methods_supported":["client_secret_post"]"#);
    let post = TokenRequest::new(&form_only, &client(Some("s:1")), &pending, &code);
    assert!(post.authorization.is_none() && post.form.expose().ends_with("&client_secret=s%3A1"));
    assert!(!format!("{post:?}").contains("s%3A1"));
}

#[test]
fn a_token_response_is_read_and_a_refusal_says_what_the_issuer_said() {
    let good = br#"{"id_token":"a.b.c","access_token":"x","token_type":"Bearer","expires_in":60}"#;
    let found = TokenResponse::parse(good).unwrap();
    assert_eq!(found.id_token.expose(), "a.b.c");
    assert!(!format!("{found:?}").contains("a.b.c"));
    let refused = TokenResponse::parse(br#"{"error":"invalid_grant","error_description":"used\ntwice"}"#);
    assert_eq!(
        refused.unwrap_err().to_string(),
        "the issuer did not redeem the code: `invalid_grant` used\u{fffd}twice"
    );
    let none = TokenResponse::parse(br#"{"access_token":"x","token_type":"bearer"}"#).unwrap_err();
    assert_eq!(none, TokenResponseError::NoIdToken);
    let mac = TokenResponse::parse(br#"{"id_token":"a.b.c","token_type":"mac"}"#).unwrap_err();
    assert_eq!(mac, TokenResponseError::Type { token_type: "mac".into() });
    assert!(TokenResponse::parse(&vec![b' '; 1 << 20]).is_err());
}
