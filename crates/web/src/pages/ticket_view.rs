//! What both sides see of tickets alike: the list with its filter, the thread, the clocks.

use std::collections::HashMap;

use bailee_rooms::tickets::{
    Assigned, Category, Clock, Entry, Filter, MESSAGE_MAX, Page, Priority, SEARCH_MAX, Side, Stands, State,
    Step, TEXT_MAX, Thread, Ticket,
};
use bailee_types::OperatorId;
use maud::{Markup, html};

use super::frame::{csrf, enc, icon, size, time};
use super::markdown::markdown;
use super::visit::{Lang, Visit};

/// Tickets of a page.
pub(super) const PER_PAGE: u32 = 50;
const NAMES: [&str; 8] =
    ["state", "category", "priority", "assigned", "overdue", "text", "messages", "tenant"];

pub(super) fn value<'a>(q: &'a HashMap<String, String>, name: &str) -> Option<&'a str> {
    q.get(name).map(|v| v.trim()).filter(|v| !v.is_empty())
}

pub(super) fn state_name(lang: Lang, state: State) -> &'static str {
    match state {
        State::Open => lang.t("Open", "打开"),
        State::Answered => lang.t("Answered", "已答复"),
        State::Waiting => lang.t("Waiting for the provider", "等待服务商"),
        State::Solved => lang.t("Solved", "已解决"),
        State::Closed => lang.t("Closed", "已关闭"),
    }
}

fn chip(lang: Lang, state: State) -> Markup {
    let class = match state {
        State::Open | State::Waiting => "chip info",
        State::Answered => "chip warn",
        State::Solved => "chip ok",
        State::Closed => "chip",
    };
    html! { span class=(class) { (state_name(lang, state)) } }
}

pub(super) fn category_name(lang: Lang, category: Category) -> &'static str {
    match category {
        Category::Support => lang.t("Support you ask for", "客户发起的支持"),
        Category::Incident => lang.t("Incident", "故障"),
        Category::Security => lang.t("Security", "安全"),
        Category::Compliance => lang.t("Compliance", "合规"),
        Category::Billing => lang.t("Billing", "账单"),
        Category::Other => lang.t("Other", "其他"),
    }
}

pub(super) fn priority_name(lang: Lang, priority: Priority) -> &'static str {
    match priority {
        Priority::Low => lang.t("Low", "低"),
        Priority::Normal => lang.t("Normal", "普通"),
        Priority::High => lang.t("High", "高"),
        Priority::Urgent => lang.t("Urgent", "紧急"),
    }
}

/// A field that offers words.
pub(super) fn choose(name: &str, label: &str, now: &str, choices: &[(&str, &str)]) -> Markup {
    html! { div.field { label for=(name) { (label) } select.in id=(name) name=(name) { @for (word, text) in choices {
        option value=(word) selected[*word == now] { (text) }
    } } } }
}

pub(super) fn categories(lang: Lang) -> Vec<(&'static str, &'static str)> {
    Category::ALL.iter().map(|c| (c.word(), category_name(lang, *c))).collect()
}

pub(super) fn priorities(lang: Lang) -> Vec<(&'static str, &'static str)> {
    Priority::ALL.iter().map(|p| (p.word(), priority_name(lang, *p))).collect()
}

/// The filter that an address says; on the desk also an operator.
pub(super) fn read(lang: Lang, q: &HashMap<String, String>, desk: bool) -> Result<Filter, &'static str> {
    let wrong = || lang.t("The list has no such filter.", "列表没有此筛选条件。");
    let stands = match value(q, "state") {
        None if desk => Some(Stands::Live),
        None | Some("all") => None,
        Some("live") => Some(Stands::Live),
        Some(word) => Some(Stands::In(State::parse(word).ok_or_else(wrong)?)),
    };
    let assigned = match value(q, "assigned") {
        None => None,
        Some("nobody") => Some(Assigned::Nobody),
        Some("somebody") => Some(Assigned::Somebody),
        Some(id) if desk => Some(Assigned::To(OperatorId::parse(id).map_err(|_| wrong())?)),
        Some(_) => return Err(wrong()),
    };
    Ok(Filter {
        stands,
        assigned,
        category: value(q, "category").map(|w| Category::parse(w).ok_or_else(wrong)).transpose()?,
        priority: value(q, "priority").map(|w| Priority::parse(w).ok_or_else(wrong)).transpose()?,
        overdue: value(q, "overdue").is_some(),
        text: value(q, "text").map(str::to_owned),
        in_messages: value(q, "messages").is_some() && value(q, "text").is_some(),
    })
}

