//! A tenant with something to lose in every room, and the operators who would like to see it.

use std::collections::BTreeMap;
use std::time::Duration;

use bailee_rooms::broker::{OpenSession, PutTarget, ReturnSession, Settings, Side, TakeKeys};
use bailee_rooms::consent::{
    Because, Code, Decide, Decision, Limits, Request, RequestConsent, Scope, SetStandingRight, Terms,
};
use bailee_rooms::gate::{Caller, Operation};
use bailee_rooms::handling::{Covers, FileTakedown, Order};
use bailee_rooms::identity::{
    Act, AttachPolicy, CreateAccessKey, CreateGroup, CreateLoginProfile, CreateOperator, CreatePolicy,
    CreateRole, CreateTenant, CreateUser, CreateVirtualMfaDevice, Entity, NewAccessKey, Owner, PolicyType,
    Presented, SetOperatorState, SignIn,
};
use bailee_rooms::keys::cmk::{
    AliasName, Ciphertext, Context, CreateAlias, CreateKey, Encrypt, EncryptTo, Key, KeyAct, KeyMac,
    KeyOrigin, MacAlgorithm, PublicHalf, PublicKey, Sign, SignAlgorithm, Spec, Usage, WrapAlgorithm,
};
use bailee_rooms::keys::secret::rotate::OfUser;
use bailee_rooms::keys::secret::{CreateSecret, DataType, NewValue, SecretName};
use bailee_rooms::notices::{Kind, MailAddress, SetNotifications, Target, Wanted};
use bailee_rooms::residency::{RegisterTransfer, RequestTransfer, Told, TransferDocument};
use bailee_rooms::tickets::{AttachToTicket, OpenTicket};
use bailee_rooms::trail::ActFilter;
use bailee_rooms::trail::collected::{CreateCollector, Known};
use bailee_rooms::trail::deliver::{CreateSink, SinkFormat, SinkKind};
use bailee_rooms::vault::{
    AccessAct, Acl, ChangeAccess, CreateBucket, CreateUpload, NewPaper, ObjectMeta, Public, PutObject,
    PutPart, SetVersioning, Versioning, WholeBody,
};
use bailee_testkit::{TestHouse, bucket, key, origin};
use bailee_types::{
    BucketName, GrantId, GroupName, HandlingId, KeyId, KeyVersionId, ObjectKey, ObjectVersionId, OperatorId,
    PolicyName, Pseudonym, RegionId, RoleName, SecretBytes, SecretText, StandingId, TargetName, TenantAlias,
    TenantId, TicketId, UserName,
};
use base64::Engine as _;
use bytes::Bytes;

/// Where acme's content lies; it keeps versions.
pub(crate) const BUCKET: &str = "acme-content";
/// A bucket of acme's that keeps none.
pub(crate) const PLAIN: &str = "acme-plain";
/// A bucket of acme's that everybody may read.
pub(crate) const SITE: &str = "acme-site";
/// What the operator whose grants have ended read once.
const OTHER: (&str, &str) = (PLAIN, "other.txt");
pub(crate) const OBJECT: &str = "content.txt";
/// What acme laid on the ticket for support to read: no marker.
const PAPER: &str = "the log of the pump";

const PASSWORD: &str = "Mark-passw0rd!";
const YES: Decision = Decision::Approve { minutes: 30, uses_max: 3 };

