//! A batch of a collector: into the logs of the tenants, in one transaction.

use std::collections::HashMap;
use std::sync::Arc;

use bailee_collect::wire::{Answer, Batch, Event, Recorded};
use bailee_collect::{Outcome, Source};
use bailee_store::Tx;
use bailee_types::{Arn, BucketName, ObjectKey, OperatorId, TenantId, Timestamp};
use serde_json::{Map, Value, json};

use super::covered::{Cover, Own};
use super::reconcile::APART_MS;
use super::{Known, asked, rows};
use crate::consent::parameters;
use crate::gate::{Asked, Intent, ObservedEnd, Operation, record_observed};
use crate::trail::{ActEnd, ActFilter, Family, Kind, LogKeys, append};
use crate::{Failure, House, SignInProblem};

/// How long an answer is kept for a collector that did not get it.
const ANSWERS_MS: i64 = 7 * 86_400_000;

/// Hands in a batch. Answers a verdict for each event; a batch that came before gets the answer of then.
#[derive(Clone, Debug)]
pub struct HandIn {
    /// Who.
    pub collector: Known,
    /// What.
    pub batch: Batch,
}

/// What the transaction needs to know of tenants and operators.
struct Named {
    tenants: HashMap<String, (TenantId, Arc<LogKeys>)>,
    places: HashMap<String, (OperatorId, String)>,
    /// What the gate recorded of operators at tenants in whose objects access logs saw some.
    own: HashMap<TenantId, Vec<Own>>,
}

impl Operation for HandIn {
    type Output = Answer;

    fn asks(&self) -> Asked {
        let (batch, tally) = (&self.batch, &self.batch.tally);
        let detail = json!({
            "collector": self.collector.name, "source": batch.source.word(), "batch": batch.id,
            "events": batch.events.len(), "read": tally.read, "mapped": tally.mapped,
            "ignored": tally.ignored, "mapping": tally.mapping,
        });
        asked("bailee:CollectEvents", &self.collector.name, detail)
    }

    async fn act(self, house: &Arc<House>, _intent: &Intent) -> Result<Answer, Failure> {
        let Self { collector, batch } = self;
        if !collector.sources.contains(&batch.source) {
            return Err(Failure::invalid(
                "source",
                format!("`{}` may not be handed in by collector `{}`", batch.source.word(), collector.name),
            ));
        }
        let known = house.named_in(&batch).await?;
        let provider = TenantId::provider();
        let own = house.log_keys(&provider).await?;
        let inner = Arc::clone(house);
        let answer = house
            .db
            .write(move |tx| {
                let now = inner.now();
                if let Some(before) = rows::answer(tx, &collector.name, &batch.id)? {
                    return serde_json::from_str(&before)
                        .map_err(|e| Failure::Damaged(format!("the answer to a batch: {e}")));
                }
                // It may have been disabled since it showed its token.
                if !rows::by_name(tx, &collector.name)?.is_some_and(|c| c.active) {
                    return Err(Failure::SignIn(SignInProblem::Wrong));
                }
                let mut verdicts = Vec::with_capacity(batch.events.len());
                for event in &batch.events {
                    verdicts.push(record(tx, &inner, &known, &collector.name, batch.source, event, now)?);
                }
                let answer = Answer { verdicts };
                finish(tx, &own, &collector.name, &batch, &answer, now)?;
                Ok::<_, Failure>(answer)
            })
            .await?;
        house.trail.changed.notify_one();
        Ok(answer)
    }

    fn outcome_detail(output: &Answer) -> Map<String, Value> {
        let count = |wanted: fn(&Recorded) -> bool| output.verdicts.iter().filter(|v| wanted(v)).count();
        parameters(json!({
            "recorded": count(|v| matches!(v, Recorded::Recorded)),
            "duplicates": count(|v| matches!(v, Recorded::Duplicate)),
            "refused": count(|v| matches!(v, Recorded::Refused(_))),
        }))
    }
}