/// The form of the filter.
pub(super) fn form(visit: &Visit, q: &HashMap<String, String>, desk: bool) -> Markup {
    let (lang, t) = (visit.lang, |en, zh| visit.lang.t(en, zh));
    let now = |name: &str| value(q, name).unwrap_or_default();
    let any = ("", t("Any", "不限"));
    let live = ("live", t("Neither solved nor closed", "未解决且未关闭"));
    let mut states = if desk { vec![("", live.1), ("all", any.1)] } else { vec![any, live] };
    states.extend(State::ALL.iter().map(|s| (s.word(), state_name(lang, *s))));
    let with = |mut more: Vec<(&'static str, &'static str)>| {
        more.insert(0, any);
        more
    };
    html! {
        form.filters.card.pad #filter method="get" {
            (choose("state", t("State", "状态"), now("state"), &states))
            (choose("category", t("Category", "类别"), now("category"), &with(categories(lang))))
            (choose("priority", t("Priority", "优先级"), now("priority"), &with(priorities(lang))))
            @if desk {
                div.field { label for="assigned" { (t("Assigned to", "处理人")) } input.in #assigned name="assigned" maxlength="64" placeholder="op-…, nobody, somebody" value=(now("assigned")); }
                div.field { label for="tenant" { (t("Tenant", "租户")) } input.in #tenant name="tenant" maxlength="64" value=(now("tenant")); }
            } @else {
                (choose("assigned", t("Assigned", "处理人"), now("assigned"), &[any, ("nobody", t("Nobody yet", "尚未分配")), ("somebody", t("Somebody", "已分配"))]))
            }
            div.field { label for="text-filter" { (t("Text", "文本")) } input.in #text-filter name="text" maxlength=(TEXT_MAX) value=(now("text")); }
            label.tick { input type="checkbox" name="messages" value="yes" checked[value(q, "messages").is_some()]; " " (t("In messages, too", "同时搜索消息")) }
            label.tick { input type="checkbox" name="overdue" value="yes" checked[value(q, "overdue").is_some()]; " " (t("Overdue only", "仅逾期")) }
            button.btn { (t("Show", "显示")) }
            @if NAMES.iter().any(|n| value(q, n).is_some()) { a.btn.slim #all href="?" { (t("Clear", "清除")) } }
        }
    }
}

/// What stands under a list: the next page, and where a search ended.
pub(super) fn after(visit: &Visit, path: &str, q: &HashMap<String, String>, page: &Page) -> Markup {
    let t = |en, zh| visit.lang.t(en, zh);
    let kept: String = NAMES.iter().filter_map(|n| Some(format!("{n}={}&", enc(value(q, n)?)))).collect();
    html! {
        @if page.search_ended { div.notice.warn #search-ended { (icon("no")) p { (t("The search ended after the newest messages, as many as one look opens: ", "搜索在查看最新消息后结束，一次最多打开：")) (SEARCH_MAX) (t(". Older ones were not looked at.", "。更早的消息未查看。")) } } }
        @if let Some(next) = page.next { p.pad { a #older href={ (path) "?" (kept) "before=" (next) } { (t("Older tickets", "更早的工单")) } } }
    }
}

fn clock(lang: Lang, name: &str, clock: Option<Clock>) -> Markup {
    html! { @if let Some(c) = clock {
        span.nowrap { (name) " " (time(c.due_at)) } " "
        @if c.overdue { span.chip.bad { (icon("no")) (lang.t("Overdue", "逾期")) } " " }
    } }
}

/// The clocks of a ticket, when they run.
pub(super) fn clocks(visit: &Visit, ticket: &Ticket) -> Markup {
    let house = &visit.site.house;
    let (lang, c) = (visit.lang, ticket.clocks(house.ticket_targets(), house.now()));
    html! {
        (clock(lang, lang.t("First answer by", "首次答复截止"), c.first_answer))
        (clock(lang, lang.t("Solution by", "解决截止"), c.solution))
        @if c.stands { span.chip { (lang.t("The clock stands while the tenant is asked", "等待租户期间计时暂停")) } }
    }
}

/// A ticket's facts.
pub(super) fn facts(visit: &Visit, k: &Ticket) -> Markup {
    let (lang, t) = (visit.lang, |en, zh| visit.lang.t(en, zh));
    html! {
        div.card #facts { dl.facts.pad {
            dt { (t("State", "状态")) } dd #state data-state=(k.state().word()) { (chip(lang, k.state())) }
            dt { (t("Category", "类别")) } dd { (category_name(lang, k.category)) }
            dt { (t("Priority", "优先级")) } dd { (priority_name(lang, k.priority)) }
            dt { (t("Opened", "打开")) } dd { (time(k.opened_at)) " " (k.opened_by) }
            dt { (t("Assigned to", "处理人")) } dd #assigned-to { @match &k.assigned { Some(who) => code { (who) }, None => (t("Nobody yet", "尚未分配")) } }
            @if k.state().is_live() { dt { (t("Due", "时限")) } dd #clocks { (clocks(visit, k)) } }
        } }
    }
}

/// The cells of a ticket in a list, behind its name.
pub(super) fn cells(visit: &Visit, k: &Ticket) -> Markup {
    let (lang, t) = (visit.lang, |en, zh| visit.lang.t(en, zh));
    html! {
        td data-l=(t("Opened", "打开")) { span { (time(k.opened_at)) small { (k.opened_by) } } }
        td data-l=(t("State", "状态")) { span { (chip(lang, k.state())) " " small { (category_name(lang, k.category)) ", " (priority_name(lang, k.priority)) } } }
        td data-l=(t("Due", "时限")) { span { (clocks(visit, k)) } }
    }
}

/// The thread, the oldest first.
pub(super) fn thread(visit: &Visit, base: &str, thread: &Thread) -> Markup {
    let t = |en, zh| visit.lang.t(en, zh);
    html! {
        div.card #thread { div.head { h2 { (t("Thread", "往来")) } p { (t("Both sides see the same. Nothing is edited or taken back.", "双方看到的内容相同，不可修改或撤回。")) } }
            @if let (true, Some(first)) = (thread.more, thread.entries.first()) { p.pad { a #earlier href={ (base) "?before=" (first.seq) } { (t("Earlier", "更早")) } } }
            @if thread.entries.is_empty() { div.empty { p { (t("Nobody has written yet.", "尚无消息。")) } } }
            @for e in &thread.entries { div.pad id={ "entry-" (e.seq) } { (entry(visit.lang, e)) } }
        }
    }
}

fn entry(lang: Lang, e: &Entry) -> Markup {
    let side = match e.side {
        Side::Tenant => lang.t("Tenant", "租户"),
        Side::Provider => lang.t("Provider", "服务商"),
        Side::House => lang.t("By itself", "自动"),
    };
    let did = match e.step {
        Step::Message => "",
        Step::Assign => lang.t("assigned it to", "分配给"),
        Step::Solve => lang.t("says it is solved", "标记为已解决"),
        Step::Reopen => lang.t("reopened it", "重新打开"),
        Step::Close => lang.t("closed it", "关闭"),
    };
    html! {
        p.small { span.chip { (side) } " " strong { (e.writer) } " " (did) @if let Some(to) = &e.assignee { " " code { (to) } } " " (time(e.at)) }
        @if let Some(text) = &e.text { div.message { (markdown(text)) } }
    }
}

/// The documents on a ticket; `may`: what the visitor may do with one, and how it is called.
pub(super) fn attachments(visit: &Visit, base: &str, thread: &Thread, may: &[(&str, &str)]) -> Markup {
    let t = |en, zh| visit.lang.t(en, zh);
    html! {
        @if !thread.attachments.is_empty() { section.card #documents { div.head { h2 { (t("Documents", "文件")) } p { (t("Sealed under the tenant's key. Support may read them while the ticket is open; each reading stands in the tenant's log.", "以租户的密钥密封保存。工单打开期间支持人员可以读取；每次读取都记入租户的日志。")) } }
            table.tbl { thead { tr { th { (t("Document", "文件")) } th { "SHA-256" } th { (t("Attached", "附加")) } th { span.sr { (t("Action", "操作")) } } } } tbody {
                @for d in &thread.attachments { tr {
                    th scope="row" { (d.name) span.sub { (d.media.mime()) " · " (size(d.size)) } }
                    td data-l="SHA-256" { code { (d.sha256) } }
                    td data-l=(t("Attached", "附加")) { span { (time(d.attached_at)) small { (d.attached_by) } } }
                    td.act { @for (what, label) in may {
                        form method="post" action={ (base) "/documents/" (d.sha256) "/" (what) } { (csrf(visit)) button.btn.slim { (label) } }
                    } }
                } }
            } }
        } }
    }
}

/// The form of a message, with documents.
pub(super) fn reply(visit: &Visit, to: &str) -> Markup {
    let t = |en, zh| visit.lang.t(en, zh);
    html! {
        form #reply.card method="post" action=(to) enctype="multipart/form-data" { div.pad.stack { (csrf(visit)) (message(visit)) (files(visit)) p { button.btn.main-act { (t("Send", "发送")) } } } }
    }
}

/// The field of documents. It stands behind the form's token.
pub(super) fn files(visit: &Visit) -> Markup {
    let t = |en, zh| visit.lang.t(en, zh);
    html! { div.field { label for="files" { (t("Documents", "文件")) } input.in #files type="file" name="files" multiple;
        p.hint { (t("Support reads what is attached here, while the ticket is open; each reading stands in the tenant's log. PDF, PNG, JPEG, DOCX, XLSX or plain text, 20 MiB each, 40 MiB at a time.", "工单打开期间，支持人员会读取此处附加的内容；每次读取都记入租户的日志。PDF、PNG、JPEG、DOCX、XLSX 或纯文本，每个最大 20 MiB，每次最多 40 MiB。")) }
    } }
}

/// The field of a message.
pub(super) fn message(visit: &Visit) -> Markup {
    let t = |en, zh| visit.lang.t(en, zh);
    html! { div.field { label for="message" { (t("Message (Markdown)", "消息（Markdown）")) } textarea.in #message name="message" maxlength=(MESSAGE_MAX) {} } }
}

/// A form that is a button.
pub(super) fn button(visit: &Visit, id: &str, to: &str, class: &str, text: &str) -> Markup {
    html! { form id=(id) method="post" action=(to) { (csrf(visit)) button class=(class) { (text) } } }
}
