//! Known devices, a second factor that is remembered, and single sign-on, with a clock that is moved by hand.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::sync::Arc;

use async_trait::async_trait;
use bailee_rooms::gate::Origin;
use bailee_rooms::identity::{
    Act, BeginTotp, ChangePassword, CreateLoginProfile, CreateUser, DEVICE_MS, Factor, FinishTotp,
    ForgetDevice, KnownDevices, ListDevices, MFA_TICKET_MS, RemoveTotp, SessionInfo, SessionToken,
    SetSecurityPreference, SetSingleSignOn, ShowFactor, SignIn, SignOnSettings, Stage,
};
use bailee_rooms::outside::Outside;
use bailee_rooms::{Failure, SignInProblem};
use bailee_testkit::{TestHouse, TestTenant, engines, on_each_engine, origin, runtime};
use bailee_types::{SecretText, TenantId, UserName};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::signature::{Ed25519KeyPair, KeyPair as _};

const PASSWORD: &str = "correct horse 1";

fn secret(text: &str) -> SecretText {
    SecretText::new(text.into())
}

fn user(name: &str) -> UserName {
    UserName::parse(name).unwrap()
}

fn li(password: &str) -> SignIn {
    SignIn::Tenant { tenant: "acme".into(), user: "li".into(), password: secret(password) }
}

async fn make_user(t: &TestHouse, acme: &TestTenant, name: &str) {
    t.house.perform(acme.root.clone(), CreateUser::named(user(name)).of(&acme.id)).await.unwrap();
    let profile = CreateLoginProfile::new(user(name), secret(PASSWORD));
    t.house.perform(acme.root.clone(), profile.of(&acme.id)).await.unwrap();
}

async fn prefer(t: &TestHouse, acme: &TestTenant, preference: SetSecurityPreference) {
    t.house.perform(acme.root.clone(), preference.of(&acme.id)).await.unwrap();
}

async fn session(t: &TestHouse, token: &SessionToken) -> SessionInfo {
    t.house.session(token.expose(), origin()).await.unwrap().unwrap()
}

async fn lives(t: &TestHouse, token: &SessionToken) -> bool {
    t.house.session(token.expose(), origin()).await.unwrap().is_some()
}

/// Signs in to the end in a browser; what its cookie holds after.
async fn known(t: &TestHouse, who: SignIn, before: &str) -> String {
    let devices = KnownDevices::read(before);
    let token = t.house.sign_in_on(who, &devices, origin()).await.unwrap();
    match t.house.remember_device(&session(t, &token).await, &devices, false).await.unwrap() {
        Some(new) => devices.with(&new).expose().to_owned(),
        None => before.to_owned(),
    }
}

fn elsewhere() -> Origin {
    Origin { source_ip: "203.0.113.9".into(), ..origin() }
}

/// Guesses until it must wait.
async fn hammer(t: &TestHouse, devices: &KnownDevices, from: &Origin) -> u64 {
    for _ in 0..20 {
        match t.house.sign_in_on(li("wrong"), devices, from.clone()).await {
            Err(Failure::SignIn(SignInProblem::Wrong)) => {}
            Err(Failure::Throttled(seconds)) => return seconds,
            Err(other) => panic!("{other}"),
            Ok(_) => panic!("a wrong password signed in"),
        }
    }
    panic!("nobody slowed down");
}

async fn waits(t: &TestHouse, cookie: &str) -> bool {
    match t.house.sign_in_on(li(PASSWORD), &KnownDevices::read(cookie), origin()).await {
        Ok(_) => false,
        Err(Failure::Throttled(_)) => true,
        Err(other) => panic!("{other}"),
    }
}

#[test]
fn strangers_who_guess_do_not_make_a_known_device_wait() {
    on_each_engine(async |t| {
        let acme = t.tenant("acme").await;
        make_user(&t, &acme, "li").await;
        make_user(&t, &acme, "wu").await;
        let cookie = known(&t, li(PASSWORD), "").await;
        assert_eq!(cookie.len(), 64);
        let wu = SignIn::Tenant { tenant: "acme".into(), user: "wu".into(), password: secret(PASSWORD) };
        let hers = known(&t, wu, "").await;

        let nothing = KnownDevices::default();
        hammer(&t, &nothing, &elsewhere()).await;
        // From his own network as well.
        t.clock.advance_ms(60_000);
        hammer(&t, &nothing, &origin()).await;
        assert!(waits(&t, "").await);
        assert!(waits(&t, &hers).await, "another one's device is a strange one");
        assert!(waits(&t, &format!("{}.{}", "0".repeat(64), &cookie[..63])).await, "nor is a made-up token");
        assert!(!waits(&t, &cookie).await, "his own is let through at once");
        assert!(waits(&t, "").await, "and the strangers wait on: his success is not theirs");
        // A browser that two people use is known to be both.
        assert!(!waits(&t, &format!("{hers}.{cookie}")).await);

        // Who stole it guesses no faster with it, and only that device waits.
        t.clock.advance_ms(3_700_000);
        let stolen = KnownDevices::read(&cookie);
        assert!(hammer(&t, &stolen, &elsewhere()).await >= 1);
        assert!(waits(&t, &cookie).await);
        assert!(!waits(&t, "").await);
    });
}

