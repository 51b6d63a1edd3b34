//! What went wrong, in the visitor's language. Records and other readers have it in English.

use bailee_rooms::keys::cmk::{KeyProblem, StoreProblem};
use bailee_rooms::{Failure, SignInProblem, Thing};

use super::failure;
use super::visit::Lang;

/// A failure as a sentence.
pub(super) fn text(lang: Lang, failure: &Failure) -> String {
    if lang == Lang::En {
        return match failure {
            Failure::Refused(r) => failure::refusal(lang, r),
            other => other.to_string(),
        };
    }
    match failure {
        Failure::Refused(r) => failure::refusal(lang, r),
        Failure::DeleteMarker { key, .. } => format!("对象 `{key}` 已删除，原处为删除标记"),
        Failure::NotFound { thing: kind, name } => format!("{} `{name}` 不存在", thing(*kind)),
        Failure::Exists { thing: kind, name } => format!("{} `{name}` 已存在", thing(*kind)),
        Failure::Invalid { field, why } => format!("{}不被接受：{}", label(field), reason(why)),
        Failure::Limit { max, thing: kind, .. } => format!("{}已达上限：最多 {max}", thing(*kind)),
        Failure::InUse { thing: kind, name, by, .. } => {
            format!("{} `{name}` 仍带有{}；请先将其移除", thing(*kind), thing(*by))
        }
        Failure::WrongCode => "验证码有误或已使用，请等待下一个".into(),
        Failure::FreshMfa => "此操作需要五分钟内出示过的第二因素；请再次出示".into(),
        Failure::Key(problem) => key(problem),
        Failure::Throttled(seconds) => format!("尝试过多；请在 {seconds} 秒后再试"),
        Failure::SignIn(problem) => sign_in(*problem).into(),
        other => other.to_string(),
    }
}

fn thing(kind: Thing) -> &'static str {
    match kind {
        Thing::Tenant => "租户",
        Thing::User => "用户",
        Thing::AccessKey => "AccessKey",
        Thing::LoginProfile => "控制台登录设置",
        Thing::Group => "用户组",
        Thing::Membership => "用户组成员",
        Thing::Role => "角色",
        Thing::Policy => "策略",
        Thing::PolicyVersion => "策略版本",
        Thing::UserPolicy => "用户的策略",
        Thing::GroupPolicy => "用户组的策略",
        Thing::RolePolicy => "角色的策略",
        Thing::MfaDevice => "MFA 设备",
        Thing::UserMfa | Thing::MfaUser => "用户的 MFA 设备",
        Thing::OidcProvider => "OIDC 身份提供商",
        Thing::SamlProvider => "SAML 身份提供商",
        Thing::AccountAlias => "账号别名",
        Thing::Tag => "标签",
        Thing::Session => "会话",
        Thing::Device => "设备",
        Thing::Passkey => "通行密钥",
        Thing::Operator => "运维人员",
        Thing::Bucket => "存储空间",
        Thing::Object => "对象",
        Thing::Upload => "上传",
        Thing::Version => "版本",
        Thing::Worm => "保留策略",
        Thing::Destruction => "销毁证明",
        Thing::Transfer => "跨境传输",
        Thing::Document => "文件",
        Thing::TransferRequest => "传输请求",
        Thing::Ticket => "工单",
        Thing::Handling => "处置",
        Thing::Glass => "紧急访问",
        Thing::Change => "变更",
        Thing::Target => "目标系统",
        Thing::BrokerSession => "会话",
        Thing::Grant => "同意请求",
        Thing::StandingRight => "常设授权",
        Thing::Log => "日志",
        Thing::Trail => "跟踪",
        Thing::Collector => "采集器",
        Thing::Hold => "法律保全",
        Thing::Sink => "投递目标",
        Thing::Key => "密钥",
        Thing::KeyVersion => "密钥版本",
        Thing::Alias => "别名",
        Thing::Secret => "凭据",
        Thing::SecretVersion => "凭据版本",
        Thing::KeyStore => "密钥服务",
        Thing::Region => "地域",
        Thing::Check => "检查项",
        Thing::Claim => "声明",
    }
}