pub(crate) struct Scene {
    pub(crate) t: TestHouse,
    pub(crate) id: TenantId,
    pub(crate) root: Caller,
    pub(crate) root_token: String,
    /// The names of those who have all roles between them.
    pub(crate) staff: Vec<&'static str>,
    pub(crate) operators: Vec<(&'static str, Caller)>,
    pub(crate) ticket: TicketId,
    /// One that is closed on the way.
    pub(crate) other_ticket: TicketId,
    pub(crate) version: ObjectVersionId,
    pub(crate) upload: String,
    pub(crate) key: Key,
    pub(crate) rsa: Key,
    pub(crate) signer: Key,
    pub(crate) mac: Key,
    pub(crate) external: Key,
    pub(crate) blob: Ciphertext,
    pub(crate) wrapped: Vec<u8>,
    pub(crate) signature: Vec<u8>,
    pub(crate) code: Vec<u8>,
    public: Vec<u8>,
    pub(crate) access_key: NewAccessKey,
    pub(crate) mfa: String,
    pub(crate) transfer: String,
    pub(crate) wish: String,
    pub(crate) session: String,
    /// A grant that was taken back, as its operator saw it.
    pub(crate) revoked: Request,
    /// A request that waits.
    pub(crate) pending: GrantId,
    pub(crate) takedown: HandlingId,
    pub(crate) standing: StandingId,
    pub(crate) record: u64,
    pub(crate) collector: Known,
    marks: Vec<String>,
}

impl Scene {
    pub(crate) async fn new(t: TestHouse) -> Self {
        let house = t.house.clone();
        // Passkeys are offered.
        house.serve_at(&["https://trust.example".to_owned()]).unwrap();
        let create = CreateTenant { alias: TenantAlias::parse("acme").unwrap(), name: "acme".into() };
        let new = house.perform(house.system_caller("test"), create).await.unwrap();
        let (id, password) = (new.tenant.id, new.root_password);
        let who = SignIn::Tenant { tenant: "acme".into(), user: "root".into(), password };
        let (root_token, root) = signed_in(&t, who).await;
        let acme = Acme { t: &t, id: id.clone(), root: root.clone() };
        let (version, upload) = acme.objects().await;
        let keys = acme.keys().await;
        let (access_key, mfa) = acme.people().await;
        let (hook, sink) = acme.addresses().await;
        let (ticket, other_ticket) = (acme.ticket().await, acme.ticket().await);
        let transfer = acme.transfer().await;
        let ops = Provider::new(&t).await;
        let (revoked, session) = acme.grants_that_ended(&ops.lapsed, &ticket).await;
        let pending = acme.ask(&ops.asks, &ticket, Scope::object(bucket(BUCKET), key(OBJECT))).await;
        let bound = acme.keys_of_a_grant(&ops.bound, &ticket).await;
        let takedown = house.perform(ops.all.clone(), filed(&id, "a")).await.unwrap();
        let standing = acme.does(standing_right(&t, &id)).await.0;
        let wish = RequestTransfer {
            tenant: id.clone(),
            ticket: ticket.clone(),
            from: None,
            to: "SG".into(),
            resources: vec![PLAIN.into()],
            basis: "cn-38-3".into(),
            importer: "Bailee SG".into(),
            reason: "support at night".into(),
            days: 30,
        };
        let wish = house.perform(ops.all.clone(), wish).await.unwrap();
        let made = ActFilter { event_name: Some("CreateUser".into()), ..ActFilter::default() };
        let made = house.acts(&id, &made, None, 10).await.unwrap().acts;
        let record = made.iter().find(|a| a.resource.contains("mark-")).unwrap().record;
        let source = bailee_collect::Source::Postgres;
        let create = CreateCollector { name: "db-1".into(), sources: vec![source] };
        let token = house.perform(house.system_caller("test"), create).await.unwrap();
        let collector = house.collector(token.expose()).await.unwrap();
        ops.disable(&t).await;
        // Whatever is rendered as text, as an array of bytes or in base64.
        let mut marks =
            vec!["MARK-".to_owned(), "mark-".into(), "[77, 65, 82, 75, 45".into(), PASSWORD.into()];
        marks.extend([access_key.secret.expose().to_owned(), hook, sink, root_token.clone()]);
        let operators = vec![
            ("op-all", ops.all),
            ("op-approver", ops.approver),
            ("op-liaison", ops.liaison),
            ("op-lapsed", ops.lapsed),
            ("op-bound", bound),
            ("op-gone", ops.gone.0),
        ];
        Self {
            id,
            root,
            root_token,
            staff: vec!["op-all", "op-approver", "op-liaison"],
            operators,
            ticket,
            other_ticket,
            version,
            upload,
            key: keys.key,
            rsa: keys.rsa,
            signer: keys.signer,
            mac: keys.mac,
            external: keys.external,
            blob: keys.blob,
            wrapped: keys.wrapped,
            signature: keys.signature,
            code: keys.code,
            public: keys.public,
            access_key,
            mfa,
            transfer,
            wish,
            session,
            revoked,
            pending,
            takedown,
            standing,
            record,
            collector,
            marks,
            t,
        }
    }

    /// What of acme's a text shows that an operator must not see.
    pub(crate) fn marker_in(&self, text: &str) -> Option<&str> {
        self.marks.iter().map(String::as_str).find(|mark| text.contains(mark))
    }