#[test]
fn a_device_is_known_for_a_while_and_until_the_password_changes() {
    on_each_engine(async |t| {
        let acme = t.tenant("acme").await;
        make_user(&t, &acme, "li").await;
        let is_known = async |cookie: &str| {
            hammer(&t, &KnownDevices::default(), &elsewhere()).await;
            let known = !waits(&t, cookie).await;
            t.clock.advance_ms(3_700_000);
            known
        };
        let cookie = known(&t, li(PASSWORD), "").await;
        t.clock.advance_ms(DEVICE_MS - 60_000);
        assert_eq!(known(&t, li(PASSWORD), &cookie).await, cookie, "it is the same device, known anew");
        t.clock.advance_ms(DEVICE_MS - 60_000);
        assert!(is_known(&cookie).await);
        t.clock.advance_ms(60_000);
        assert!(!is_known(&cookie).await, "not used for ninety days");

        // He sees and forgets it; another one cannot.
        let cookie = known(&t, li(PASSWORD), "").await;
        let token = t.house.sign_in(li(PASSWORD), origin()).await.unwrap();
        let me = session(&t, &token).await.caller;
        let list = ListDevices { tenant: acme.id.clone() };
        let devices = t.house.perform(me.clone(), list).await.unwrap();
        assert_eq!(devices.len(), 1);
        let forget = || ForgetDevice { tenant: acme.id.clone(), id: devices[0].id.clone() };
        assert!(matches!(t.house.perform(acme.root.clone(), forget()).await, Err(Failure::NotFound { .. })));
        assert!(is_known(&cookie).await);
        let me = session(&t, &t.house.sign_in(li(PASSWORD), origin()).await.unwrap()).await.caller;
        t.house.perform(me, forget()).await.unwrap();
        assert!(!is_known(&cookie).await);

        // A new password forgets all.
        let cookie = known(&t, li(PASSWORD), "").await;
        let me = session(&t, &t.house.sign_in(li(PASSWORD), origin()).await.unwrap()).await.caller;
        let change = ChangePassword::new(user("li"), secret(PASSWORD), secret("another horse"));
        t.house.perform(me, change.of(&acme.id)).await.unwrap();
        hammer(&t, &KnownDevices::default(), &elsewhere()).await;
        let again = t.house.sign_in_on(li("another horse"), &KnownDevices::read(&cookie), origin()).await;
        assert!(matches!(again, Err(Failure::Throttled(_))));
    });
}

/// RFC 6238, written from the RFC: SHA-1, 30 s, six digits.
fn code(key: &[u8], step: i64) -> SecretText {
    let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, key);
    let mac = ring::hmac::sign(&key, &step.to_be_bytes());
    let mac = mac.as_ref();
    let at = usize::from(mac[19] & 15);
    let number = u32::from_be_bytes(mac[at..at + 4].try_into().unwrap()) & 0x7fff_ffff;
    secret(&format!("{:06}", number % 1_000_000))
}

fn base32(text: &str) -> Vec<u8> {
    let (mut out, mut bits, mut have) = (Vec::new(), 0_u32, 0);
    for c in text.bytes() {
        let value = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567".iter().position(|b| *b == c).unwrap();
        (bits, have) = ((bits << 5 | value as u32) & 0xffff, have + 5);
        if have >= 8 {
            have -= 8;
            out.push((bits >> have & 0xff) as u8);
        }
    }
    out
}

fn step_at(now: bailee_types::Timestamp) -> i64 {
    now.ms() / 30_000
}

/// Binds an app: its seed, and the session that goes on.
async fn bind_app(t: &TestHouse, tenant: &TenantId, token: &SessionToken) -> (Vec<u8>, SessionToken) {
    let me = session(t, token).await.caller;
    let begin = BeginTotp { tenant: tenant.clone(), token: token.expose().into() };
    let pending = t.house.perform(me.clone(), begin).await.unwrap();
    let seed = base32(pending.base32.expose());
    let step = step_at(t.house.now());
    let finish = FinishTotp {
        tenant: tenant.clone(),
        token: token.expose().into(),
        first: code(&seed, step - 1),
        second: code(&seed, step),
    };
    let (token, _) = t.house.perform(me, finish).await.unwrap();
    (seed, token)
}

