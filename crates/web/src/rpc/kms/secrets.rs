//! Secrets of Kms.

use std::collections::BTreeMap;

use bailee_rooms::keys::secret::{
    CreateSecret, DataType, DeleteSecret, DescribeSecret, GetValue, GetValues, ListSecretVersions,
    ListSecrets, MoveStage, NewValue, PutValue, RestoreSecret, Secret, SecretName, SecretValue,
    SetSecretTags, UpdateSecret, VersionInfo,
};
use bailee_types::{KeyId, SecretBytes, Timestamp};
use bailee_wire::rpc::RpcError;
use base64::Engine as _;
use serde_json::{Value, json};

use super::{BASE64, Guarded, Kms, invalid, unsupported};

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

fn told_value(value: &SecretValue) -> Result<Value, RpcError> {
    let data = match value.version.data_type {
        DataType::Binary => BASE64.encode(value.data.expose()),
        DataType::Text => String::from_utf8(value.data.expose().to_vec())
            .map_err(|_| RpcError::new(500, "InternalError", "A value that should be text is none."))?,
    };
    let mut told = told_version(&value.version);
    told["SecretName"] = value.secret.name.as_str().into();
    told["SecretData"] = data.into();
    told["SecretDataType"] = value.version.data_type.word().into();
    told["SecretType"] = "Generic".into();
    told["AutomaticRotation"] = "Disabled".into();
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
                told_value(&self.act(ask).await?)?
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
                if request.filled("Filters").is_some() {
                    return Err(unsupported("Filters of ListSecrets are not offered."));
                }
                let with_tags = request.flag("FetchTags")? == Some(true);
                let (page, size) = self.page()?;
                let found = self.act(ListSecrets { page, size }).await?;
                let told = found.items.iter().map(|(secret, tags)| {
                    let mut told = json!({
                        "SecretName": secret.name.as_str(), "SecretType": "Generic",
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
            "RotateSecret" | "UpdateSecretRotationPolicy" => {
                return Err(unsupported(
                    "Secrets of the type Generic do not rotate by themselves: put a new value with PutSecretValue.",
                ));
            }
            "GetSecretPolicy" | "SetSecretPolicy" => {
                self.expect_usual_name()?;
                self.policy(name == "SetSecretPolicy", Guarded::Secret(self.secret_name()?)).await?
            }
            _ => return Ok(None),
        }))
    }

    async fn create_secret(&self) -> Result<Value, RpcError> {
        let request = self.cx.request;
        for (name, offered) in [("SecretType", "Generic"), ("DKMSInstanceId", ""), ("RotationInterval", "")] {
            if request.filled(name).is_some_and(|v| v != offered) {
                return Err(unsupported(&format!("{name} is not offered with this value.")));
            }
        }
        if request.flag("EnableAutomaticRotation")? == Some(true) {
            return Err(unsupported("Secrets of the type Generic do not rotate by themselves."));
        }
        let key = match request.filled("EncryptionKeyId") {
            None => None,
            Some(_) => Some(self.key_of("EncryptionKeyId").await?),
        };
        let (secret, value) = (self.secret_name()?, self.new_value()?);
        let version = value.version.clone();
        let act = CreateSecret {
            name: secret.clone(),
            value,
            description: self.text("Description"),
            key,
            config: self.text("ExtendedConfig"),
            tags: self.own_tags()?,
            policy: request.filled("Policy"),
        };
        self.act(act).await?;
        Ok(json!({
            "SecretName": secret.as_str(), "Arn": self.secret_arn(&secret), "VersionId": version,
            "SecretType": "Generic", "AutomaticRotation": "Disabled", "ExtendedConfig": self.text("ExtendedConfig"),
        }))
    }

    fn told_secret(&self, secret: &Secret) -> Value {
        json!({
            "SecretName": secret.name.as_str(), "Arn": self.secret_arn(&secret.name), "SecretType": "Generic",
            "Description": secret.description, "EncryptionKeyId": secret.key.as_ref().map(KeyId::as_str).unwrap_or_default(),
            "CreateTime": secret.created_at.iso(), "UpdateTime": secret.updated_at.iso(),
            "PlannedDeleteTime": iso(secret.delete_at), "ExtendedConfig": secret.config, "AutomaticRotation": "Disabled",
        })
    }

    /// Several values; what is not there is told beside what is.
    async fn several_values(&self) -> Result<Value, RpcError> {
        let text = self.cx.request.required("SecretsList")?;
        let wrong = || invalid("SecretsList", "must be a JSON list of 1 to 20 objects with SecretName");
        let asked: Vec<BTreeMap<String, Value>> = serde_json::from_str(text).map_err(|_| wrong())?;
        if asked.is_empty() || asked.len() > BATCH_MAX {
            return Err(wrong());
        }
        let mut of = Vec::new();
        for one in &asked {
            let field = |name: &str| one.get(name).and_then(Value::as_str).map(str::to_owned);
            let name = field("SecretName").ok_or_else(wrong)?;
            of.push(GetValue {
                name: SecretName::parse(&name).map_err(|e| self.failed(e))?,
                version: field("VersionId"),
                stage: field("VersionStage").unwrap_or_else(|| "ACSCurrent".to_owned()),
            });
        }
        let names: Vec<_> = of.iter().map(|one| one.name.to_string()).collect();
        let (mut values, mut errors) = (Vec::new(), Vec::new());
        for (name, found) in names.iter().zip(self.act(GetValues { of }).await?) {
            match found.map_err(|e| self.failed(e)).and_then(|v| told_value(&v)) {
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
