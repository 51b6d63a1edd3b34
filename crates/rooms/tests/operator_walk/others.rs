//! Consent, brokers, residency, tickets, notices, what the provider does without consent.

use std::time::Duration;

use bailee_rooms::assurance::RunChecks;
use bailee_rooms::broker::{
    BeyondGrant, CutSession, DeleteTarget, ListKeys, ListSessions, ListTargets, Masks, OpenSession,
    PutTarget, ReadRecording, ReturnSession, SetRecordingMasks, ShowRecordingMasks, TakeKeys,
};
use bailee_rooms::consent::{
    AskApproval, Because, CommentRequest, ConfirmRequest, ConsentPolicy, Decide, Decision, FindConsents,
    GetAllFigures, GetConsent, GetConsentFigures, ListConsents, ListStandingRights, RequestConsent,
    RevokeStandingRight, Scope, SetConsentPolicy, ShowConsentPolicy, Span, WithdrawRequest,
};
use bailee_rooms::handling::{Answer, AskGlass, GlassStep, NewChange, Work, Worker};
use bailee_rooms::notices::{GetNotifications, SetNotifications};
use bailee_rooms::residency::{
    AddRegion, AllowRegions, AttachDocument, ChangeTransfer, DeclineTransfer, GetAllowedRegions,
    ListDocuments, ListMoves, ListTransferRequests, ListTransfers, ReadDocument, RemoveDocument,
    RequestTransfer, TransferChange,
};
use bailee_rooms::tickets::{
    AssignTicket, AttachToTicket, CloseTicket, Filter, GetTicket, ListTickets, OpenTicket, ReadAttachment,
    RemoveAttachment, ReopenTicket, ReplyTicket, SolveTicket,
};
use bailee_rooms::vault::Paper;
use bailee_testkit::{bucket, key};
use bailee_types::{ChangeId, OperatorId, RegionId, SecretText};
use bytes::Bytes;
use futures_util::TryStreamExt;
use futures_util::stream::BoxStream;

use super::scene::{
    BUCKET, OBJECT, PLAIN, Scene, digest, host, of_paper, paper, place, register, standing_right, target,
};
use super::{Row, by_door, granted, may, never, opens, refused};

const TICKETS: &str = "a conversation between the tenant and the provider, of which it is one side";
const ASKS: &str = "asking for consent is how a grant begins; it opens nothing";
const LAID_DOWN: &str =
    "the tenant laid the document on the open ticket for support to read; recorded before the key opens";