#[test]
fn a_second_factor_is_remembered_for_a_week_where_the_account_allows_it() {
    on_each_engine(async |t| {
        let acme = t.tenant("acme").await;
        make_user(&t, &acme, "li").await;
        let token = t.house.sign_in(li(PASSWORD), origin()).await.unwrap();
        let (seed, _) = bind_app(&t, &acme.id, &token).await;
        // Signs in with a code and wants it remembered.
        let save = async |cookie: &str| {
            t.clock.advance_ms(60_000);
            let devices = KnownDevices::read(cookie);
            let token = t.house.sign_in_on(li(PASSWORD), &devices, origin()).await.unwrap();
            let factor = Factor::Totp(code(&seed, step_at(t.house.now())));
            let half = session(&t, &token).await;
            assert_eq!(half.stage(), Stage::Mfa);
            assert!(
                t.house.remember_device(&half, &devices, true).await.unwrap().is_none(),
                "not before the end"
            );
            let show = ShowFactor { tenant: acme.id.clone(), token: token.expose().into(), factor };
            let token = t.house.perform(half.caller, show).await.unwrap();
            let new = t.house.remember_device(&session(&t, &token).await, &devices, true).await.unwrap();
            new.map_or_else(|| cookie.to_owned(), |new| devices.with(&new).expose().to_owned())
        };
        let stage = async |cookie: &str| {
            let token =
                t.house.sign_in_on(li(PASSWORD), &KnownDevices::read(cookie), origin()).await.unwrap();
            let s = session(&t, &token).await;
            (s.stage(), s.caller.mfa_present())
        };
        let allow = |yes| SetSecurityPreference { save_mfa_ticket: Some(yes), ..Default::default() };
        let cookie = save("").await;
        assert_eq!(stage(&cookie).await.0, Stage::Mfa, "the account does not allow it");
        prefer(&t, &acme, allow(true)).await;
        assert_eq!(stage(&cookie).await.0, Stage::Mfa, "what was not allowed was not kept");
        let cookie = save(&cookie).await;
        assert_eq!(stage(&cookie).await, (Stage::Full, false), "spared, and not as if it had been shown");
        assert_eq!(stage("").await.0, Stage::Mfa, "on this device only");
        let token = t.house.sign_in_on(li(PASSWORD), &KnownDevices::read(&cookie), origin()).await.unwrap();
        let me = session(&t, &token).await;
        let remove = RemoveTotp { tenant: acme.id.clone() };
        assert!(matches!(t.house.perform(me.caller.clone(), remove).await, Err(Failure::FreshMfa)));
        // It does not feed itself: without a factor shown now there is no other week.
        assert!(t.house.remember_device(&me, &KnownDevices::read(&cookie), true).await.unwrap().is_none());
        prefer(&t, &acme, allow(false)).await;
        assert_eq!(stage(&cookie).await.0, Stage::Mfa);
        prefer(&t, &acme, allow(true)).await;
        t.clock.advance_ms(MFA_TICKET_MS);
        assert_eq!(stage(&cookie).await.0, Stage::Mfa, "a week is over");
    });
}

#[test]
fn an_account_that_asks_when_something_is_unusual_asks_on_strange_devices() {
    on_each_engine(async |t| {
        let acme = t.tenant("acme").await;
        make_user(&t, &acme, "li").await;
        let cookie = known(&t, li(PASSWORD), "").await;
        let adaptive = SetSecurityPreference { mfa_for_login: Some("adaptive".into()), ..Default::default() };
        prefer(&t, &acme, adaptive).await;
        let stage = async |cookie: &str| {
            let token =
                t.house.sign_in_on(li(PASSWORD), &KnownDevices::read(cookie), origin()).await.unwrap();
            session(&t, &token).await.stage()
        };
        assert_eq!(stage("").await, Stage::Enrol);
        assert_eq!(stage(&cookie).await, Stage::Full);
    });
}

const ISSUER: &str = "https://issuer.example";

/// An issuer that vouches for `li`, as told.
struct Issuer {
    key: Ed25519KeyPair,
    clock: parking_lot::Mutex<Option<Arc<bailee_types::ManualClock>>>,
    nonce: parking_lot::Mutex<String>,
    answer: parking_lot::Mutex<Answer>,
}