impl House {
    /// Tenants and operators that a batch names and that there are.
    async fn named_in(self: &Arc<Self>, batch: &Batch) -> Result<Named, Failure> {
        let mut tenants = HashMap::new();
        for event in &batch.events {
            if tenants.contains_key(&event.tenant) {
                continue;
            }
            match self.find_tenant(&event.tenant).await {
                Ok(tenant) => {
                    let log = self.log_keys(&tenant.id).await?;
                    tenants.insert(event.tenant.clone(), (tenant.id, log));
                }
                Err(Failure::NotFound { .. }) => {}
                Err(e) => return Err(e),
            }
        }
        // Also those who may no longer sign in: the act was theirs.
        let places = self.operators().await?.into_iter().map(|o| (o.id.to_string(), (o.id, o.place)));
        let mut own = HashMap::new();
        for (named, (tenant, _)) in &tenants {
            let seen = batch
                .events
                .iter()
                .filter(|e| e.tenant == *named && e.product == "OSS" && e.operator.is_some());
            let mut times: Vec<_> = seen
                .filter_map(|e| Timestamp::parse_iso(e.time.as_ref().unwrap_or(&e.observed_at)).ok())
                .collect();
            times.sort_unstable();
            if let (Some(first), Some(last)) = (times.first(), times.last()) {
                let span = (first.plus_ms(-APART_MS), last.plus_ms(APART_MS));
                own.insert(tenant.clone(), self.own_acts(tenant, span).await?);
            }
        }
        Ok(Named { tenants, places: places.collect(), own })
    }

    /// What the gate recorded of operators at objects in a span of time.
    async fn own_acts(
        self: &Arc<Self>,
        tenant: &TenantId,
        (from, last): (Timestamp, Timestamp),
    ) -> Result<Vec<Own>, Failure> {
        let filter = ActFilter {
            from: Some(from),
            until: Some(last.plus_ms(1)),
            family: Some(Family::Platform),
            product: Some("OSS".into()),
            ..ActFilter::default()
        };
        let (mut own, mut before) = (Vec::new(), None);
        loop {
            let page = self.acts(tenant, &filter, before, 500).await?;
            own.extend(page.acts.into_iter().map(|a| Own {
                record: a.record,
                at: a.at,
                refused: matches!(a.end, ActEnd::Refused),
                name: a.event_name,
                resource: a.resource,
                who: a.who,
            }));
            match page.next_before {
                Some(next) => before = Some(next),
                None => return Ok(own),
            }
        }
    }
}

fn record(
    tx: &mut Tx<'_>,
    house: &House,
    known: &Named,
    collector: &str,
    source: Source,
    event: &Event,
    now: Timestamp,
) -> Result<Recorded, Failure> {
    if let Err(why) = event.check() {
        return Ok(Recorded::Refused(why));
    }
    let Ok(id) = hex::decode(&event.id) else { return Ok(Recorded::Refused("the id is not hex".into())) };
    if rows::is_known(tx, collector, &id)? {
        return Ok(Recorded::Duplicate);
    }
    let Some((tenant, log)) = known.tenants.get(&event.tenant) else {
        return Ok(Recorded::Refused("there is no such tenant".into()));
    };
    let operator = match event.operator.as_deref().map(|o| known.places.get(o)) {
        None => None,
        Some(Some(found)) => Some(found),
        Some(None) => return Ok(Recorded::Refused("there is no such operator".into())),
    };
    let who = operator.map(|(id, _)| house.pseudonym(tenant, id).to_string()).unwrap_or_default();
    let own = known.own.get(tenant).map_or(&[][..], Vec::as_slice);
    let about = (own, resource(tenant, event), who);
    let cover =
        Cover::of(&mut tx.tenant(tenant), event, operator.map(|(id, _)| id), (about.0, &about.1, &about.2))?;
    let operator = cover.operator.as_ref().and_then(|id| known.places.get(id.as_str()));
    let name = format!("collected:{}", event.name);
    let end = ObservedEnd { word: event.outcome.word(), text: said(event) };
    let index = record_observed(
        tx,
        log,
        tenant,
        &name,
        now,
        |_| event_of(house, tenant, (operator, &cover), (collector, source), event, &name),
        end,
    )?;
    rows::insert_event(tx, collector, &id, tenant, index)?;
    Ok(Recorded::Recorded)
}

fn said(event: &Event) -> Option<String> {
    match event.outcome {
        Outcome::Done => None,
        Outcome::Unknown => Some("the log does not say how it ended".into()),
        _ => Some(format!("the log says `{}`", event.code)),
    }
}