/// What a field is called on the pages.
fn label(field: &str) -> &str {
    match field {
        "DisplayName" => "显示名称",
        "Comments" => "备注",
        "Email" => "邮箱",
        "MobilePhone" => "手机号",
        "UserName" => "用户名",
        "Password" => "口令",
        "Description" | "NewDescription" => "说明",
        "PolicyDocument" => "策略文档",
        "MaxSessionDuration" => "会话最长时间",
        "AccountAlias" => "账号别名",
        "LoginNetworkMasks" => "登录网络",
        "LoginSessionDuration" => "会话时长",
        "MinimumPasswordLength" => "口令最小长度",
        "MaxPasswordAge" => "口令有效期",
        "PasswordReusePrevention" => "历史口令检查",
        "MaxLoginAttemps" => "登录尝试次数",
        "MinimumPasswordDifferentCharacter" => "不同字符数",
        "AccessKeyPolicy.Format" => "网络设置",
        "IssuerUrl.Format" => "颁发者地址",
        "ClientIds" => "客户端 ID",
        "Fingerprints.Format" => "证书指纹",
        "IssuanceLimitTime" => "令牌签发时限",
        "MetadataDocument" | "MetadataDocument.Format" => "元数据文档",
        "Tag" => "标签",
        "CustomSuffix" => "名称后缀",
        "VirtualMFADeviceName.Length" | "VirtualMFADeviceName.InvalidChars" => "设备名称",
        "AuthenticationCode.Format" => "验证码",
        "action" => "操作",
        "resource" => "资源",
        "document" => "文件",
        other => other,
    }
}

/// The reasons that people meet on the pages; another one stands in English.
fn reason(why: &str) -> String {
    let number = |before: &str, after: &str| Some(why.strip_prefix(before)?.strip_suffix(after)?.to_owned());
    if let Some(n) = number("must have at most ", " characters") {
        return format!("最多 {n} 个字符");
    }
    if let Some((from, to)) =
        number("must have ", " characters").and_then(|n| Some(own(n.split_once(" to ")?)))
    {
        return format!("长度须为 {from} 至 {to} 个字符");
    }
    if let Some(n) = number("must hold ", " different characters") {
        return format!("须含 {n} 个不同字符");
    }
    if let Some(n) = number("must differ from the last ", " passwords") {
        return format!("不得与最近 {n} 个口令相同");
    }
    for (end, said) in [
        (" is larger than 20 MiB", "超过 20 MiB"),
        (" is empty", "为空"),
        (" is HTML, SVG or XML; keep it as PDF", "为 HTML、SVG 或 XML；请存为 PDF"),
        (
            " is none of PDF, PNG, JPEG, DOCX, XLSX and plain text in UTF-8",
            "不是 PDF、PNG、JPEG、DOCX、XLSX 或 UTF-8 纯文本",
        ),
    ] {
        if let Some(name) = why.strip_suffix(end) {
            return format!("{name} {said}");
        }
    }
    match why {
        "must hold a lower-case letter" => "须含小写字母".into(),
        "must hold an upper-case letter" => "须含大写字母".into(),
        "must hold a digit" => "须含数字".into(),
        "must hold a symbol" => "须含符号".into(),
        "must not hold the user's name" => "不得包含用户名".into(),
        "must not hold control characters" => "不得包含控制字符".into(),
        "`root` is the account itself; choose another name" => "`root` 是账号本身；请换一个名称".into(),
        "must be 3600 to 43200 seconds" => "须为 3600 至 43200 秒".into(),
        "must be 1 to 24 hours" => "须为 1 至 24 小时".into(),
        "must have 3 to 63 of a-z, 0-9, hyphen, no hyphen at the ends and not digits alone" => {
            "须为 3 至 63 位的 a-z、0-9、连字符，首尾不是连字符，且不全为数字".into()
        }
        "must be addresses or networks such as 10.0.0.0/8, separated by `;`" => {
            "须为地址或网段（如 10.0.0.0/8），以 `;` 分隔".into()
        }
        "must be 1 to 168 hours" => "须为 1 至 168 小时".into(),
        "must have six digits" => "须为六位数字".into(),
        "must have at most 100 KiB" => "最多 100 KiB".into(),
        "must be an https address without query and fragment (http only for this machine)" => {
            "须为不含查询参数与片段的 https 地址（仅本机可用 http）".into()
        }
        "must be 1 to 50 names of at most 64 characters" => "须为 1 至 50 个，每个最多 64 个字符".into(),
        "must be at most 5 SHA-1 fingerprints of 40 hex digits" => {
            "最多 5 个，每个为 40 位十六进制的 SHA-1 指纹".into()
        }
        "needs a key of 1 to 128 characters and a value of at most 128" => {
            "键须为 1 至 128 个字符，值最多 128 个字符".into()
        }
        "keys must not begin with aliyun or acs:" => "键不得以 aliyun 或 acs: 开头".into(),
        "is not allowed: the service has one role only" => "不可填写：该服务只能有一个角色".into(),
        "must have 1 to 64 of A-Z, a-z, 0-9, `.`, `_`, hyphen" => {
            "须为 1 至 64 位的 A-Z、a-z、0-9、`.`、`_`、连字符".into()
        }
        "must be one action such as oss:GetObject, without wildcards" => {
            "须为单个操作，如 oss:GetObject，不含通配符".into()
        }
        other => match other.strip_prefix("must be ").and_then(|r| r.split_once(" to ")) {
            Some((from, to)) => format!("须为 {from} 至 {to}"),
            None => other.to_owned(),
        },
    }
}

