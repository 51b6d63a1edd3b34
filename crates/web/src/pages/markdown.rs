//! Messages as people read them: CommonMark made into a few tags.
//!
//! INVARIANT: no tag stands in the result but those of CommonMark, no attribute but `href` and `rel` of a link and `start` of
//! a list. HTML in a message is shown as its text, an image as a link; a link goes to http, https or mailto.

use maud::{Markup, PreEscaped};
use pulldown_cmark::{CodeBlockKind, Event, HeadingLevel, Options, Parser, Tag, TagEnd, html::push_html};

/// A message as HTML.
pub(super) fn markdown(text: &str) -> Markup {
    let mut links = Links::default();
    let events = Parser::new_ext(text, Options::empty()).map(|event| match event {
        Event::Html(text) | Event::InlineHtml(text) => Event::Text(text),
        Event::Start(Tag::HtmlBlock) => Event::Start(Tag::Paragraph),
        Event::End(TagEnd::HtmlBlock) => Event::End(TagEnd::Paragraph),
        // The page has headings of its own above these.
        Event::Start(Tag::Heading { level, .. }) => Event::Start(Tag::Heading {
            level: lower(level),
            id: None,
            classes: Vec::new(),
            attrs: Vec::new(),
        }),
        Event::End(TagEnd::Heading(level)) => Event::End(TagEnd::Heading(lower(level))),
        // The name of a language would be a class.
        Event::Start(Tag::CodeBlock(_)) => Event::Start(Tag::CodeBlock(CodeBlockKind::Indented)),
        Event::Start(Tag::Link { dest_url, .. }) => links.begin(&dest_url, ""),
        Event::Start(Tag::Image { dest_url, .. }) => links.begin(&dest_url, "🖼 "),
        Event::End(TagEnd::Link | TagEnd::Image) => links.end(),
        other => other,
    });
    let mut out = String::with_capacity(text.len() * 2);
    push_html(&mut out, events);
    PreEscaped(out)
}

fn lower(level: HeadingLevel) -> HeadingLevel {
    match level {
        HeadingLevel::H1 => HeadingLevel::H3,
        HeadingLevel::H2 => HeadingLevel::H4,
        HeadingLevel::H3 => HeadingLevel::H5,
        _ => HeadingLevel::H6,
    }
}

/// The links and images that are begun: for each, whether it became a link.
#[derive(Default)]
struct Links(Vec<bool>);

impl Links {
    fn begin(&mut self, to: &str, mark: &str) -> Event<'static> {
        // A link in a link is none, and neither is one that leads elsewhere than to a page or a letter.
        let is_link = !self.0.contains(&true) && leads_to(to);
        self.0.push(is_link);
        if !is_link {
            return Event::Text(mark.to_owned().into());
        }
        let to = to.replace('&', "&amp;").replace('"', "&quot;").replace('<', "&lt;").replace('>', "&gt;");
        Event::InlineHtml(format!("<a href=\"{to}\" rel=\"noopener noreferrer nofollow\">{mark}").into())
    }

    fn end(&mut self) -> Event<'static> {
        if self.0.pop() == Some(true) { Event::InlineHtml("</a>".into()) } else { Event::Text("".into()) }
    }
}

