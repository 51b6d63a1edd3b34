//! The report as Markdown (CommonMark with tables). What comes from the log is escaped: it cannot become a heading, a
//! link or a row.

use super::document::{Block, Document};

/// The text.
pub(super) fn write(document: &Document) -> String {
    let mut out = format!("# {}\n", escaped(&document.title));
    for block in &document.blocks {
        out.push('\n');
        match block {
            Block::Heading(text) => out.push_str(&format!("## {}\n", escaped(text))),
            Block::Text(text) => out.push_str(&format!("{}\n", escaped(text))),
            Block::Table { columns, rows } => {
                line(&mut out, columns);
                line(&mut out, &vec!["---".to_owned(); columns.len()]);
                rows.iter().for_each(|row| line(&mut out, row));
            }
        }
    }
    out
}

fn line(out: &mut String, cells: &[String]) {
    out.push('|');
    for cell in cells {
        let cell = if cell == "---" { cell.clone() } else { escaped(cell) };
        out.push_str(&format!(" {cell} |"));
    }
    out.push('\n');
}

fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            c if c.is_control() => out.push_str(&format!("\\\\u{{{:x}}}", u32::from(c))),
            '\\' | '`' | '*' | '_' | '{' | '}' | '[' | ']' | '<' | '>' | '#' | '|' | '!' | '~' | '&' => {
                out.push('\\');
                out.push(c);
            }
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_from_a_log_stays_text() {
        let document = Document {
            title: "T".into(),
            blocks: vec![Block::Table {
                columns: vec!["a".into()],
                rows: vec![vec!["x | y\n# [l](http://e)<script>".into()]],
            }],
        };
        let text = write(&document);
        assert_eq!(text, "# T\n\n| a |\n| --- |\n| x \\| y\\\\u{a}\\# \\[l\\](http://e)\\<script\\> |\n");
    }
}
