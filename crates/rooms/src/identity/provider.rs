//! Identity providers of a tenant: OIDC issuers and SAML IdPs whose word about a person counts for a role.

use bailee_types::{Arn, ProviderName, TenantId, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::act::{Act, Cx, Page, Paging, head, short};
use super::rows::provider as rows;
use crate::{Failure, Thing};

/// Providers of one kind a tenant may have.
const PER_KIND_MAX: u64 = 100;
const CLIENT_IDS_MAX: usize = 50;
const FINGERPRINTS_MAX: usize = 5;

pub(super) struct ProviderRow {
    pub(super) name: ProviderName,
    pub(super) description: String,
    pub(super) document: String,
    pub(super) created_at: Timestamp,
    pub(super) updated_at: Timestamp,
}

/// An OIDC issuer.
#[derive(Clone, Debug)]
pub struct OidcProvider {
    /// The name within the tenant.
    pub name: ProviderName,
    /// For people.
    pub description: String,
    /// What is said of it.
    pub settings: OidcSettings,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
}

/// What counts of an OIDC issuer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OidcSettings {
    /// The issuer's address, as its tokens spell it.
    pub issuer: String,
    /// Audiences that tokens may be for.
    pub client_ids: Vec<String>,
    /// SHA-1 fingerprints of the issuer's TLS roots, kept for the wire; TLS is checked against the system's roots.
    pub fingerprints: Vec<String>,
    /// Hours that a token may be old, 1 to 168.
    pub issuance_limit_hours: u32,
}

/// A SAML IdP.
#[derive(Clone, Debug)]
pub struct SamlProvider {
    /// The name within the tenant.
    pub name: ProviderName,
    /// For people.
    pub description: String,
    /// The metadata document.
    pub metadata: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
}

impl OidcProvider {
    /// `acs:ram::<tenant>:oidc-provider/<name>`.
    pub fn arn(&self, tenant: &TenantId) -> String {
        Arn::ram(tenant, &format!("oidc-provider/{}", self.name)).to_string()
    }
}

impl SamlProvider {
    /// `acs:ram::<tenant>:saml-provider/<name>`.
    pub fn arn(&self, tenant: &TenantId) -> String {
        Arn::ram(tenant, &format!("saml-provider/{}", self.name)).to_string()
    }
}

/// Makes an issuer known.
#[derive(Clone, Debug)]
pub struct CreateOidcProvider {
    /// The name.
    pub name: ProviderName,
    /// At most 256 characters.
    pub description: String,
    /// What counts.
    pub settings: OidcSettings,
}

/// One issuer.
#[derive(Clone, Debug)]
pub struct GetOidcProvider {
    /// The name.
    pub name: ProviderName,
}

/// A change to an issuer.
#[derive(Clone, Debug)]
pub enum OidcChange {
    /// `UpdateOIDCProvider`; what is `None` stays.
    Update {
        /// At most 256 characters.
        description: Option<String>,
        /// All audiences.
        client_ids: Option<Vec<String>>,
        /// 1 to 168.
        issuance_limit_hours: Option<u32>,
    },
    /// One audience more.
    AddClientId(String),
    /// One audience less.
    RemoveClientId(String),
    /// One fingerprint more.
    AddFingerprint(String),
    /// One fingerprint less.
    RemoveFingerprint(String),
}

/// Changes an issuer.
#[derive(Clone, Debug)]
pub struct UpdateOidcProvider {
    /// The name.
    pub name: ProviderName,
    /// What.
    pub change: OidcChange,
}

/// Makes an issuer unknown. Sessions that began with its tokens end by themselves.
#[derive(Clone, Debug)]
pub struct DeleteOidcProvider {
    /// The name.
    pub name: ProviderName,
}

/// Issuers by name, a page at a time.
#[derive(Clone, Debug, Default)]
pub struct ListOidcProviders {
    /// Which page.
    pub page: Paging,
}

/// Makes an IdP known.
#[derive(Clone, Debug)]
pub struct CreateSamlProvider {
    /// The name.
    pub name: ProviderName,
    /// At most 256 characters.
    pub description: String,
    /// The metadata document.
    pub metadata: String,
}

/// One IdP.
#[derive(Clone, Debug)]
pub struct GetSamlProvider {
    /// The name.
    pub name: ProviderName,
}