fn own((a, b): (&str, &str)) -> (String, String) {
    (a.to_owned(), b.to_owned())
}

fn sign_in(problem: SignInProblem) -> &'static str {
    match problem {
        SignInProblem::Wrong => "名称或口令有误",
        SignInProblem::Ended => "会话已结束，请重新登录",
        SignInProblem::Inactive => "此用户不能登录控制台，请联系您的管理员",
        SignInProblem::Network => "此账号不允许从您的网络登录",
        SignInProblem::NoSingleSignOn => "此账号未启用单点登录",
        SignInProblem::SignOnBroken => "单点登录已中断或始于另一浏览器，请重新开始",
        SignInProblem::Unknown => "身份提供商确认了您的身份，但此账号中没有对应的用户；请联系您的管理员",
        SignInProblem::Passkey => "此通行密钥无法在此登录，请使用口令",
        SignInProblem::IssuerRefused => "您的身份提供商拒绝了此次登录；请重新开始，或联系您的管理员",
        SignInProblem::IssuerSilent => "您的身份提供商没有应答，请稍后再试",
        SignInProblem::Expired => "口令已过期，请联系您的管理员设置新口令",
    }
}

fn key(problem: &KeyProblem) -> String {
    match problem {
        KeyProblem::State(state) => format!("密钥状态为 {}", state.name()),
        KeyProblem::Custody => "有存储桶由该密钥托管，没有它谁也无法读取其中内容；请先结束托管".to_owned(),
        KeyProblem::Protected => "密钥受删除保护；请先关闭保护".to_owned(),
        KeyProblem::Unsupported => "该密钥的规格或用途不支持此操作".to_owned(),
        KeyProblem::Origin => "此操作不适用于该来源的密钥".to_owned(),
        KeyProblem::Material => "密钥材料无法解开、长度不符，或与首次导入的材料不同".to_owned(),
        KeyProblem::Token => "导入令牌不属于该密钥".to_owned(),
        KeyProblem::TokenExpired => "导入令牌已过期；请重新获取导入参数".to_owned(),
        KeyProblem::Ciphertext => "密文无法解开：已被改动，或加密上下文不同".to_owned(),
        KeyProblem::Stranger => "该对象由 KMS 密钥加密，只有本账号的人员可以使用该密钥".to_owned(),
        KeyProblem::Customer => "客户密钥与写入该对象时所用的不同".to_owned(),
        KeyProblem::Rotating => {
            "凭据正在轮转：旧 AccessKey 仍可使用；请在轮转结束后重试，或删除旧 AccessKey".to_owned()
        }
        KeyProblem::SecretType(_) => "该类型的凭据不支持此操作".to_owned(),
        KeyProblem::Store(problem) => match problem {
            StoreProblem::Denied => "租户的密钥服务拒绝使用该密钥",
            StoreProblem::NoKey => "租户的密钥服务中没有该密钥",
            StoreProblem::Disabled => "该密钥在租户的密钥服务中已禁用",
            StoreProblem::Unsupported => "租户密钥服务中的该密钥不支持此操作，或请求过长",
            StoreProblem::Credential => "租户的密钥服务不接受为其设置的凭证",
            StoreProblem::Unreachable => "租户的密钥服务没有应答；请稍后重试",
            StoreProblem::Answer => "租户的密钥服务给出了无法使用的应答",
            StoreProblem::Unsigned => "密钥在租户的密钥服务中，而授权没有租户审批人签署的声明",
        }
        .to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_is_told_in_chinese() {
        let invalid = |field, why: &str| text(Lang::Zh, &Failure::Invalid { field, why: why.into() });
        assert_eq!(invalid("Comments", "must have at most 128 characters"), "备注不被接受：最多 128 个字符");
        assert_eq!(
            invalid("Password", "must have 8 to 128 characters"),
            "口令不被接受：长度须为 8 至 128 个字符"
        );
        assert_eq!(invalid("MaxPasswordAge", "must be 0 to 1095"), "口令有效期不被接受：须为 0 至 1095");
        let there = Failure::Exists { thing: Thing::User, name: "li".into() };
        assert_eq!(text(Lang::Zh, &there), "用户 `li` 已存在");
        assert_eq!(text(Lang::En, &there), "the user `li` exists already");
    }
}
