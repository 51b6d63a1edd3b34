//! Secrets of Kms.

use std::collections::BTreeMap;

use bailee_rooms::keys::secret::rotate::{Holds, OfUser, RotateSecret, SetSecretRotation};
use bailee_rooms::keys::secret::{
    CreateSecret, DataType, DeleteSecret, DescribeSecret, Filter, GetValue, GetValues, ListSecretVersions,
    ListSecrets, MoveStage, NewValue, PutValue, RestoreSecret, Secret, SecretName, SecretValue,
    SetSecretTags, UpdateSecret, VersionInfo,
};
use bailee_types::{KeyId, SecretBytes, Timestamp};
use bailee_wire::rpc::RpcError;
use base64::Engine as _;
use serde_json::{Value, json};

use super::{BASE64, Guarded, Kms, interval, invalid, unsupported};

/// Secrets of one call that reads several.
const BATCH_MAX: usize = 20;

fn told_tags(tags: &[(String, String)]) -> Value {
    let told = tags.iter().map(|(k, v)| json!({ "TagKey": k, "TagValue": v }));
    json!({ "Tag": told.collect::<Vec<_>>() })
}

fn told_version(v: &VersionInfo) -> Value {
    json!({ "VersionId": v.id, "CreateTime": v.created_at.iso(), "VersionStages": { "VersionStage": v.stages } })
}

fn iso(at: Option<Timestamp>) -> String {
    at.map(Timestamp::iso).unwrap_or_default()
}

/// Type and rotation, as every answer about one secret has them.
fn told_rotation(secret: &Secret, told: &mut Value) {
    let rotates = &secret.rotates;
    told["SecretName"] = secret.name.as_str().into();
    told["SecretType"] = secret.holds.word().into();
    told["AutomaticRotation"] = rotates.word().into();
    if let Some(every_s) = rotates.every_s {
        told["RotationInterval"] = format!("{every_s}s").into();
    }
    for (name, at) in [("LastRotationDate", rotates.last_at), ("NextRotationDate", rotates.next_at)] {
        if let Some(at) = at {
            told[name] = at.iso().into();
        }
    }
}

fn told_value(value: &SecretValue, with_config: bool) -> Result<Value, RpcError> {
    let data = match value.version.data_type {
        DataType::Binary => BASE64.encode(value.data.expose()),
        DataType::Text => String::from_utf8(value.data.expose().to_vec())
            .map_err(|_| RpcError::new(500, "InternalError", "A value that should be text is none."))?,
    };
    let mut told = told_version(&value.version);
    told["SecretData"] = data.into();
    told["SecretDataType"] = value.version.data_type.word().into();
    told_rotation(&value.secret, &mut told);
    if with_config && value.secret.holds != Holds::Anything {
        told["ExtendedConfig"] = value.secret.config.as_str().into();
    }
    Ok(told)
}