/// Changes an IdP; what is `None` stays.
#[derive(Clone, Debug)]
pub struct UpdateSamlProvider {
    /// The name.
    pub name: ProviderName,
    /// At most 256 characters.
    pub description: Option<String>,
    /// The metadata document.
    pub metadata: Option<String>,
}

/// Makes an IdP unknown.
#[derive(Clone, Debug)]
pub struct DeleteSamlProvider {
    /// The name.
    pub name: ProviderName,
}

/// IdPs by name, a page at a time.
#[derive(Clone, Debug, Default)]
pub struct ListSamlProviders {
    /// Which page.
    pub page: Paging,
}

fn check(settings: &OidcSettings) -> Result<(), Failure> {
    if settings.issuer.len() > 255 || !is_issuer(&settings.issuer) {
        return Err(Failure::invalid(
            "IssuerUrl.Format",
            "must be an https address without query and fragment (http only for this machine)",
        ));
    }
    let n = settings.client_ids.len();
    let fine =
        |t: &String| (1..=64).contains(&t.len()) && t.bytes().all(|b| b.is_ascii_graphic() && b != b',');
    if !(1..=CLIENT_IDS_MAX).contains(&n) || !settings.client_ids.iter().all(fine) {
        return Err(Failure::invalid(
            "ClientIds",
            format!("must be 1 to {CLIENT_IDS_MAX} names of at most 64 characters"),
        ));
    }
    let hex = |t: &String| t.len() == 40 && t.bytes().all(|b| b.is_ascii_hexdigit());
    if settings.fingerprints.len() > FINGERPRINTS_MAX || !settings.fingerprints.iter().all(hex) {
        return Err(Failure::invalid(
            "Fingerprints.Format",
            format!("must be at most {FINGERPRINTS_MAX} SHA-1 fingerprints of 40 hex digits"),
        ));
    }
    if !(1..=168).contains(&settings.issuance_limit_hours) {
        return Err(Failure::invalid("IssuanceLimitTime", "must be 1 to 168 hours"));
    }
    Ok(())
}

/// Whether it is an address that tokens may come from: TLS everywhere but on this machine.
fn is_issuer(text: &str) -> bool {
    bailee_federation::oidc::discovery::address(text).is_ok()
}

fn of_oidc(row: ProviderRow) -> Result<OidcProvider, Failure> {
    Ok(OidcProvider {
        settings: serde_json::from_str(&row.document)
            .map_err(|e| Failure::Damaged(format!("the OIDC provider `{}`: {e}", row.name)))?,
        name: row.name,
        description: row.description,
        created_at: row.created_at,
        updated_at: row.updated_at,
    })
}

fn of_saml(row: ProviderRow) -> SamlProvider {
    SamlProvider {
        name: row.name,
        description: row.description,
        metadata: row.document,
        created_at: row.created_at,
        updated_at: row.updated_at,
    }
}

fn to_row(p: &OidcProvider) -> Result<ProviderRow, Failure> {
    Ok(ProviderRow {
        name: p.name.clone(),
        description: p.description.clone(),
        document: serde_json::to_string(&p.settings).map_err(|e| Failure::Bug(e.to_string()))?,
        created_at: p.created_at,
        updated_at: p.updated_at,
    })
}

fn oidc(cx: &mut Cx<'_, '_, '_>, name: &ProviderName) -> Result<OidcProvider, Failure> {
    let row =
        rows::by_name(cx.tx, "oidc", name)?.ok_or_else(|| Failure::not_found(Thing::OidcProvider, name))?;
    of_oidc(row)
}

fn saml(cx: &mut Cx<'_, '_, '_>, name: &ProviderName) -> Result<SamlProvider, Failure> {
    let row =
        rows::by_name(cx.tx, "saml", name)?.ok_or_else(|| Failure::not_found(Thing::SamlProvider, name))?;
    Ok(of_saml(row))
}

fn on_oidc(name: &ProviderName) -> [String; 1] {
    [format!("oidc-provider/{name}")]
}

fn on_saml(name: &ProviderName) -> [String; 1] {
    [format!("saml-provider/{name}")]
}

impl Act for CreateOidcProvider {
    type Output = OidcProvider;
    head!(
        "ACS::RAM::OIDCProvider",
        write,
        "ram:CreateOIDCProvider",
        |s| on_oidc(&s.name),
        |s| json!({ "OIDCProviderName": s.name.as_str(), "IssuerUrl": s.settings.issuer })
    );