    /// The first of the operators gets what he did not have on the walk.
    pub(crate) async fn grant_all(&self) {
        let acme = Acme { t: &self.t, id: self.id.clone(), root: self.root.clone() };
        for scope in [Scope::object(bucket(BUCKET), key(OBJECT)), on_host()] {
            acme.granted(&self.operators[0].1, &self.ticket, scope).await;
        }
    }

    pub(crate) fn region(&self) -> RegionId {
        self.t.house.provider().region.clone()
    }

    /// A key of somebody's, to wrap a data key to.
    pub(crate) fn public(&self) -> PublicKey {
        PublicKey::read("RSA_2048", &self.public).unwrap()
    }

    pub(crate) fn pseudonym(&self) -> Pseudonym {
        self.t.house.pseudonym(&self.id, &OperatorId::parse("op-all").unwrap())
    }
}

/// What acme has.
struct Acme<'t> {
    t: &'t TestHouse,
    id: TenantId,
    root: Caller,
}

struct Keys {
    key: Key,
    rsa: Key,
    signer: Key,
    mac: Key,
    external: Key,
    blob: Ciphertext,
    wrapped: Vec<u8>,
    signature: Vec<u8>,
    code: Vec<u8>,
    public: Vec<u8>,
}

impl Acme<'_> {
    async fn does<O: Operation>(&self, op: O) -> O::Output {
        self.t
            .house
            .perform(self.root.clone(), op)
            .await
            .unwrap_or_else(|e| panic!("{}: {e}", std::any::type_name::<O>()))
    }

    async fn kms<A: KeyAct>(&self, act: A) -> A::Output {
        self.does(act.of(&self.id, &self.t.house)).await
    }

    async fn ram<A: Act>(&self, act: A) -> A::Output {
        self.does(act.of(&self.id)).await
    }

    /// Two versions of an object with metadata and tags, an upload that is under way; elsewhere an object that keeps no secret.
    async fn objects(&self) -> (ObjectVersionId, String) {
        for name in [BUCKET, PLAIN, SITE] {
            let (tenant, bucket) = (self.id.clone(), bucket(name));
            self.does(CreateBucket { tenant, bucket, region: None, tier: None }).await;
        }
        for act in [AccessAct::Public(Public { acl: true, policy: true }), AccessAct::Acl(Acl::PublicRead)] {
            self.does(ChangeAccess { tenant: self.id.clone(), bucket: bucket(SITE), act }).await;
        }
        let (tenant, versioning) = (self.id.clone(), Versioning::Enabled);
        self.does(SetVersioning { tenant, bucket: bucket(BUCKET), versioning }).await;
        let first = self.does(put(&self.id, (BUCKET, OBJECT), "MARK-version")).await.version;
        for (place, text) in [
            ((BUCKET, OBJECT), "MARK-object"),
            (OTHER, "of no interest"),
            ((PLAIN, OBJECT), "MARK-plain"),
            ((SITE, "a"), "a page"),
        ] {
            self.does(put(&self.id, place, text)).await;
        }
        let (tenant, meta) = (self.id.clone(), ObjectMeta::default());
        let create =
            CreateUpload { tenant, bucket: bucket(BUCKET), key: key("parts"), meta, customer_key: None };
        let upload = self.does(create).await;
        self.does(part(&self.id, &upload)).await;
        (first, upload)
    }

    async fn key(&self, spec: Spec, usage: Usage, origin: KeyOrigin) -> Key {
        self.kms(CreateKey {
            spec,
            usage,
            origin,
            description: String::new(),
            rotation_s: None,
            tags: BTreeMap::new(),
            lies_at: None,
            policy: None,
        })
        .await
    }

    async fn keys(&self) -> Keys {
        let own = KeyOrigin::Own;
        let key = self.key(Spec::Aes256, Usage::Encrypt, own).await;
        let rsa = self.key(Spec::Rsa2048, Usage::Encrypt, own).await;
        let signer = self.key(Spec::EcP256, Usage::Sign, own).await;
        let mac = self.key(Spec::Hmac(MacAlgorithm::Sha256), Usage::Mac, own).await;
        let external = self.key(Spec::Aes256, Usage::Encrypt, KeyOrigin::External).await;
        let plaintext = || SecretBytes::new(b"MARK-plaintext".to_vec());
        let encrypt = Encrypt { key: key.id.clone(), plaintext: plaintext(), context: Context::new() };
        let blob = self.kms(encrypt).await;
        let to = EncryptTo {
            key: rsa.id.clone(),
            version: rsa.primary.clone(),
            algorithm: WrapAlgorithm::OaepSha256,
            plaintext: plaintext(),
        };
        let wrapped = self.kms(to).await.result;
        let signature = self.kms(sign(&signer.id, &signer.primary)).await.result;
        let code = self.kms(code(&mac.id)).await;
        let half = PublicHalf { key: rsa.id.clone(), version: rsa.primary.clone() };
        let pem: String = self.kms(half).await.lines().filter(|l| !l.starts_with("--")).collect();
        let public = base64::engine::general_purpose::STANDARD.decode(pem).unwrap();
        self.kms(CreateAlias { alias: alias(), key: key.id.clone() }).await;
        let value = NewValue {
            version: "v1".into(),
            data: SecretBytes::new(b"MARK-secret".to_vec()),
            data_type: DataType::Text,
        };
        self.kms(secret(secret_name(), value, None)).await;
        Keys { key, rsa, signer, mac, external, blob, wrapped, signature, code, public }
    }

    /// A user with a password, an AccessKey and a virtual device, in a group, with a policy; a role; a secret that rotates.
    async fn people(&self) -> (NewAccessKey, String) {
        self.ram(CreateUser { email: "MARK-mail@acme.example".into(), ..CreateUser::named(user()) }).await;
        self.ram(CreateLoginProfile::new(user(), SecretText::new(PASSWORD.into()))).await;
        let access_key = self.ram(CreateAccessKey { owner: owner() }).await;
        let device = self.ram(CreateVirtualMfaDevice { name: "phone".into() }).await;
        let (display_name, comments) = (String::new(), "MARK-comment".to_owned());
        self.ram(CreateGroup { name: group(), display_name, comments }).await;
        let (description, tags) = ("MARK-description".to_owned(), Vec::new());
        self.ram(CreatePolicy { name: policy(), document: document(), description, tags }).await;
        self.ram(AttachPolicy { to: Entity::User(user()), kind: PolicyType::Custom, policy: policy() }).await;
        self.ram(CreateRole {
            name: role(),
            description: "MARK-role".into(),
            trust: trust(&self.id),
            session_max_s: 3_600,
            allows_console: false,
            tags: Vec::new(),
        })
        .await;
        let app = UserName::parse("app").unwrap();
        self.ram(CreateUser::named(app.clone())).await;
        let held = self.ram(CreateAccessKey { owner: Owner::User(app.clone()) }).await;
        let data = format!(
            r#"{{"AccessKeys":[{{"AccessKeyId":"{}","AccessKeySecret":"{}"}}]}}"#,
            held.id,
            held.secret.expose()
        );
        let data = SecretBytes::new(data.into_bytes());
        let value = NewValue { version: "v1".into(), data, data_type: DataType::Text };
        let of = OfUser::parse(r#"{"SecretSubType":"RamUserAccessKey","UserName":"app"}"#, None).unwrap();
        self.kms(secret(SecretName::of_user(&app), value, Some(of))).await;
        (access_key, device.serial)
    }

    /// Where acme is told of things, and gets its events. Answers the secrets of both.
    async fn addresses(&self) -> (String, String) {
        let targets = vec![
            Wanted {
                target: Target::Mail(MailAddress::parse("mark-mail@acme.example").unwrap()),
                kinds: Kind::ALL.to_vec(),
            },
            Wanted {
                target: Target::Webhook("https://mark-hook.acme.example/".into()),
                kinds: Kind::ALL.to_vec(),
            },
        ];
        let hook = self.does(SetNotifications { tenant: self.id.clone(), targets }).await.unwrap();
        let made = self.does(sink(&self.id, "siem")).await;
        (hook.expose().to_owned(), made.secret.expose().to_owned())
    }

    async fn ticket(&self) -> TicketId {
        let ticket = self.does(OpenTicket::titled(self.id.clone(), "it opens blank")).await;
        let (tenant, documents) = (self.id.clone(), vec![paper("log.txt", PAPER)]);
        self.does(AttachToTicket { tenant, ticket: ticket.clone(), documents }).await;
        ticket
    }

    async fn transfer(&self) -> String {
        self.does(register(self.t, &self.id, vec![paper("contract.txt", "MARK-transfer")])).await
    }

    async fn ask(&self, who: &Caller, ticket: &TicketId, scope: Scope) -> GrantId {
        // The newest grant counts: no two are of one moment.
        self.t.clock.advance_ms(1);
        let ask = RequestConsent {
            tenant: self.id.clone(),
            ticket: ticket.clone(),
            scope,
            minutes: 30,
            uses_max: 3,
            reason: "it opens blank".into(),
            because: Because::default(),
        };
        self.t.house.perform(who.clone(), ask).await.unwrap().id
    }

    async fn decide(&self, id: &GrantId, decision: Decision) {
        self.does(Decide::new(self.id.clone(), id.clone(), decision)).await;
    }

    async fn granted(&self, who: &Caller, ticket: &TicketId, scope: Scope) -> GrantId {
        let id = self.ask(who, ticket, scope).await;
        self.decide(&id, YES).await;
        id
    }

    /// Grants for an object, for everything in the bucket and for a host, that were taken back. The host's session was recorded.
    async fn grants_that_ended(&self, who: &Caller, ticket: &TicketId) -> (Request, String) {
        let mut revoked = None;
        for scope in [
            Scope::object(bucket(OTHER.0), key(OTHER.1)),
            Scope::Prefix { bucket: bucket(BUCKET), prefix: String::new() },
        ] {
            let id = self.granted(who, ticket, scope).await;
            revoked = Some(self.t.house.consent_request(&self.id, &id).await.unwrap());
            self.decide(&id, Decision::Revoke).await;
        }
        for (name, settings, secret) in
            [("web-1", host(), None), ("db-1", database(), Some(SecretText::new("MARK-target".into())))]
        {
            self.does(PutTarget { tenant: self.id.clone(), name: target(name), settings, secret }).await;
        }
        let grant = self.granted(who, ticket, on_host()).await;
        let (tenant, ticket) = (self.id.clone(), ticket.clone());
        let open = OpenSession { tenant, ticket, target: target("web-1"), family: "host".into() };
        let opened = self.t.house.perform(who.clone(), open).await.unwrap();
        let peer = std::net::Ipv4Addr::LOCALHOST.into();
        let way = (opened.id.as_str(), opened.secret.expose());
        let seat = self.t.house.enter_session("host", way, peer).await.unwrap();
        seat.record(Side::Target, 1, b"MARK-recording").unwrap();
        drop(seat);
        let back = ReturnSession { tenant: self.id.clone(), session: opened.id.clone(), why: None };
        self.t.house.perform(who.clone(), back).await.unwrap();
        self.decide(&grant, Decision::Revoke).await;
        while self.t.house.keep_sessions(false).await.unwrap().1 == 0 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        (revoked.unwrap(), opened.id)
    }

    /// The caller whom the keys of a live grant for another object prove.
    async fn keys_of_a_grant(&self, who: &Caller, ticket: &TicketId) -> Caller {
        let id = self.granted(who, ticket, Scope::object(bucket(OTHER.0), key(OTHER.1))).await;
        let request = self.t.house.consent_request(&self.id, &id).await.unwrap();
        let take = TakeKeys::of(&request, true, self.t.house.now()).unwrap();
        let taken = self.t.house.perform(who.clone(), take).await.unwrap();
        let presented = Presented {
            access_key_id: taken.keys.id.as_str(),
            token: Some(taken.token.expose()),
            nonce: None,
            service: "Oss",
            scheme: "test",
        };
        let same = |kept: &SecretText| if kept.expose() == taken.secret.expose() { Ok(()) } else { Err(()) };
        self.t.house.authenticate(presented, origin(), same).await.unwrap().0
    }
}

