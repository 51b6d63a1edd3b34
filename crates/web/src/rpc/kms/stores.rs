//! Key stores of tenants, and buckets in their custody: ours, beyond the contract.

use bailee_rooms::keys::cmk::{
    CreateKeyStore, DeleteKeyStore, KeyStore, ListKeyStores, StoreSettings, TestKeyStore, UpdateKeyStore,
};
use bailee_rooms::vault::{GetCustody, SetCustody};
use bailee_types::{BucketName, SecretText};
use bailee_wire::rpc::RpcError;
use serde_json::{Value, json};

use super::{Kms, invalid};

fn told(store: &KeyStore) -> Value {
    json!({
        "KeyStoreId": store.id,
        "Name": store.name,
        "Address": store.address,
        "CredentialId": store.credential_id,
        "Roots": store.roots,
        "LeaseSeconds": store.lease_s,
        "Approvers": { "Approver": store.approvers },
        "CreationDate": store.created_at.iso(),
    })
}

impl Kms<'_> {
    fn settings(&self) -> Result<StoreSettings, RpcError> {
        let request = self.cx.request;
        let lease = request.number("LeaseSeconds", 0..=3600).map_err(|e| e.with_code("InvalidParameter"))?;
        let approvers = self.text("Approvers");
        Ok(StoreSettings {
            name: request.required("Name")?.to_owned(),
            address: request.required("Address")?.trim_end_matches('/').to_owned(),
            credential_id: request.required("CredentialId")?.to_owned(),
            secret: request.filled("CredentialSecret").map(SecretText::new),
            roots: self.text("Roots"),
            lease_s: lease.unwrap_or(0),
            approvers: approvers
                .split([',', '\n'])
                .map(str::trim)
                .filter(|a| !a.is_empty())
                .map(str::to_owned)
                .collect(),
        })
    }

    fn bucket(&self) -> Result<BucketName, RpcError> {
        BucketName::parse(self.cx.request.required("Bucket")?)
            .map_err(|_| invalid("Bucket", "is no name of a bucket"))
    }

    pub(super) async fn stores(&self, name: &str) -> Result<Option<Value>, RpcError> {
        let id = || self.cx.request.required("KeyStoreId").map(str::to_owned);
        Ok(Some(match name {
            "CreateKeyStore" => {
                json!({ "KeyStore": told(&self.act(CreateKeyStore { settings: self.settings()? }).await?) })
            }
            "UpdateKeyStore" => {
                let act = UpdateKeyStore { id: id()?, settings: self.settings()? };
                json!({ "KeyStore": told(&self.act(act).await?) })
            }
            "TestKeyStore" => json!({ "Health": self.act(TestKeyStore { id: id()? }).await? }),
            "ListKeyStores" => {
                let all = self.act(ListKeyStores).await?;
                json!({ "KeyStores": { "KeyStore": all.iter().map(told).collect::<Vec<_>>() }, "TotalCount": all.len() })
            }
            "DeleteKeyStore" => {
                self.act(DeleteKeyStore { id: id()? }).await?;
                json!({})
            }
            "SetBucketCustody" => {
                let key = if self.text("KeyId").is_empty() { None } else { Some(self.key().await?) };
                let act = SetCustody { tenant: self.cx.tenant.clone(), bucket: self.bucket()?, key };
                self.cx.house.perform(self.cx.caller.clone(), act).await.map_err(|e| self.failed(e))?;
                json!({})
            }
            "GetBucketCustody" => {
                let act = GetCustody { tenant: self.cx.tenant.clone(), bucket: self.bucket()? };
                let key =
                    self.cx.house.perform(self.cx.caller.clone(), act).await.map_err(|e| self.failed(e))?;
                json!({ "Custody": if key.is_some() { "tenant" } else { "provider" }, "KeyId": key })
            }
            _ => return Ok(None),
        }))
    }
}