    fn run(self, cx: &mut Cx<'_, '_, '_>) -> Result<OidcProvider, Failure> {
        short("Description", &self.description, 256)?;
        check(&self.settings)?;
        if rows::count(cx.tx, "oidc")? >= PER_KIND_MAX {
            return Err(Failure::limit(Thing::OidcProvider, "OIDC providers", PER_KIND_MAX));
        }
        let provider = OidcProvider {
            name: self.name,
            description: self.description,
            settings: self.settings,
            created_at: cx.now,
            updated_at: cx.now,
        };
        if !rows::insert(cx.tx, "oidc", &to_row(&provider)?)? {
            return Err(Failure::exists(Thing::OidcProvider, &provider.name));
        }
        Ok(provider)
    }
}

impl Act for GetOidcProvider {
    type Output = OidcProvider;
    head!(
        "ACS::RAM::OIDCProvider",
        read,
        "ram:GetOIDCProvider",
        |s| on_oidc(&s.name),
        |s| json!({ "OIDCProviderName": s.name.as_str() })
    );

    fn run(self, cx: &mut Cx<'_, '_, '_>) -> Result<OidcProvider, Failure> {
        oidc(cx, &self.name)
    }
}

impl Act for UpdateOidcProvider {
    type Output = OidcProvider;
    const TYPE: &'static str = "ACS::RAM::OIDCProvider";
    const WRITE: bool = true;

    fn action(&self) -> &'static str {
        match self.change {
            OidcChange::Update { .. } => "ram:UpdateOIDCProvider",
            OidcChange::AddClientId(_) => "ram:AddClientIdToOIDCProvider",
            OidcChange::RemoveClientId(_) => "ram:RemoveClientIdFromOIDCProvider",
            OidcChange::AddFingerprint(_) => "ram:AddFingerprintToOIDCProvider",
            OidcChange::RemoveFingerprint(_) => "ram:RemoveFingerprintFromOIDCProvider",
        }
    }

    fn on(&self) -> Vec<String> {
        on_oidc(&self.name).into()
    }

    fn detail(&self) -> Value {
        json!({ "OIDCProviderName": self.name.as_str() })
    }

    fn run(self, cx: &mut Cx<'_, '_, '_>) -> Result<OidcProvider, Failure> {
        let mut provider = oidc(cx, &self.name)?;
        let settings = &mut provider.settings;
        match self.change {
            OidcChange::Update { description, client_ids, issuance_limit_hours } => {
                settings.client_ids = client_ids.unwrap_or_else(|| settings.client_ids.clone());
                settings.issuance_limit_hours = issuance_limit_hours.unwrap_or(settings.issuance_limit_hours);
                provider.description = description.unwrap_or(provider.description);
                short("NewDescription", &provider.description, 256)?;
            }
            OidcChange::AddClientId(id) => add(&mut settings.client_ids, id),
            OidcChange::AddFingerprint(f) => add(&mut settings.fingerprints, f),
            OidcChange::RemoveClientId(id) => settings.client_ids.retain(|c| *c != id),
            OidcChange::RemoveFingerprint(f) => settings.fingerprints.retain(|c| *c != f),
        }
        check(&provider.settings)?;
        provider.updated_at = cx.now;
        rows::update(cx.tx, "oidc", &to_row(&provider)?)?;
        Ok(provider)
    }
}

fn add(list: &mut Vec<String>, one: String) {
    if !list.contains(&one) {
        list.push(one);
    }
}

impl Act for DeleteOidcProvider {
    type Output = ();
    head!(
        "ACS::RAM::OIDCProvider",
        write,
        "ram:DeleteOIDCProvider",
        |s| on_oidc(&s.name),
        |s| json!({ "OIDCProviderName": s.name.as_str() })
    );

    fn run(self, cx: &mut Cx<'_, '_, '_>) -> Result<(), Failure> {
        if !rows::delete(cx.tx, "oidc", &self.name)? {
            return Err(Failure::not_found(Thing::OidcProvider, &self.name));
        }
        Ok(())
    }
}

impl Act for ListOidcProviders {
    type Output = Page<OidcProvider>;
    head!(
        "ACS::RAM::OIDCProvider",
        read,
        "ram:ListOIDCProviders",
        |_s| ["oidc-provider/*".to_owned()],
        |_s| json!({})
    );