/// The provider's people.
struct Provider {
    all: Caller,
    approver: Caller,
    liaison: Caller,
    lapsed: Caller,
    bound: Caller,
    /// He waits for an answer, and does not walk.
    asks: Caller,
    /// As he was, and the token of his session.
    gone: (Caller, String),
}

impl Provider {
    async fn new(t: &TestHouse) -> Self {
        let all = ["support", "stability", "compliance", "portal-editor"];
        Self {
            all: operator(t, "op-all", &all).await.1,
            approver: operator(t, "op-approver", &["approver", "portal-editor"]).await.1,
            liaison: operator(t, "op-liaison", &["auditor-liaison", "portal-editor"]).await.1,
            lapsed: operator(t, "op-lapsed", &all).await.1,
            bound: operator(t, "op-bound", &all).await.1,
            asks: operator(t, "op-asks", &all).await.1,
            gone: {
                let (token, caller) = operator(t, "op-gone", &all).await;
                (caller, token)
            },
        }
    }

    /// Who is disabled is nobody any more; what is left is a caller that a request of his had before.
    async fn disable(&self, t: &TestHouse) {
        let off = SetOperatorState { id: OperatorId::parse("op-gone").unwrap(), active: false };
        t.house.perform(t.house.system_caller("test"), off).await.unwrap();
        let session = t.house.session(&self.gone.1, origin()).await;
        assert!(!matches!(session, Ok(Some(_))), "his session goes on");
    }
}

