//! What a notice says, in both languages of the house.

use bailee_types::{TenantId, Timestamp};
use serde_json::{Value, json};

use super::digest::Week;
use super::{ALERTS, Kind, MailAddress};

/// One mail.
#[derive(Clone, Debug)]
pub struct Mail {
    /// The same at each try.
    pub id: String,
    /// To whom; one, so that nobody learns of the others.
    pub to: MailAddress,
    /// On one line.
    pub subject: String,
    /// In UTF-8.
    pub text: String,
    /// When it is sent.
    pub at: Timestamp,
}

/// What a notice is about, ready to be said.
pub(super) struct Said<'a> {
    pub(super) kind: Kind,
    pub(super) reference: &'a str,
    /// Whether the provider's team hears it.
    pub(super) desk: bool,
    /// Where the console is, without a slash behind it.
    pub(super) at: &'a str,
    pub(super) provider: &'a str,
}

impl Said<'_> {
    /// Whether a standing right was used: the reference is its id, not a request's.
    fn is_standing(&self) -> bool {
        self.reference.starts_with("R-")
    }

    /// Where to look.
    pub(super) fn link(&self) -> String {
        let at = self.at;
        match (self.kind, self.desk) {
            (Kind::Ticket, true) => format!("{at}/desk/tickets/{}", self.reference),
            (Kind::Ticket, false) => format!("{at}/console/tickets/{}", self.reference),
            (_, true) => format!("{at}/desk"),
            (Kind::Consent, false) if self.is_standing() => format!("{at}/console/consent#standing"),
            (Kind::Consent, false) => format!("{at}/console/consent"),
            (Kind::Alert, false) if self.is_handling() => format!("{at}/console/handling"),
            (Kind::Alert, false) => format!("{at}/console/trail/alerts"),
            (Kind::Digest, false) => {
                let (from, to) = Week::parse(self.reference).map(|w| w.span().named()).unwrap_or_default();
                format!("{at}/console/consent/figures?from={from}&to={to}")
            }
        }
    }

    /// Whether it is about one act of the provider's, a takedown or a change, not about alerts of the log.
    fn is_handling(&self) -> bool {
        self.reference != ALERTS
    }

    pub(super) fn mail(&self, id: &str, to: MailAddress, at: Timestamp) -> Mail {
        let it = self.reference;
        let (en, zh) = match self.kind {
            Kind::Ticket => (format!("Ticket {it} has something new"), format!("工单 {it} 有新内容")),
            Kind::Consent if self.is_standing() => (
                format!("An operator got a grant by standing right {it}"),
                format!("运维人员凭常设授权 {it} 获得授权"),
            ),
            Kind::Consent => (format!("Request {it} waits for you"), format!("请求 {it} 等待您处理")),
            Kind::Alert if self.is_handling() => (
                format!("The provider's act {it} is to be looked at by you"),
                format!("平台操作 {it} 等待您查看"),
            ),
            Kind::Digest => {
                (format!("Your week {it} in figures is ready"), format!("{it} 周数据摘要已可查看"))
            }
            Kind::Alert => ("An alert waits for you".to_owned(), "有一条告警等待您查看".to_owned()),
        };
        let why = match self.desk {
            true => String::new(),
            false => format!(
                "\nWho gets these mails is set at / 收件人设置：\n{}/console/notifications\n",
                self.at
            ),
        };
        let text = format!(
            "{en}. Sign in to see it: this mail says nothing of what is in it.\n{zh}。请登录查看：本邮件不含其内容。\n\n{}\n{why}\n-- \n{}\n",
            self.link(),
            self.provider
        );
        Mail { id: id.to_owned(), to, subject: format!("{en} / {zh}"), text, at }
    }

    pub(super) fn json(&self, tenant: &TenantId, id: &str, at: Timestamp) -> Value {
        json!({
            "id": id, "kind": self.kind.word(), "tenant": tenant.as_str(), "reference": self.reference,
            "link": self.link(), "at": at.iso(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mail_says_where_to_look_in_both_languages() {
        let said = |kind, desk| Said {
            kind,
            reference: "T-7",
            desk,
            at: "https://trust.example",
            provider: "Kestrel Cloud",
        };
        let to = MailAddress::parse("ops@acme.example").unwrap();
        let mail = said(Kind::Ticket, false).mail("n", to.clone(), Timestamp::from_ms(0));
        assert_eq!(mail.subject, "Ticket T-7 has something new / 工单 T-7 有新内容");
        assert!(mail.text.contains("https://trust.example/console/tickets/T-7\n"), "{}", mail.text);
        assert!(mail.text.contains("/console/notifications"), "{}", mail.text);
        let mail = said(Kind::Ticket, true).mail("n", to, Timestamp::from_ms(0));
        assert!(mail.text.contains("https://trust.example/desk/tickets/T-7\n"), "{}", mail.text);
        assert!(!mail.text.contains("notifications"));
        let used = Said { reference: "R-abcdefghjkmn", ..said(Kind::Consent, false) };
        assert!(used.link().ends_with("/console/consent#standing"));
        let week = Said { reference: "2026-W48", ..said(Kind::Digest, false) };
        assert!(week.link().ends_with("/console/consent/figures?from=2026-11-23&to=2026-11-29"));
        let told = said(Kind::Consent, false).json(&TenantId::provider(), "n", Timestamp::from_ms(0));
        assert_eq!(told["link"], "https://trust.example/console/consent");
        for (reference, link) in
            [("alerts", "/console/trail/alerts"), ("H-abcdefghijkl", "/console/handling")]
        {
            let said = Said { reference, ..said(Kind::Alert, false) };
            assert_eq!(said.link(), format!("https://trust.example{link}"));
        }
    }
}