    fn run(self, cx: &mut Cx<'_, '_, '_>) -> Result<Page<OidcProvider>, Failure> {
        let max = self.page.max();
        let rows = rows::page(cx.tx, "oidc", self.page.after(), max + 1)?;
        let all = rows.into_iter().map(of_oidc).collect::<Result<_, _>>()?;
        Ok(Page::cut(all, max, |p| p.name.to_string()))
    }
}

impl Act for CreateSamlProvider {
    type Output = SamlProvider;
    head!(
        "ACS::RAM::SAMLProvider",
        write,
        "ram:CreateSAMLProvider",
        |s| on_saml(&s.name),
        |s| json!({ "SAMLProviderName": s.name.as_str() })
    );

    fn run(self, cx: &mut Cx<'_, '_, '_>) -> Result<SamlProvider, Failure> {
        short("Description", &self.description, 256)?;
        check_metadata(&self.metadata)?;
        if rows::count(cx.tx, "saml")? >= PER_KIND_MAX {
            return Err(Failure::limit(Thing::SamlProvider, "SAML providers", PER_KIND_MAX));
        }
        let row = ProviderRow {
            name: self.name,
            description: self.description,
            document: self.metadata,
            created_at: cx.now,
            updated_at: cx.now,
        };
        if !rows::insert(cx.tx, "saml", &row)? {
            return Err(Failure::exists(Thing::SamlProvider, &row.name));
        }
        Ok(of_saml(row))
    }
}

impl Act for GetSamlProvider {
    type Output = SamlProvider;
    head!(
        "ACS::RAM::SAMLProvider",
        read,
        "ram:GetSAMLProvider",
        |s| on_saml(&s.name),
        |s| json!({ "SAMLProviderName": s.name.as_str() })
    );

    fn run(self, cx: &mut Cx<'_, '_, '_>) -> Result<SamlProvider, Failure> {
        saml(cx, &self.name)
    }
}

impl Act for UpdateSamlProvider {
    type Output = SamlProvider;
    head!(
        "ACS::RAM::SAMLProvider",
        write,
        "ram:UpdateSAMLProvider",
        |s| on_saml(&s.name),
        |s| json!({ "SAMLProviderName": s.name.as_str(), "NewMetadata": s.metadata.is_some() })
    );

    fn run(self, cx: &mut Cx<'_, '_, '_>) -> Result<SamlProvider, Failure> {
        let mut p = saml(cx, &self.name)?;
        p.description = self.description.unwrap_or(p.description);
        p.metadata = self.metadata.unwrap_or(p.metadata);
        short("NewDescription", &p.description, 256)?;
        check_metadata(&p.metadata)?;
        let row = ProviderRow {
            name: p.name,
            description: p.description,
            document: p.metadata,
            created_at: p.created_at,
            updated_at: cx.now,
        };
        rows::update(cx.tx, "saml", &row)?;
        Ok(of_saml(row))
    }
}

impl Act for DeleteSamlProvider {
    type Output = ();
    head!(
        "ACS::RAM::SAMLProvider",
        write,
        "ram:DeleteSAMLProvider",
        |s| on_saml(&s.name),
        |s| json!({ "SAMLProviderName": s.name.as_str() })
    );

    fn run(self, cx: &mut Cx<'_, '_, '_>) -> Result<(), Failure> {
        if !rows::delete(cx.tx, "saml", &self.name)? {
            return Err(Failure::not_found(Thing::SamlProvider, &self.name));
        }
        Ok(())
    }
}

impl Act for ListSamlProviders {
    type Output = Page<SamlProvider>;
    head!(
        "ACS::RAM::SAMLProvider",
        read,
        "ram:ListSAMLProviders",
        |_s| ["saml-provider/*".to_owned()],
        |_s| json!({})
    );

    fn run(self, cx: &mut Cx<'_, '_, '_>) -> Result<Page<SamlProvider>, Failure> {
        let max = self.page.max();
        let rows = rows::page(cx.tx, "saml", self.page.after(), max + 1)?;
        Ok(Page::cut(rows.into_iter().map(of_saml).collect(), max, |p| p.name.to_string()))
    }
}

fn check_metadata(text: &str) -> Result<(), Failure> {
    if text.len() > 102_400 {
        return Err(Failure::invalid("MetadataDocument", "must have at most 100 KiB"));
    }
    bailee_federation::saml::IdpMetadata::parse(text.as_bytes())
        .map(drop)
        .map_err(|e| Failure::invalid("MetadataDocument.Format", format!("is refused: {e}")))
}