async fn operator(t: &TestHouse, id: &str, roles: &[&str]) -> (String, Caller) {
    let roles = roles.iter().map(|r| (*r).to_owned()).collect();
    let create = CreateOperator { id: OperatorId::parse(id).unwrap(), roles, place: "CN".into() };
    let password = t.house.perform(t.house.system_caller("test"), create).await.unwrap();
    signed_in(t, SignIn::Operator { id: id.into(), password }).await
}

async fn signed_in(t: &TestHouse, who: SignIn) -> (String, Caller) {
    let token = t.house.sign_in(who, origin()).await.unwrap().expose().to_owned();
    let caller = t.house.session(&token, origin()).await.unwrap().unwrap().caller;
    (token, caller)
}

pub(crate) fn put(tenant: &TenantId, (of, name): (&str, &str), text: &'static str) -> PutObject {
    let marked = |name: &str, value: &str| BTreeMap::from([(name.to_owned(), value.to_owned())]);
    PutObject {
        customer_key: None,
        tenant: tenant.clone(),
        bucket: bucket(of),
        key: key(name),
        meta: ObjectMeta {
            user: marked("note", "MARK-meta"),
            tags: marked("team", "MARK-tag"),
            ..ObjectMeta::default()
        },
        len: Some(text.len() as u64),
        must_be_new: false,
        must_have_md5: None,
        body: Box::new(WholeBody::new(Bytes::from_static(text.as_bytes()))),
    }
}