fn leads_to(to: &str) -> bool {
    let scheme = to.split_once(':').map(|(scheme, _)| scheme.to_ascii_lowercase());
    matches!(scheme.as_deref(), Some("http" | "https" | "mailto"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const TAGS: &[&str] = &[
        "p",
        "h3",
        "h4",
        "h5",
        "h6",
        "em",
        "strong",
        "code",
        "pre",
        "blockquote",
        "ul",
        "ol",
        "li",
        "a",
        "br",
        "hr",
    ];

    /// Fails on whatever is not of the list; a parser of its own, as strict as what we write.
    fn check(html: &str) -> Result<(), String> {
        let mut rest = html;
        while let Some((_, from)) = rest.split_once('<') {
            let (tag, after) = from.split_once('>').ok_or("an open tag")?;
            rest = after;
            let tag = tag.strip_prefix('/').unwrap_or(tag);
            let tag = tag.strip_suffix('/').unwrap_or(tag).trim_end();
            let (name, mut attributes) = tag.split_once(' ').unwrap_or((tag, ""));
            if !TAGS.contains(&name) {
                return Err(format!("tag {name}"));
            }
            while !attributes.is_empty() {
                let (key, value) = attributes.split_once("=\"").ok_or("an attribute without a value")?;
                let (value, more) = value.split_once('"').ok_or("an attribute without an end")?;
                let good = match (name, key) {
                    ("a", "href") => ["http:", "https:", "mailto:"]
                        .iter()
                        .any(|s| value.to_ascii_lowercase().starts_with(s)),
                    ("a", "rel") => value == "noopener noreferrer nofollow",
                    ("ol", "start") => value.bytes().all(|b| b.is_ascii_digit()),
                    _ => false,
                };
                if !good {
                    return Err(format!("{name} {key}={value}"));
                }
                attributes = more.trim_start();
            }
        }
        Ok(())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]
        #[test]
        fn no_text_yields_a_tag_or_attribute_outside_of_the_list(parts in prop::collection::vec(
            prop_oneof![
                "\\PC{0,6}",
                prop::sample::select(vec![
                    "<script>", "</script>", "<img src=x onerror=alert(1)>", "<!--", "-->", "<a href='javascript:1'>", "[", "](", ")",
                    "javascript:alert(1)", "JaVa\tscript:", "data:text/html,", "https://x.example/?a=\"b", "http:\"onclick=\"x", "<", ">", "\"", "'",
                    "![", "[a]: ", "\n", "\n\n", "```js\" onload=\"x\n", "~~~", "    ", "> ", "- ", "7. ", "# ", "===\n", "***", "_", "`", "&lt;", "&#x6a;", "\\",
                    "<http:", "<mailto:a@b.example>", "<div\n", "<?php", "<![CDATA[", " \"title\" onclick=x",
                ]).prop_map(str::to_owned),
            ], 0..24)) {
            let html = markdown(&parts.concat()).into_string();
            prop_assert!(check(&html).is_ok(), "{:?}\n{}", check(&html), html);
        }
    }

    #[test]
    fn what_people_write_reads_as_they_meant_it() {
        let out = |text: &str| markdown(text).into_string();
        assert_eq!(out("**a** _b_ `c<d`"), "<p><strong>a</strong> <em>b</em> <code>c&lt;d</code></p>\n");
        assert_eq!(
            out("[x](https://a.example/?b=1&c=\"2\")"),
            "<p><a href=\"https://a.example/?b=1&amp;c=&quot;2&quot;\" rel=\"noopener noreferrer nofollow\">x</a></p>\n"
        );
        assert_eq!(out("[x](javascript:alert(1))"), "<p>x</p>\n");
        assert_eq!(
            out("![pump](https://a.example/p.png)"),
            "<p><a href=\"https://a.example/p.png\" rel=\"noopener noreferrer nofollow\">🖼 pump</a></p>\n"
        );
        assert_eq!(out("# Title\n\n```sh\nls\n```"), "<h3>Title</h3>\n<pre><code>ls\n</code></pre>\n");
        assert!(out("<b onclick=x>hi</b>").contains("&lt;b onclick=x&gt;hi"));
        assert!(out("<script>\nalert(1)\n</script>").starts_with("<p>&lt;script&gt;"));
        // The check itself finds what it should.
        for wrong in [
            "<script>",
            "<p class=\"x\">",
            "<a href=\"javascript:x\">",
            "<img src=\"x\" />",
            "<p",
            "<a href=x>",
        ] {
            assert!(check(wrong).is_err(), "{wrong}");
        }
    }
}
