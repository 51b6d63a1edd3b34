//! AccessKeys that a secret of KMS holds and changes: of a user by his id, which unlike his name is never another's.

use bailee_store::{StoreError, TenantTx};
use bailee_types::{AccessKeyId, SecretText, TenantId, UserId, UserName};
use serde_json::Value;
use subtle::ConstantTimeEq as _;

use super::access_key::{Owner, PER_USER_MAX};
use super::act::{Act, Cx, head};
use super::key_network;
use super::rows::{key, user};
use crate::{Failure, House, Thing};

const FIELD: &str = "SecretData";

impl House {
    /// The user of this name, if this is his only AccessKey, is active and has this secret.
    ///
    /// # Errors
    /// When there is no such user, or something of it is not so.
    pub(crate) async fn holder_of(
        &self,
        tenant: &TenantId,
        name: &UserName,
        (id, secret): (&AccessKeyId, &SecretText),
    ) -> Result<UserId, Failure> {
        let (of, who, wanted) = (tenant.clone(), name.clone(), id.clone());
        let (user, others, row) = self
            .db
            .read(move |tx| {
                let found = user::by_name(&mut tx.tenant(&of), &who)?;
                let user = found.ok_or_else(|| Failure::not_found(Thing::User, &who))?.id;
                let keys = key::list(&mut tx.tenant(&of), user.as_str())?;
                let others = keys.iter().any(|k| k.id != wanted);
                let row = key::by_id(tx, &wanted)?.filter(|k| k.tenant == of);
                Ok::<_, Failure>((user, others, row))
            })
            .await?;
        let wrong = || {
            let why = format!("must hold an AccessKey of the user `{name}` that is active, with its secret");
            Failure::invalid(FIELD, why)
        };
        let row = row
            .filter(|k| k.active && k.user.as_ref().is_some_and(|(owner, _)| *owner == user))
            .ok_or_else(wrong)?;
        let kept = self.open_key_secret(tenant, id, &row.sealed_secret)?;
        if !bool::from(kept.expose().as_bytes().ct_eq(secret.expose().as_bytes())) {
            return Err(wrong());
        }
        if others {
            let why = format!(
                "must hold the only AccessKey of the user `{name}`: delete the other one, a rotation needs its place"
            );
            return Err(Failure::invalid(FIELD, why));
        }
        Ok(user)
    }
}

/// Whether the user has this AccessKey.
pub(crate) fn user_has_key(
    tx: &mut TenantTx<'_, '_>,
    user: &UserId,
    id: &AccessKeyId,
) -> Result<bool, StoreError> {
    Ok(key::list(tx, user.as_str())?.iter().any(|k| k.id == *id))
}

/// Gives a user an AccessKey whose id and secret are kept already; done again it changes nothing.
#[derive(Clone)]
pub(crate) struct MakeHeldKey {
    /// Whose.
    pub(crate) user: (UserId, UserName),
    /// Its id.
    pub(crate) id: AccessKeyId,
    /// Its secret.
    pub(crate) secret: SecretText,
    /// The one that it will take the place of: it may be used from where that one may.
    pub(crate) instead_of: AccessKeyId,
}

impl Act for MakeHeldKey {
    type Output = ();
    head!("ACS::RAM::AccessKey", write, "ram:CreateAccessKey", |s| [format!("user/{}", s.user.1)], |s| {
        detail(&s.user.1, &s.id)
    });

    fn run(self, cx: &mut Cx<'_, '_, '_>) -> Result<(), Failure> {
        let (user, name) = &self.user;
        user::by_id(cx.tx, user)?.ok_or_else(|| Failure::not_found(Thing::User, name))?;
        if user_has_key(cx.tx, user, &self.id)? {
            return Ok(());
        }
        if key::count(cx.tx, user.as_str())? >= PER_USER_MAX {
            return Err(Failure::limit(Thing::AccessKey, "AccessKeys of one user", PER_USER_MAX));
        }
        let row = cx.house.seal_access_key(cx.tx.id(), self.id.clone(), &self.secret);
        key::insert(cx.tx, user.as_str(), &row, cx.now)?;
        key_network::inherit(cx.tx, &self.instead_of, &self.id)?;
        Ok(())
    }
}

/// Deletes an AccessKey of a user, if he still has it.
#[derive(Clone)]
pub(crate) struct EndHeldKey {
    /// Whose.
    pub(crate) user: (UserId, UserName),
    /// Which.
    pub(crate) id: AccessKeyId,
}

impl Act for EndHeldKey {
    type Output = ();
    head!("ACS::RAM::AccessKey", write, "ram:DeleteAccessKey", |s| [format!("user/{}", s.user.1)], |s| {
        detail(&s.user.1, &s.id)
    });

    fn run(self, cx: &mut Cx<'_, '_, '_>) -> Result<(), Failure> {
        if user_has_key(cx.tx, &self.user.0, &self.id)? {
            key::delete(cx.tx, &self.id)?;
            key_network::forget(cx.tx, &self.id)?;
        }
        Ok(())
    }
}

fn detail(user: &UserName, id: &AccessKeyId) -> Value {
    Owner::User(user.clone()).with_key(id)
}