pub(crate) fn part(tenant: &TenantId, upload: &str) -> PutPart {
    PutPart {
        customer_key: None,
        tenant: tenant.clone(),
        bucket: bucket(BUCKET),
        key: key("parts"),
        upload: upload.to_owned(),
        number: 1,
        len: Some(9),
        body: Box::new(WholeBody::new(Bytes::from_static(b"MARK-part"))),
    }
}

pub(crate) fn paper(name: &str, text: &'static str) -> NewPaper {
    NewPaper::parse(name, Bytes::from_static(text.as_bytes())).unwrap()
}

pub(crate) fn digest(text: &str) -> String {
    use sha2::Digest;
    hex::encode(sha2::Sha256::digest(text))
}

pub(crate) fn of_paper() -> String {
    digest(PAPER)
}

pub(crate) fn register(t: &TestHouse, tenant: &TenantId, attached: Vec<NewPaper>) -> RegisterTransfer {
    let day = "2026-11-01".to_owned();
    let facts = ["signed_on", "filing_no", "pipia", "separate_consent"].map(|n| (n.to_owned(), day.clone()));
    RegisterTransfer {
        from: None,
        tenant: tenant.clone(),
        to: "SG".into(),
        resources: vec![PLAIN.into()],
        basis: "cn-38-3".into(),
        told: Told {
            exporter_role: "controller".into(),
            importer: "Bailee SG Pte. Ltd., support".into(),
            importer_role: "processor".into(),
            purpose: "support of the billing run".into(),
            data_categories: "invoices".into(),
            sensitive: false,
            subjects: "customers, about 900".into(),
            facts: BTreeMap::from(facts),
            documents: vec![TransferDocument { name: "contract.pdf".into(), sha256: "ab".repeat(32) }],
        },
        valid_from: None,
        valid_until: t.house.now().plus_ms(30 * 86_400_000),
        attached,
        request: None,
    }
}