/// A document that is read to its end.
fn document<E: std::fmt::Debug>((paper, body): (Paper, BoxStream<'static, Result<Bytes, E>>)) -> String {
    let all = tokio::task::block_in_place(|| {
        let handle = tokio::runtime::Handle::current();
        handle.block_on(tokio::time::timeout(Duration::from_secs(5), body.try_collect::<Vec<_>>()))
    });
    format!("{paper:?} {:?}", all.unwrap().unwrap())
}

fn request(s: &Scene) -> RequestConsent {
    RequestConsent {
        tenant: s.id.clone(),
        ticket: s.ticket.clone(),
        scope: Scope::object(bucket(BUCKET), key(OBJECT)),
        minutes: 30,
        uses_max: 3,
        reason: "it opens blank".into(),
        because: Because::default(),
    }
}

fn today(s: &Scene) -> Span {
    Span::days(None, None, s.t.house.now()).unwrap()
}

pub(crate) fn rows() -> Vec<Row> {
    let mut all = consent();
    all.extend(brokers());
    all.extend(residency());
    all.extend(handling());
    all.extend(tickets());
    all
}

fn consent() -> Vec<Row> {
    vec![
        may(("ok", ASKS), "Conflict", request, |asked| format!("{asked:?}")),
        refused("NotFound", "NotFound", |s| WithdrawRequest { tenant: s.id.clone(), id: s.pending.clone() }),
        refused("Conflict", "Conflict", |s| ConfirmRequest {
            tenant: s.id.clone(),
            id: s.pending.clone(),
            yes: true,
            comment: "yes".into(),
        }),
        may(
            (
                "NotFound",
                "an approver of the provider's comments; of another's request support hears nothing",
            ),
            "ok",
            |s| CommentRequest { tenant: s.id.clone(), id: s.pending.clone(), text: "soon?".into() },
            |done| format!("{done:?}"),
        ),
        never("ok", |s| ListConsents { tenant: s.id.clone(), requests_max: 10 }),
        never("ok", |s| FindConsents {
            tenant: s.id.clone(),
            states: None,
            operator: None,
            after: None,
            requests_max: 10,
        }),
        never("ok", |s| GetConsent { tenant: s.id.clone(), id: s.pending.clone() }),
        never("ok", |s| GetConsentFigures { tenant: s.id.clone(), span: today(s) }),
        may(
            ("ok", "compliance and approvers see how often who asked, on record; no name of content"),
            "NotFound",
            |s| GetAllFigures { span: today(s) },
            |figures| format!("{figures:?}"),
        ),
        never("ok", |s| ShowConsentPolicy { tenant: s.id.clone() }),
        never("ok", |s| SetConsentPolicy {
            tenant: s.id.clone(),
            policy: ConsentPolicy::default(),
            approvers: Vec::new(),
        }),
        never("Conflict", |s| AskApproval {
            tenant: s.id.clone(),
            token: s.root_token.clone(),
            id: s.pending.clone(),
            minutes: 30,
            uses_max: 1,
            scope: None,
        }),
        never("ok", |s| standing_right(&s.t, &s.id)),
        never("ok", |s| RevokeStandingRight { tenant: s.id.clone(), id: s.standing.clone() }),
        never("ok", |s| ListStandingRights { tenant: s.id.clone() }),
        never("ok", |s| Decide::new(s.id.clone(), s.pending.clone(), Decision::Deny)),
        never("Conflict", |s| {
            Decide::new(s.id.clone(), s.pending.clone(), Decision::Approve { minutes: 30, uses_max: 3 })
        }),
        never("Conflict", |s| Decide::new(s.id.clone(), s.revoked.id.clone(), Decision::Revoke)),
    ]
}

fn brokers() -> Vec<Row> {
    vec![
        opens(
            super::NO_ROLE,
            |s| ReadRecording { tenant: s.id.clone(), session: s.session.clone(), unmasked: false },
            |replay| replay.frames.iter().map(|f| String::from_utf8_lossy(&f.bytes).into_owned()).collect(),
        ),
        opens(
            super::NO_ROLE,
            |s| ReadRecording { tenant: s.id.clone(), session: s.session.clone(), unmasked: true },
            |replay| replay.frames.iter().map(|f| String::from_utf8_lossy(&f.bytes).into_owned()).collect(),
        ),
        never("ok", |s| ShowRecordingMasks { tenant: s.id.clone() }),
        never("ok", |s| SetRecordingMasks { tenant: s.id.clone(), masks: Masks::default() }),
        granted(
            |s| OpenSession {
                tenant: s.id.clone(),
                ticket: s.ticket.clone(),
                target: target("web-1"),
                family: "host".into(),
            },
            |_| String::new(),
        ),
        refused("NoConsent", "Conflict", |s| OpenSession {
            tenant: s.id.clone(),
            ticket: s.ticket.clone(),
            target: target("db-1"),
            family: "database".into(),
        }),
        refused("Conflict", "Conflict", |s| TakeKeys::of(&s.revoked, true, s.t.house.now()).unwrap()),
        refused("Conflict", "Conflict", |s| BeyondGrant {
            tenant: s.id.clone(),
            ticket: s.ticket.clone(),
            request: "PutObject",
            on: Some((place().0, Some(place().1))),
        }),
        never("ok", |s| ListKeys { tenant: s.id.clone(), before: None }),
        never("ok", |s| ListSessions { tenant: s.id.clone(), session: None, before: None, sessions_max: 10 }),
        never("Conflict", |s| CutSession { tenant: s.id.clone(), session: s.session.clone() }),
        refused("NotFound", "Conflict", |s| ReturnSession {
            tenant: s.id.clone(),
            session: s.session.clone(),
            why: None,
        }),
        never("ok", |s| ListTargets { tenant: s.id.clone() }),
        never("ok", |s| PutTarget {
            tenant: s.id.clone(),
            name: target("web-2"),
            settings: host(),
            secret: None::<SecretText>,
        }),
        never("ok", |s| DeleteTarget { tenant: s.id.clone(), name: target("web-2") }),
    ]
}

fn residency() -> Vec<Row> {
    vec![
        opens(
            super::NO_ROLE,
            |s| ReadDocument {
                tenant: s.id.clone(),
                id: s.transfer.clone(),
                sha256: digest("MARK-transfer"),
            },
            document,
        ),
        never("ok", |s| ListDocuments { tenant: s.id.clone(), id: s.transfer.clone() }),
        never("ok", |s| ListTransfers { tenant: s.id.clone() }),
        never("ok", |s| ListMoves {
            tenant: s.id.clone(),
            id: s.transfer.clone(),
            before: None,
            rows_max: 10,
        }),
        never("ok", |s| ListTransferRequests { tenant: s.id.clone() }),
        never("ok", |s| AttachDocument {
            tenant: s.id.clone(),
            id: s.transfer.clone(),
            document: paper("more.txt", "another"),
            named: None,
        }),
        never("Retained", |s| RemoveDocument {
            tenant: s.id.clone(),
            id: s.transfer.clone(),
            sha256: digest("another"),
        }),
        never("ok", |s| register(&s.t, &s.id, Vec::new())),
        may(
            ("ok", "proposing a transfer is how the tenant comes to register one; it covers nothing"),
            "Conflict",
            |s| RequestTransfer {
                tenant: s.id.clone(),
                ticket: s.ticket.clone(),
                from: None,
                to: "SG".into(),
                resources: vec![PLAIN.into()],
                basis: "cn-38-3".into(),
                importer: "Bailee SG".into(),
                reason: "support at night".into(),
                days: 30,
            },
            |id| id,
        ),
        never("ok", |s| DeclineTransfer { tenant: s.id.clone(), id: s.wish.clone(), note: "no".into() }),
        never("ok", |s| ChangeTransfer {
            tenant: s.id.clone(),
            id: s.transfer.clone(),
            change: TransferChange::Suspend,
            reason: "why".into(),
        }),
        never("NotFound", |_| RunChecks { only: Vec::new() }),
        never("NotFound", |_| AddRegion {
            id: RegionId::parse("eu-central-1").unwrap(),
            jurisdiction: "DE".into(),
            folder: None,
        }),
        never("ok", |s| AllowRegions { tenant: s.id.clone(), regions: vec![s.region()] }),
        never("ok", |s| GetAllowedRegions { tenant: s.id.clone() }),
    ]
}

fn handling() -> Vec<Row> {
    vec![
        by_door(
            "handling::change::Announce",
            ("ok", "stability work is announced; it opens no content"),
            "Conflict",
            |s, who| {
                let (house, planned_at) = (s.t.house.clone(), s.t.house.now().plus_ms(86_400_000));
                // Each of them once: an id is good for one change.
                let id = ChangeId::parse(&format!("CHG-{}", who.name())).unwrap();
                let work = Work::Scrub(bucket(BUCKET));
                let new = NewChange {
                    tenant: s.id.clone(),
                    id,
                    work,
                    reason: "disks are replaced".into(),
                    planned_at,
                };
                Box::pin(async move { house.announce_change(who, new).await.map(|()| String::new()) })
            },
        ),
        by_door(
            "handling::change::Pause",
            ("ok", "a worker stands still, or goes on, as was announced; it opens no content"),
            "Conflict",
            |s, who| {
                let (house, tenant) = (s.t.house.clone(), s.id.clone());
                let id = ChangeId::parse(&format!("CHG-P-{}", who.name())).unwrap();
                let new = NewChange {
                    tenant: tenant.clone(),
                    id: id.clone(),
                    work: Work::Suspend(Worker::Replication, Some(bucket(BUCKET))),
                    reason: "disks are replaced".into(),
                    planned_at: house.now(),
                };
                Box::pin(async move {
                    house.announce_change(who.clone(), new).await?;
                    house.run_change(who, &tenant, &id).await
                })
            },
        ),
        by_door(
            "handling::takedown::Answered",
            ("Conflict", "another person than filed it confirms a takedown: it closes, it opens nothing"),
            "Conflict",
            |s, who| {
                let (house, tenant, id) = (s.t.house.clone(), s.id.clone(), s.takedown.clone());
                Box::pin(async move {
                    house
                        .answer_takedown(who, (&tenant, &id), Answer::Confirm, "as the order says")
                        .await
                        .map(|()| String::new())
                })
            },
        ),
        refused("FreshMfaRequired", "Conflict", |s| AskGlass {
            tenant: s.id.clone(),
            incident: "INC-1".into(),
            reason: "the region is down".into(),
            minutes: 60,
        }),
        by_door(
            "handling::glass::Moved",
            ("NotFound", "a glass is broken by two with second factors; it opens no content"),
            "NotFound",
            |s, who| {
                let (house, tenant, id) = (s.t.house.clone(), s.id.clone(), s.takedown.clone());
                Box::pin(async move {
                    house.step_glass(who, (&tenant, &id), GlassStep::Break, "").await.map(|_| String::new())
                })
            },
        ),
        opens(super::NO_ROLE, |s| GetNotifications { tenant: s.id.clone() }, |told| format!("{told:?}")),
        never("ok", |s| SetNotifications { tenant: s.id.clone(), targets: Vec::new() }),
    ]
}

fn tickets() -> Vec<Row> {
    vec![
        may(
            ("ok", LAID_DOWN),
            "ok",
            |s| ReadAttachment { tenant: s.id.clone(), ticket: s.ticket.clone(), sha256: of_paper() },
            document,
        ),
        may(
            ("ok", TICKETS),
            "ok",
            |s| GetTicket { tenant: s.id.clone(), ticket: s.ticket.clone(), before: None, recorded: true },
            |thread| format!("{thread:?}"),
        ),
        may(
            ("ok", TICKETS),
            "ok",
            |s| ListTickets {
                tenant: s.id.clone(),
                filter: Filter::default(),
                before: None,
                tickets_max: 10,
            },
            |page| format!("{page:?}"),
        ),
        may(
            ("ok", TICKETS),
            "ok",
            |s| ReplyTicket { tenant: s.id.clone(), ticket: s.ticket.clone(), text: "we look".into() },
            |state| format!("{state:?}"),
        ),
        may(
            ("ok", TICKETS),
            "Conflict",
            |s| AssignTicket {
                tenant: s.id.clone(),
                ticket: s.ticket.clone(),
                to: OperatorId::parse("op-all").unwrap(),
            },
            |pseudonym| pseudonym,
        ),
        may(
            ("ok", TICKETS),
            "AlreadyExists",
            |s| AttachToTicket {
                tenant: s.id.clone(),
                ticket: s.ticket.clone(),
                documents: vec![paper("plan.txt", "what we do next")],
            },
            |done| format!("{done:?}"),
        ),
        never("ok", |s| RemoveAttachment {
            tenant: s.id.clone(),
            ticket: s.ticket.clone(),
            sha256: digest("what we do next"),
        }),
        never("ok", |s| OpenTicket::titled(s.id.clone(), "another")),
        may(
            ("ok", TICKETS),
            "Conflict",
            |s| SolveTicket { tenant: s.id.clone(), ticket: s.other_ticket.clone() },
            |state| format!("{state:?}"),
        ),
        never("ok", |s| ReopenTicket { tenant: s.id.clone(), ticket: s.other_ticket.clone() }),
        never("ok", |s| CloseTicket { tenant: s.id.clone(), ticket: s.other_ticket.clone() }),
    ]
}