#[derive(Clone, Copy)]
enum Answer {
    Yes { amr: &'static str },
    Status(u16, &'static str),
    Nothing,
}

impl Issuer {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            key: Ed25519KeyPair::from_seed_unchecked(&[7; 32]).unwrap(),
            clock: parking_lot::Mutex::new(None),
            nonce: parking_lot::Mutex::new(String::new()),
            answer: parking_lot::Mutex::new(Answer::Yes { amr: "[]" }),
        })
    }

    fn tokens(&self, amr: &str) -> String {
        use bailee_types::Clock as _;
        let now = self.clock.lock().as_ref().unwrap().now().ms() / 1000;
        let nonce = self.nonce.lock().clone();
        let claims = format!(
            r#"{{"iss":"{ISSUER}","sub":"1","aud":"bailee","iat":{now},"exp":{},"nonce":"{nonce}","name":"li","preferred_username":"li","amr":{amr}}}"#,
            now + 300
        );
        let text = |t: &str| URL_SAFE_NO_PAD.encode(t);
        let signed = format!("{}.{}", text(r#"{"alg":"EdDSA","kid":"1","typ":"JWT"}"#), text(&claims));
        let signature = URL_SAFE_NO_PAD.encode(self.key.sign(signed.as_bytes()));
        format!(r#"{{"id_token":"{signed}.{signature}","token_type":"Bearer","access_token":"x"}}"#)
    }
}

#[async_trait]
impl Outside for Issuer {
    async fn get(&self, address: &str) -> Result<Vec<u8>, String> {
        if address.ends_with("/keys") {
            let x = URL_SAFE_NO_PAD.encode(self.key.public_key());
            let keys = format!(
                r#"{{"keys":[{{"kty":"OKP","crv":"Ed25519","kid":"1","alg":"EdDSA","use":"sig","x":"{x}"}}]}}"#
            );
            return Ok(keys.into_bytes());
        }
        let document = format!(
            r#"{{"issuer":"{ISSUER}","authorization_endpoint":"{ISSUER}/go","token_endpoint":"{ISSUER}/token","jwks_uri":"{ISSUER}/keys"}}"#
        );
        Ok(document.into_bytes())
    }

    async fn post(&self, _: &str, _: &str, _: Option<&str>) -> Result<(u16, Vec<u8>), String> {
        match *self.answer.lock() {
            Answer::Yes { amr } => Ok((200, self.tokens(amr).into_bytes())),
            Answer::Status(status, body) => Ok((status, body.as_bytes().to_vec())),
            Answer::Nothing => Err("nobody is there".into()),
        }
    }
}

fn with_issuer<F, Fut>(test: F)
where
    F: Fn(TestHouse, Arc<Issuer>, TestTenant) -> Fut,
    Fut: Future<Output = ()>,
{
    for engine in engines() {
        let issuer = Issuer::new();
        let t = TestHouse::with_outside(engine, Arc::clone(&issuer) as Arc<dyn Outside>);
        *issuer.clock.lock() = Some(Arc::clone(&t.clock));
        runtime().block_on(async {
            let acme = t.tenant("acme").await;
            make_user(&t, &acme, "li").await;
            set_up(&t, &acme, false).await;
            test(t, issuer, acme).await;
        });
    }
}

async fn set_up(t: &TestHouse, acme: &TestTenant, trust_amr: bool) {
    let to = SignOnSettings {
        issuer: ISSUER.into(),
        client_id: "bailee".into(),
        claim: "preferred_username".into(),
        domains: vec!["acme.example".into()],
        secret: None,
        trust_amr,
    };
    let set = SetSingleSignOn { tenant: acme.id.clone(), to: Some(to) };
    t.house.perform(t.house.system_caller("test"), set).await.unwrap();
}

async fn sign_on(t: &TestHouse, issuer: &Issuer, answer: Answer) -> Result<SessionToken, Failure> {
    let begun = t.house.begin_sign_on(Some("acme"), "https://trust.example/login/sso/callback").await?;
    let of = |name: &str| {
        let mut pairs = begun.url.split(['?', '&']);
        pairs.find_map(|p| p.strip_prefix(name)?.strip_prefix('=')).unwrap().to_owned()
    };
    *issuer.nonce.lock() = of("nonce");
    *issuer.answer.lock() = answer;
    let state = of("state");
    let answer = (state.as_str(), &secret("code"), None);
    let devices = KnownDevices::default();
    t.house.finish_sign_on(begun.kept.expose(), answer, &devices, origin()).await.map(|(token, _)| token)
}

const PLAIN: Answer = Answer::Yes { amr: r#"["pwd"]"# };
const TWO: Answer = Answer::Yes { amr: r#"["pwd","mfa"]"# };

#[test]
fn who_signs_on_elsewhere_is_asked_for_a_factor_as_others_are() {
    with_issuer(async |t, issuer, acme| {
        let stage = async |answer| {
            let s = session(&t, &sign_on(&t, &issuer, answer).await.unwrap()).await;
            (s.stage(), s.caller.mfa_present())
        };
        assert_eq!(stage(PLAIN).await, (Stage::Full, false));
        assert_eq!(stage(TWO).await, (Stage::Full, false), "the issuer's word does not count by itself");
        let mandatory =
            SetSecurityPreference { mfa_for_login: Some("mandatory".into()), ..Default::default() };
        prefer(&t, &acme, mandatory).await;
        assert_eq!(stage(PLAIN).await.0, Stage::Enrol);
        assert_eq!(stage(TWO).await.0, Stage::Enrol);
        set_up(&t, &acme, true).await;
        assert_eq!(stage(PLAIN).await.0, Stage::Enrol);
        assert_eq!(stage(Answer::Yes { amr: r#""mfa""# }).await.0, Stage::Enrol, "a list is asked for");
        assert_eq!(stage(TWO).await, (Stage::Full, true));
        // Who binds one is asked for it the next time, by both ways.
        let token = sign_on(&t, &issuer, PLAIN).await.unwrap();
        let (_, token) = bind_app(&t, &acme.id, &token).await;
        assert_eq!(session(&t, &token).await.stage(), Stage::Full);
        assert_eq!(stage(PLAIN).await.0, Stage::Mfa);
        set_up(&t, &acme, false).await;
        assert_eq!(stage(TWO).await.0, Stage::Mfa);
    });
}

#[test]
fn an_issuer_that_says_no_and_one_that_says_nothing_are_told_apart() {
    with_issuer(async |t, issuer, _| {
        let no = r#"{"error":"invalid_grant","error_description":"used"}"#;
        for (answer, wanted) in [
            (Answer::Status(400, no), SignInProblem::IssuerRefused),
            (Answer::Status(401, "<html>"), SignInProblem::IssuerRefused),
            (Answer::Status(200, no), SignInProblem::IssuerRefused),
            (Answer::Status(200, "<html>"), SignInProblem::IssuerSilent),
            (Answer::Status(302, ""), SignInProblem::IssuerSilent),
            (Answer::Status(429, no), SignInProblem::IssuerSilent),
            (Answer::Status(500, no), SignInProblem::IssuerSilent),
            (Answer::Nothing, SignInProblem::IssuerSilent),
        ] {
            match sign_on(&t, &issuer, answer).await {
                Err(Failure::SignIn(why)) => assert_eq!(why, wanted),
                Err(other) => panic!("{other}"),
                Ok(_) => panic!("it signed on"),
            }
        }
        sign_on(&t, &issuer, PLAIN).await.unwrap();
    });
}

#[test]
fn a_session_of_single_sign_on_ends_when_idle_at_its_age_and_at_sign_out() {
    with_issuer(async |t, issuer, acme| {
        prefer(&t, &acme, SetSecurityPreference { session_hours: Some(1), ..Default::default() }).await;
        let token = sign_on(&t, &issuer, PLAIN).await.unwrap();
        t.clock.advance_ms(29 * 60_000);
        assert!(lives(&t, &token).await);
        t.clock.advance_ms(29 * 60_000);
        assert!(lives(&t, &token).await, "it was used meanwhile");
        t.clock.advance_ms(2 * 60_000);
        assert!(!lives(&t, &token).await, "an hour is an hour");
        let token = sign_on(&t, &issuer, PLAIN).await.unwrap();
        t.clock.advance_ms(30 * 60_000);
        assert!(!lives(&t, &token).await, "idle");
        let token = sign_on(&t, &issuer, PLAIN).await.unwrap();
        t.house.sign_out(token.expose()).await.unwrap();
        assert!(!lives(&t, &token).await);
        // What the browser kept for the second half is too old after ten minutes.
        let begun = t.house.begin_sign_on(Some("acme"), "https://trust.example/back").await.unwrap();
        t.clock.advance_ms(10 * 60_000 + 1);
        let late = ("x", &secret("code"), None);
        let late =
            t.house.finish_sign_on(begun.kept.expose(), late, &KnownDevices::default(), origin()).await;
        assert!(matches!(late, Err(Failure::SignIn(SignInProblem::SignOnBroken))));
    });
}