/// It would cover nothing of what there is.
pub(crate) fn standing_right(t: &TestHouse, tenant: &TenantId) -> SetStandingRight {
    let terms = Terms {
        scope: Scope::Prefix { bucket: bucket(BUCKET), prefix: "2026/".into() },
        operators: Vec::new(),
        codes: vec![Code::CustomerInitiatedSupport],
        minutes: 30,
        uses_max: 3,
        day_uses_max: 5,
        until: t.house.now().plus_ms(86_400_000),
    };
    SetStandingRight { tenant: tenant.clone(), terms, why: "on call".into() }
}

pub(crate) fn filed(tenant: &TenantId, what: &str) -> FileTakedown {
    FileTakedown {
        tenant: tenant.clone(),
        bucket: bucket(SITE),
        covers: Covers::parse(what).unwrap(),
        order: Order {
            authority: "Hangzhou Internet Court".into(),
            document: "(2026) 0192-17".into(),
            dated: "2026-11-20".into(),
            presigned: false,
        },
        reason: "a court forbids it".into(),
        until: None,
    }
}

fn on_host() -> Scope {
    let limits = Limits::Host { shell: true, exec: false, download: false, upload: false };
    Scope::Target { target: target("web-1"), limits }
}

pub(crate) fn host() -> Settings {
    Settings::Host {
        address: "10.0.0.7:22".into(),
        host_keys: vec!["ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ".into()],
        login: "deploy".into(),
    }
}

fn database() -> Settings {
    Settings::Database {
        address: "10.0.0.8:5432".into(),
        database: "bills".into(),
        admin: "keeper".into(),
        roles: vec!["reader".into()],
        statement_ms: 60_000,
        mask: false,
    }
}

pub(crate) fn sink(tenant: &TenantId, name: &str) -> CreateSink {
    CreateSink {
        tenant: tenant.clone(),
        name: name.into(),
        kind: SinkKind::Webhook,
        address: "https://mark-sink.acme.example/hook".into(),
        format: SinkFormat::CloudEvents,
        family: None,
        roots: String::new(),
    }
}

pub(crate) fn secret(name: SecretName, value: NewValue, of_user: Option<OfUser>) -> CreateSecret {
    CreateSecret {
        name,
        value,
        description: String::new(),
        key: None,
        config: String::new(),
        tags: BTreeMap::new(),
        policy: None,
        of_user,
    }
}

pub(crate) fn sign(key: &KeyId, version: &KeyVersionId) -> Sign {
    let (key, version, algorithm) = (key.clone(), version.clone(), SignAlgorithm::EcdsaSha256);
    Sign { key, version, algorithm, digest: vec![7; 32] }
}

pub(crate) fn code(key: &KeyId) -> KeyMac {
    KeyMac { key: key.clone(), algorithm: MacAlgorithm::Sha256, message: b"pumps".to_vec() }
}

pub(crate) fn document() -> String {
    r#"{"Version":"1","Statement":[{"Effect":"Allow","Action":"oss:Get*","Resource":"*"}]}"#.into()
}

pub(crate) fn trust(tenant: &TenantId) -> String {
    format!(
        r#"{{"Version":"1","Statement":[{{"Effect":"Allow","Action":"sts:AssumeRole","Principal":{{"RAM":["acs:ram::{tenant}:root"]}}}}]}}"#
    )
}

pub(crate) fn user() -> UserName {
    UserName::parse("mark-wang").unwrap()
}

pub(crate) fn owner() -> Owner {
    Owner::User(user())
}

pub(crate) fn group() -> GroupName {
    GroupName::parse("readers").unwrap()
}

pub(crate) fn role() -> RoleName {
    RoleName::parse("keeper").unwrap()
}

pub(crate) fn policy() -> PolicyName {
    PolicyName::parse("reads").unwrap()
}

pub(crate) fn alias() -> AliasName {
    AliasName::parse("alias/bills").unwrap()
}

pub(crate) fn secret_name() -> SecretName {
    SecretName::parse("billing").unwrap()
}

pub(crate) fn target(name: &str) -> TargetName {
    TargetName::parse(name).unwrap()
}

/// Acme's bucket and object.
pub(crate) fn place() -> (BucketName, ObjectKey) {
    (bucket(BUCKET), key(OBJECT))
}