impl Kms<'_> {
    fn secret_name(&self) -> Result<SecretName, RpcError> {
        SecretName::parse(self.cx.request.required("SecretName")?).map_err(|e| self.failed(e))
    }

    fn new_value(&self) -> Result<NewValue, RpcError> {
        let request = self.cx.request;
        let data = request.required("SecretData")?;
        let (data_type, data) = match request.filled("SecretDataType").as_deref() {
            None | Some("text") => (DataType::Text, data.as_bytes().to_vec()),
            Some("binary") => {
                (DataType::Binary, BASE64.decode(data).map_err(|_| invalid("SecretData", "is not base64"))?)
            }
            Some(_) => return Err(invalid("SecretDataType", "must be text or binary")),
        };
        let version = request.required("VersionId")?.to_owned();
        Ok(NewValue { version, data: SecretBytes::new(data), data_type })
    }

    fn list_of(&self, name: &str) -> Result<Vec<String>, RpcError> {
        match self.cx.request.filled(name) {
            None => Ok(Vec::new()),
            Some(text) => {
                serde_json::from_str(&text).map_err(|_| invalid(name, "must be a JSON list of texts"))
            }
        }
    }

    fn secret_arn(&self, name: &SecretName) -> String {
        self.arn(&format!("secret/{name}"))
    }

    pub(super) async fn secrets(&self, name: &str) -> Result<Option<Value>, RpcError> {
        let request = self.cx.request;
        Ok(Some(match name {
            "CreateSecret" => self.create_secret().await?,
            "PutSecretValue" => {
                let act = PutValue {
                    name: self.secret_name()?,
                    value: self.new_value()?,
                    stages: self.list_of("VersionStages")?,
                };
                let (secret, version) = (act.name.clone(), act.value.version.clone());
                let stages = self.act(act).await?;
                json!({ "SecretName": secret.as_str(), "VersionId": version,
                        "VersionStages": { "VersionStage": stages } })
            }
            "GetSecretValue" => {
                self.refuse_recipient()?;
                let stage = request.filled("VersionStage").unwrap_or_else(|| "ACSCurrent".to_owned());
                let ask = GetValue { name: self.secret_name()?, version: request.filled("VersionId"), stage };
                let with_config = request.flag("FetchExtendedConfig")? == Some(true);
                told_value(&self.act(ask).await?, with_config)?
            }
            "BatchGetSecretValue" => self.several_values().await?,
            "DescribeSecret" => {
                let (secret, tags) = self.act(DescribeSecret { name: self.secret_name()? }).await?;
                let mut told = self.told_secret(&secret);
                if request.flag("FetchTags")? == Some(true) {
                    told["Tags"] = told_tags(&tags);
                }
                told
            }
            "ListSecrets" => {
                let filters = request.filled("Filters").map(|text| Filter::parse_all(&text));
                let filters = filters.transpose().map_err(|e| self.failed(e))?.unwrap_or_default();
                let with_tags = request.flag("FetchTags")? == Some(true);
                let (page, size) = self.page()?;
                let found = self.act(ListSecrets { page, size, filters }).await?;
                let told = found.items.iter().map(|(secret, tags)| {
                    let mut told = json!({
                        "SecretName": secret.name.as_str(), "SecretType": secret.holds.word(),
                        "CreateTime": secret.created_at.iso(), "UpdateTime": secret.updated_at.iso(),
                        "PlannedDeleteTime": iso(secret.delete_at),
                    });
                    if with_tags {
                        told["Tags"] = told_tags(tags);
                    }
                    told
                });
                json!({ "SecretList": { "Secret": told.collect::<Vec<_>>() },
                        "PageNumber": page, "PageSize": size, "TotalCount": found.total })
            }
            "ListSecretVersionIds" => {
                let all = request.flag("IncludeDeprecated")? == Some(true);
                let secret = self.secret_name()?;
                let found = self.act(ListSecretVersions { name: secret.clone(), all }).await?;
                let (page, size) = self.page()?;
                let (total, skip) = (found.len(), page.saturating_sub(1).saturating_mul(size) as usize);
                let told = found.iter().skip(skip).take(size as usize).map(told_version);
                json!({ "SecretName": secret.as_str(), "VersionIds": { "VersionId": told.collect::<Vec<_>>() },
                        "PageNumber": page, "PageSize": size, "TotalCount": total })
            }
            "UpdateSecret" => {
                let secret = self.secret_name()?;
                let config =
                    request.filled("ExtendedConfig").or_else(|| request.filled("ExtendedConfig.CustomData"));
                let description = request.given("Description");
                self.act(UpdateSecret { name: secret.clone(), description, config }).await?;
                json!({ "SecretName": secret.as_str() })
            }
            "UpdateSecretVersionStage" => {
                let secret = self.secret_name()?;
                let act = MoveStage {
                    name: secret.clone(),
                    stage: request.required("VersionStage")?.to_owned(),
                    from: request.filled("RemoveFromVersion"),
                    to: request.filled("MoveToVersion"),
                };
                self.act(act).await?;
                json!({ "SecretName": secret.as_str() })
            }
            "DeleteSecret" => {
                let secret = self.secret_name()?;
                let force = request.flag("ForceDeleteWithoutRecovery")? == Some(true);
                let days = request
                    .number("RecoveryWindowInDays", 7..=30)
                    .map_err(|e| e.with_code("InvalidParameter"))?
                    .unwrap_or(30);
                let act = DeleteSecret { name: secret.clone(), days: (!force).then_some(days) };
                let at = self.act(act).await?;
                json!({ "SecretName": secret.as_str(), "PlannedDeleteTime": if force { String::new() } else { at.iso() } })
            }
            "RestoreSecret" => {
                let secret = self.secret_name()?;
                self.act(RestoreSecret { name: secret.clone() }).await?;
                json!({ "SecretName": secret.as_str() })
            }
            "RotateSecret" => {
                let (secret, version) = (self.secret_name()?, request.required("VersionId")?.to_owned());
                let (name, by_interval) = (secret.clone(), false);
                self.act(RotateSecret { name, version: version.clone(), by_interval }).await?;
                json!({ "SecretName": secret.as_str(), "Arn": self.secret_arn(&secret), "VersionId": version })
            }
            "UpdateSecretRotationPolicy" => {
                let secret = self.secret_name()?;
                if request.flag("EnableAutomaticRotation")?.is_none() {
                    return Err(RpcError::missing("EnableAutomaticRotation"));
                }
                let every_s = self.every_s()?;
                self.act(SetSecretRotation { name: secret.clone(), every_s }).await?;
                json!({ "SecretName": secret.as_str() })
            }
            "GetSecretPolicy" | "SetSecretPolicy" => {
                self.expect_usual_name()?;
                self.policy(name == "SetSecretPolicy", Guarded::Secret(self.secret_name()?)).await?
            }
            _ => return Ok(None),
        }))
    }

    /// Seconds between rotations, when it is to rotate by itself.
    fn every_s(&self) -> Result<Option<i64>, RpcError> {
        let request = self.cx.request;
        match request.flag("EnableAutomaticRotation")? {
            Some(true) => interval(request.required("RotationInterval")?).map(Some),
            _ => Ok(None),
        }
    }

    /// The secret that is to be made: its name, and whose AccessKey it holds.
    fn new_secret(&self) -> Result<(SecretName, Option<OfUser>), RpcError> {
        let request = self.cx.request;
        match request.filled("SecretType").as_deref() {
            None | Some("Generic") if self.every_s()?.is_some() => {
                Err(unsupported("Secrets of the type Generic do not rotate by themselves."))
            }
            None | Some("Generic") => Ok((self.secret_name()?, None)),
            Some("RAMCredentials") => {
                let config = request.required("ExtendedConfig")?;
                let of = OfUser::parse(config, self.every_s()?).map_err(|e| self.failed(e))?;
                let name = SecretName::of_user(&of.user);
                let given = request.required("SecretName")?;
                if given != "$Auto" && given != name.as_str() {
                    let why = format!("must be `$Auto` for this SecretType, which makes it `{name}`");
                    return Err(invalid("SecretName", &why));
                }
                Ok((name, Some(of)))
            }
            Some(other @ ("Rds" | "Redis" | "PolarDB" | "ECS")) => Err(unsupported(&format!(
                "SecretType {other} is not offered: there are no such instances here to change the password of."
            ))),
            Some(_) => Err(invalid("SecretType", "must be Generic or RAMCredentials")),
        }
    }

    async fn create_secret(&self) -> Result<Value, RpcError> {
        let request = self.cx.request;
        if request.filled("DKMSInstanceId").is_some() {
            return Err(unsupported("DKMSInstanceId is not offered: there are no dedicated instances."));
        }
        let (name, of_user) = self.new_secret()?;
        let key = match request.filled("EncryptionKeyId") {
            None => None,
            Some(_) => Some(self.key_of("EncryptionKeyId").await?),
        };
        let value = self.new_value()?;
        let version = value.version.clone();
        let act = CreateSecret {
            name,
            value,
            description: self.text("Description"),
            key,
            config: self.text("ExtendedConfig"),
            tags: self.own_tags()?,
            policy: request.filled("Policy"),
            of_user,
        };
        let secret = self.act(act).await?;
        let mut told = json!({
            "Arn": self.secret_arn(&secret.name), "VersionId": version, "ExtendedConfig": secret.config,
        });
        told_rotation(&secret, &mut told);
        Ok(told)
    }

    fn told_secret(&self, secret: &Secret) -> Value {
        let mut told = json!({
            "Arn": self.secret_arn(&secret.name),
            "Description": secret.description, "EncryptionKeyId": secret.key.as_ref().map(KeyId::as_str).unwrap_or_default(),
            "CreateTime": secret.created_at.iso(), "UpdateTime": secret.updated_at.iso(),
            "PlannedDeleteTime": iso(secret.delete_at), "ExtendedConfig": secret.config,
        });
        told_rotation(secret, &mut told);
        told
    }

    /// Several values; what is not there is told beside what is.
    async fn several_values(&self) -> Result<Value, RpcError> {
        let text = self.cx.request.required("SecretsList")?;
        let wrong = || invalid("SecretsList", "must be a JSON list of 1 to 20 objects with SecretName");
        let asked: Vec<BTreeMap<String, Value>> = serde_json::from_str(text).map_err(|_| wrong())?;
        if asked.is_empty() || asked.len() > BATCH_MAX {
            return Err(wrong());
        }
        let (mut of, mut with_config) = (Vec::new(), Vec::new());
        for one in &asked {
            let field = |name: &str| one.get(name).and_then(Value::as_str).map(str::to_owned);
            let name = field("SecretName").ok_or_else(wrong)?;
            with_config.push(
                matches!(one.get("FetchExtendedConfig"), Some(Value::Bool(true)))
                    || field("FetchExtendedConfig").is_some_and(|v| v.eq_ignore_ascii_case("true")),
            );
            of.push(GetValue {
                name: SecretName::parse(&name).map_err(|e| self.failed(e))?,
                version: field("VersionId"),
                stage: field("VersionStage").unwrap_or_else(|| "ACSCurrent".to_owned()),
            });
        }
        let names: Vec<_> = of.iter().map(|one| one.name.to_string()).collect();
        let (mut values, mut errors) = (Vec::new(), Vec::new());
        let found = self.act(GetValues { of }).await?;
        for ((name, found), with_config) in names.iter().zip(found).zip(with_config) {
            match found.map_err(|e| self.failed(e)).and_then(|v| told_value(&v, with_config)) {
                Ok(told) => values.push(told),
                Err(e) => errors.push(json!({
                    "SecretName": name, "Code": e.code(), "Message": e.message(), "HttpStatus": e.status(),
                })),
            }
        }
        Ok(json!({ "SecretValues": values, "Errors": errors }))
    }

    pub(super) async fn tag_secret(
        &self,
        set: BTreeMap<String, String>,
        remove: Vec<String>,
    ) -> Result<(), RpcError> {
        self.act(SetSecretTags { name: self.secret_name()?, set, remove }).await
    }
}
