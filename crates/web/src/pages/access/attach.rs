//! Policies on a user, a group or a role: the same part on each of their pages.

use axum::response::Response;
use bailee_rooms::Failure;
use bailee_rooms::identity::{
    AttachPolicy, DetachPolicy, Entity, ListPolicies, ListPoliciesFor, Paging, PolicyInfo, PolicyType,
};
use bailee_types::{PolicyName, Timestamp};
use maud::{Markup, html};

use super::super::failure;
use super::super::frame::{csrf, time};
use super::super::visit::{Posted, Signed, Tenant, Visit};
use super::parts::{Said, ask, button, part};

/// Policies that are offered in the list, of each kind.
const OFFERED_MAX: u32 = 1_000;

/// The policies on somebody, and those that could be put on him.
pub(super) struct Policies {
    on: Result<Vec<(PolicyInfo, Timestamp)>, Markup>,
    offered: Result<Vec<PolicyInfo>, Markup>,
}

pub(super) async fn load(s: &Signed<Tenant>, of: Entity) -> Result<Policies, Response> {
    let on = part(&s.visit, ask(s, ListPoliciesFor { of }).await)?;
    let page = Paging { marker: None, items_max: OFFERED_MAX };
    let list = |kind| ListPolicies { kind: Some(kind), page: page.clone(), tags: Vec::new() };
    let offered = match ask(s, list(PolicyType::Custom)).await {
        Ok(custom) => {
            ask(s, list(PolicyType::System)).await.map(|system| [custom.items, system.items].concat())
        }
        Err(e) => Err(e),
    };
    Ok(Policies { on, offered: part(&s.visit, offered)? })
}

/// `/console/access/policies/custom/reader`.
pub(super) fn address(kind: PolicyType, name: &str) -> String {
    format!("/console/access/policies/{}/{name}", kind.word().to_lowercase())
}

pub(super) fn kind_chip(visit: &Visit, kind: PolicyType) -> Markup {
    html! { @match kind {
        PolicyType::System => span.chip { (visit.lang.t("System", "系统")) },
        PolicyType::Custom => span.chip.info { (visit.lang.t("Your own", "自定义")) },
    } }
}

/// The section of a page; `base` is the page's address.
pub(super) fn section(visit: &Visit, base: &str, p: &Policies) -> Markup {
    let t = |en, zh| visit.lang.t(en, zh);
    html! {
        section #policies { div.head { h2 { (t("Policies", "策略")) } p { (t("What they allow holds, unless one of them denies it.", "策略允许的即可执行，除非其中有策略拒绝。")) } } div.card {
            @match &p.on {
                Err(why) => (why),
                Ok(on) if on.is_empty() => div.empty { h3 { (t("No policy", "没有策略")) } p { (t("Without one nothing is allowed from here.", "没有策略，这里就不允许任何操作。")) } },
                Ok(on) => table.tbl { thead { tr { th { (t("Policy", "策略")) } th { (t("Whose", "类型")) } th { (t("Since", "开始于")) } th { span.sr { (t("Action", "操作")) } } } } tbody {
                    @for (policy, at) in on { tr {
                        th scope="row" { a href=(address(policy.kind, &policy.name)) { (policy.name) } span.sub { (policy.description) } }
                        td data-l=(t("Whose", "类型")) { span { (kind_chip(visit, policy.kind)) } }
                        td data-l=(t("Since", "开始于")) { (time(*at)) }
                        td.act { (button(visit, &format!("{base}/detach"), &[("policy", &word(policy))], "", t("Take off", "移除"))) }
                    } }
                } },
            }
            @if let Ok(offered) = &p.offered { form #attach.pad.acts method="post" action={ (base) "/attach" } { (csrf(visit))
                label.sr for="attach-policy" { (t("Policy", "策略")) }
                select.in #attach-policy name="policy" required {
                    @for kind in [PolicyType::Custom, PolicyType::System] {
                        optgroup label=(if kind == PolicyType::Custom { t("Your own", "自定义") } else { t("System", "系统") }) {
                            @for policy in offered.iter().filter(|o| o.kind == kind) { option value=(word(policy)) { (policy.name) } }
                        }
                    }
                }
                button.btn { (t("Put it on", "添加")) }
            } }
        } }
    }
}

fn word(policy: &PolicyInfo) -> String {
    format!("{}/{}", policy.kind.word(), policy.name)
}

fn read(p: &Posted<Tenant>) -> Option<(PolicyType, PolicyName)> {
    let (kind, name) = p.field("policy").split_once('/')?;
    let kind = match kind {
        "System" => PolicyType::System,
        "Custom" => PolicyType::Custom,
        _ => return None,
    };
    Some((kind, PolicyName::parse(name).ok()?))
}

/// Puts the form's policy on, or takes it off; what went wrong stands on the page.
pub(super) async fn change(
    p: &Posted<Tenant>,
    entity: Entity,
    put: bool,
) -> Result<(), Result<Said, Response>> {
    let Some((kind, policy)) = read(p) else {
        return Err(Err(failure::bad_form(&p.signed.visit)));
    };
    let done: Result<(), Failure> = if put {
        ask(&p.signed, AttachPolicy { to: entity, kind, policy }).await
    } else {
        ask(&p.signed, DetachPolicy { from: entity, kind, policy }).await
    };
    done.map_err(|e| Said::failed(p, "attach", &e))
}
