//! Forms that bring documents: as [`Posted`], with the documents in memory.
//!
//! INVARIANT: no byte of a document is taken in before the session, the form's token and the page it comes from are good.
//! INVARIANT: what forms hold in memory is bounded, for the house and for each account.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{FromRequest, Request};
use axum::response::Response;
use bailee_rooms::vault::{NewPaper, PAPER_BYTES_MAX, PAPERS_MAX};
use bailee_rooms::{Failure, Thing};
use bailee_types::TenantId;
use bytes::{Bytes, BytesMut};
use http::header;
use multer::{Constraints, Field, Multipart, SizeLimit};
use parking_lot::Mutex;

use super::visit::{Posted, Role, Signed, Visit, is_same_origin};
use super::{FORM_BYTES_MAX, Site, failure};

/// Bytes of a form with its documents.
const WHOLE_BYTES_MAX: u64 = 41 * 1024 * 1024;
const FIELDS_MAX: usize = 100;
/// Bytes of its other fields: a message may be among them, each character of it four bytes.
const FIELDS_BYTES_MAX: usize = FORM_BYTES_MAX + 4 * bailee_rooms::tickets::MESSAGE_MAX;
/// Forms with documents that arrive at the same time, in all and of one account.
const FORMS_MAX: usize = 8;
const FORMS_OF_ONE_MAX: usize = 2;
/// A form that takes longer is given up.
const PATIENCE: Duration = Duration::from_secs(300);

/// Accounts whose documents are arriving, by forms or the API.
#[derive(Clone, Default)]
pub(crate) struct Uploads(Arc<Mutex<Vec<TenantId>>>);

/// A place among [`Uploads`]; free again when dropped.
pub(crate) struct Slot(Uploads, TenantId);

impl Uploads {
    pub(crate) fn enter(&self, tenant: &TenantId) -> Option<Slot> {
        let mut all = self.0.lock();
        let own = all.iter().filter(|t| *t == tenant).count();
        if all.len() >= FORMS_MAX || own >= FORMS_OF_ONE_MAX {
            return None;
        }
        all.push(tenant.clone());
        Some(Slot(self.clone(), tenant.clone()))
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut all = self.0.0.lock();
        if let Some(at) = all.iter().position(|t| *t == self.1) {
            all.swap_remove(at);
        }
    }
}

/// A form from our own page within the visitor's session, and the documents that came with it.
pub(super) struct WithPapers<T> {
    pub(super) posted: Posted<T>,
    pub(super) papers: Vec<NewPaper>,
    _slot: Option<Slot>,
}

/// Why a form is not taken.
enum No {
    Malformed,
    Foreign,
    Failed(Failure),
}

impl From<multer::Error> for No {
    fn from(_: multer::Error) -> Self {
        Self::Malformed
    }
}

impl<T: Role + Send> FromRequest<Arc<Site>> for WithPapers<T> {
    type Rejection = Response;

    async fn from_request(request: Request, site: &Arc<Site>) -> Result<Self, Response> {
        let kind = request.headers().get(header::CONTENT_TYPE).and_then(|v| v.to_str().ok());
        let Some(boundary) = kind.and_then(|k| multer::parse_boundary(k).ok()) else {
            return Ok(Self {
                posted: Posted::from_request(request, site).await?,
                papers: Vec::new(),
                _slot: None,
            });
        };
        let (parts, body) = request.into_parts();
        let signed = Signed::<T>::of(Visit::of(&parts, site).await?)?;
        if !is_same_origin(&parts.method, &parts.headers) {
            return Err(failure::foreign_form(&signed.visit));
        }
        let tenant = signed.caller.tenant().cloned().unwrap_or_else(TenantId::provider);
        let Some(slot) = site.uploads.enter(&tenant) else {
            let busy = "too many documents are arriving at this moment; try again in a minute";
            return Err(failure::page(&signed.visit, &Failure::Unavailable(busy.into())));
        };
        let limits = Constraints::new().size_limit(SizeLimit::new().whole_stream(WHOLE_BYTES_MAX));
        let mut form = Multipart::with_constraints(body.into_data_stream(), boundary, limits);
        let read = tokio::time::timeout(PATIENCE, read(&mut form, &signed.visit)).await;
        match read.unwrap_or(Err(No::Malformed)) {
            Ok((form, papers)) => Ok(Self { posted: Posted { signed, form }, papers, _slot: Some(slot) }),
            Err(No::Malformed) => Err(failure::bad_form(&signed.visit)),
            Err(No::Foreign) => Err(failure::foreign_form(&signed.visit)),
            Err(No::Failed(why)) => Err(failure::page(&signed.visit, &why)),
        }
    }
}

/// Fields and documents. The token stands before the first document: nothing is kept for who has it not.
async fn read(
    multipart: &mut Multipart<'_>,
    visit: &Visit,
) -> Result<(HashMap<String, String>, Vec<NewPaper>), No> {
    let (mut form, mut papers, mut room) = (HashMap::new(), Vec::new(), FIELDS_BYTES_MAX);
    let mut wrong = None;
    while let Some(mut field) = multipart.next_field().await? {
        let Some(file) = field.file_name().map(str::to_owned) else {
            let name = field.name().unwrap_or_default().to_owned();
            let value = whole(&mut field, room).await?.ok_or(No::Malformed)?;
            room = room.saturating_sub(name.len() + value.len());
            let value = String::from_utf8(value.into()).map_err(|_| No::Malformed)?;
            form.insert(name, value);
            if form.len() > FIELDS_MAX {
                return Err(No::Malformed);
            }
            continue;
        };
        if !visit.has_token(&form) {
            return Err(No::Foreign);
        }
        let bytes = whole(&mut field, PAPER_BYTES_MAX).await?;
        // A browser sends an empty one where none was chosen.
        if file.is_empty() && bytes.as_ref().is_some_and(Bytes::is_empty) {
            continue;
        }
        let paper = match bytes {
            _ if papers.len() >= PAPERS_MAX => {
                Err(Failure::Limit { what: "documents", max: PAPERS_MAX as u64, thing: Thing::Document })
            }
            None => Err(NewPaper::too_large(&file)),
            Some(bytes) => tokio::task::spawn_blocking(move || NewPaper::parse(&file, bytes))
                .await
                .map_err(|_| No::Malformed)?,
        };
        // What follows is read all the same: a browser hears no answer before it has sent everything.
        match paper {
            Ok(paper) if wrong.is_none() => papers.push(paper),
            Ok(_) => {}
            Err(why) => {
                papers.clear();
                wrong.get_or_insert(why);
            }
        }
    }
    match wrong {
        _ if !visit.has_token(&form) => Err(No::Foreign),
        Some(why) => Err(No::Failed(why)),
        None => Ok((form, papers)),
    }
}

/// A field whole; none when it is longer. Of one that is, nothing is kept.
async fn whole(field: &mut Field<'_>, max: usize) -> Result<Option<Bytes>, No> {
    let (mut out, mut len) = (BytesMut::new(), 0);
    while let Some(piece) = field.chunk().await? {
        len += piece.len();
        match len <= max {
            true => out.extend_from_slice(&piece),
            false => out = BytesMut::new(),
        }
    }
    Ok((len <= max).then(|| out.freeze()))
}
