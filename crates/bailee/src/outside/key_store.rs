//! How a tenant's key service is asked: XKS over HTTPS.

use bailee_rooms::outside::{
    ExternalAnswer, ExternalAsk, ExternalCipher, ExternalFor, ExternalNo, KeyService, ShownEvidence,
};
use bailee_types::{Clock, SystemClock};
use bailee_wire::xks::{
    self, Credential, DecryptAnswer, DecryptRequest, EncryptAnswer, EncryptRequest, ErrorAnswer, Evidence,
    Health, KeyMetadata, METADATA_MAX, MetadataRequest, RequestMetadata, XksError,
};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::Reach;

fn metadata(by: &ExternalFor) -> RequestMetadata {
    let evidence = |e: &ShownEvidence| Evidence {
        reason: e.reason.to_owned(),
        grant: e.grant.clone(),
        intent: e.intent.clone(),
    };
    RequestMetadata {
        aws_principal_arn: by.principal.clone(),
        kms_key_arn: (!by.key_arn.is_empty()).then(|| by.key_arn.clone()),
        kms_operation: by.operation.to_owned(),
        kms_request_id: by.request.clone(),
        kms_via_service: (!by.via.is_empty()).then(|| by.via.clone()),
        bailee: by.evidence.as_ref().map(evidence),
        ..RequestMetadata::default()
    }
}

pub(super) async fn ask(
    reach: &Reach,
    service: &KeyService,
    key: Option<&str>,
    by: &ExternalFor,
    ask: ExternalAsk,
) -> Result<ExternalAnswer, ExternalNo> {
    let request_metadata = metadata(by);
    let of_key = |operation: &str| format!("/keys/{}/{operation}", key.unwrap_or_default());
    match ask {
        ExternalAsk::Health => {
            let found: Health =
                call(reach, service, "/health", &MetadataRequest { request_metadata }).await?;
            let managers = found.ekm_fleet_details.iter().map(|e| format!("{} {}", e.model, e.health_status));
            let text = format!("{}: {}", found.xks_proxy_model, managers.collect::<Vec<_>>().join(", "));
            Ok(ExternalAnswer::Health(text.chars().filter(|c| !c.is_control()).take(500).collect()))
        }
        ExternalAsk::Metadata => {
            let found: KeyMetadata =
                call(reach, service, &of_key("metadata"), &MetadataRequest { request_metadata }).await?;
            Ok(ExternalAnswer::Metadata {
                spec: found.key_spec,
                usage: found.key_usage,
                enabled: found.key_status == "ENABLED",
            })
        }
        ExternalAsk::Encrypt { plain, bound } => {
            let request = EncryptRequest {
                request_metadata,
                plaintext: plain,
                encryption_algorithm: "AES_GCM".into(),
                additional_authenticated_data: bound,
                ciphertext_data_integrity_value_algorithm: Some("SHA_256".into()),
            };
            let found: EncryptAnswer = call(reach, service, &of_key("encrypt"), &request).await?;
            let wrong = |text: &str| Err(ExternalNo::Answer(text.to_owned()));
            if !matches!(found.initialization_vector.len(), 12 | 16)
                || found.authentication_tag.len() != 16
                || found.ciphertext_metadata.len() > METADATA_MAX
            {
                return wrong("a part of the ciphertext has another length than the protocol has");
            }
            if found.digest(&request.additional_authenticated_data)[..]
                != found.ciphertext_data_integrity_value
            {
                return wrong("the ciphertext does not fit its digest");
            }
            Ok(ExternalAnswer::Encrypted(ExternalCipher {
                iv: found.initialization_vector,
                metadata: found.ciphertext_metadata,
                tag: found.authentication_tag,
                cipher: found.ciphertext,
            }))
        }
        ExternalAsk::Decrypt { cipher, bound } => {
            let request = DecryptRequest {
                request_metadata,
                ciphertext: cipher.cipher,
                ciphertext_metadata: cipher.metadata,
                encryption_algorithm: "AES_GCM".into(),
                additional_authenticated_data: bound,
                initialization_vector: cipher.iv,
                authentication_tag: cipher.tag,
            };
            let found: DecryptAnswer = call(reach, service, &of_key("decrypt"), &request).await?;
            Ok(ExternalAnswer::Plain(found.plaintext))
        }
    }
}

async fn call<T: DeserializeOwned>(
    reach: &Reach,
    service: &KeyService,
    path: &str,
    request: &impl Serialize,
) -> Result<T, ExternalNo> {
    let body = serde_json::to_vec(request).map_err(|e| ExternalNo::Answer(e.to_string()))?;
    let url = format!("{}{path}", service.address);
    let place = url.split_once("://").map_or("", |(_, rest)| rest);
    let at = place.find('/').unwrap_or(place.len());
    let (host, path) = place.split_at(at);
    let credential = Credential { id: service.credential_id.clone(), secret: service.secret.clone() };
    let signed = xks::sign(&credential, &service.region, (host, path), &body, SystemClock::default().now());
    let to = url.clone();
    let send = move |agent: &ureq::Agent| {
        let mut request = agent.post(&to).header("content-type", "application/json");
        for (name, value) in signed {
            request = request.header(name, value);
        }
        request.send(&body)
    };
    let (status, body) = reach.fetch(&url, send).await.map_err(ExternalNo::Unreachable)?;
    if status == 200 {
        // The text of serde's error could hold a part of what was answered.
        return serde_json::from_slice(&body)
            .map_err(|_| ExternalNo::Answer("not the JSON of this operation".into()));
    }
    let told: Option<ErrorAnswer> = serde_json::from_slice(&body).ok();
    match told.filter(|t| XksError::parse(&t.error_name).is_some()) {
        Some(t) => {
            let text = t.error_message.chars().filter(|c| !c.is_control()).take(500).collect();
            Err(ExternalNo::Refused(t.error_name, text))
        }
        None if status >= 500 => Err(ExternalNo::Unreachable(format!("status {status}"))),
        None => Err(ExternalNo::Answer(format!("status {status} without an error of the protocol"))),
    }
}