fn event_of(
    house: &House,
    tenant: &TenantId,
    (operator, cover): (Option<&(OperatorId, String)>, &Cover),
    (collector, source): (&str, Source),
    event: &Event,
    name: &str,
) -> Map<String, Value> {
    let (employee, place) = match operator {
        Some((id, place)) => (house.pseudonym(tenant, id).to_string(), place.clone()),
        None => (String::new(), house.provider().jurisdiction.clone()),
    };
    let mut detail = event.detail.clone();
    detail.insert("rule".into(), event.rule.clone());
    let mut collected = parameters(json!({
        "collector": collector, "source": source.word(), "line": event.line,
        "observedAt": event.observed_at,
        // A log that does not say when leaves the moment in which it was read.
        "timeBy": if event.time.is_some() { "source" } else { "collector" },
    }));
    if let Some((member, said)) = &cover.said {
        collected.insert((*member).into(), said.clone());
    }
    let level = if cover.is_missing() { "WARNING" } else { event.level.as_str() };
    let mut out = Map::new();
    out.insert("eventName".into(), name.into());
    out.insert("resource".into(), resource(tenant, event).into());
    out.insert("collected".into(), collected.into());
    out.insert(
        "platform".into(),
        json!({
            "EventID": event.id,
            "EventVersion": "1.0.0",
            "EventProduct": event.product,
            "EventName": event.name,
            "EventDescription": event.description,
            "EventType": event.kind,
            "EmployeeID": employee,
            "EventMethod": event.method,
            "ResourceType": event.resource_type,
            "ResourceID": event.resource,
            "ResourceRegionID": house.provider().region.as_str(),
            "ResourceOwnerID": tenant.as_str(),
            "EventAdditionalDetail": json!(detail).to_string(),
            "EventTime": event.time.as_ref().unwrap_or(&event.observed_at),
            "EventLevel": level,
            "EventLocation": place,
        }),
    );
    out
}

/// The resource as an ARN: an object's as the gate writes it, so that both can be compared.
fn resource(tenant: &TenantId, event: &Event) -> String {
    if event.product == "OSS"
        && let Some((bucket, key)) = event.resource.split_once('/')
        && let (Ok(bucket), Ok(key)) = (BucketName::parse(bucket), ObjectKey::parse(key))
    {
        return Arn::object(tenant, &bucket, &key).to_string();
    }
    format!("acs:{}:*:{tenant}:{}", event.product.to_ascii_lowercase(), event.resource)
}

/// Keeps the answer, counts, and tells the provider's own log of what was not read, not mapped or not taken.
fn finish(
    tx: &mut Tx<'_>,
    own: &LogKeys,
    collector: &str,
    batch: &Batch,
    answer: &Answer,
    now: Timestamp,
) -> Result<(), Failure> {
    let tally = &batch.tally;
    let mut refused = std::collections::BTreeMap::<&str, u64>::new();
    for verdict in &answer.verdicts {
        if let Recorded::Refused(why) = verdict {
            *refused.entry(why).or_default() += 1;
        }
    }
    let lost = tally.unmapped.values().sum::<u64>() + refused.values().sum::<u64>();
    if lost > 0 || !tally.gaps.is_empty() {
        append(tx, own, Kind::Finding, now, |_| {
            let mut out = Map::new();
            out.insert("eventName".into(), "LinesNotMapped".into());
            out.insert(
                "finding".into(),
                json!({
                    "check": "collected lines are mapped", "result": "fails",
                    "detail": format!("{lost} lines not mapped or refused, {} gaps", tally.gaps.len()),
                }),
            );
            out.insert(
                "resource".into(),
                Arn::own(&TenantId::provider(), &format!("collector/{collector}")).to_string().into(),
            );
            out.insert(
                "collected".into(),
                json!({
                    "collector": collector, "source": batch.source.word(), "batch": batch.id,
                    "unmapped": tally.unmapped, "unmappedDigest": tally.unmapped_digest,
                    "refused": refused, "gaps": tally.gaps,
                }),
            );
            out
        })?;
    }
    let recorded = answer.verdicts.iter().filter(|v| matches!(v, Recorded::Recorded)).count();
    rows::count(tx, collector, recorded as u64, lost, now)?;
    rows::forget_batches(tx, now.plus_ms(-ANSWERS_MS))?;
    let text = serde_json::to_string(answer).map_err(|e| Failure::Bug(e.to_string()))?;
    rows::insert_batch(tx, collector, &batch.id, &text, now)?;
    Ok(())
}
