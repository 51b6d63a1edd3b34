//! The report as PDF: A4 pages, no fonts inside (Courier and Helvetica-Bold are in every reader; Chinese is shown by the
//! reader's own font through the standard encoding UniGB-UTF16-H), no date, no random id.
//! INVARIANT: one document gives one file, byte for byte.

use pdf_writer::types::{CidFontType, SystemInfo};
use pdf_writer::{Content, Finish, Name, Pdf, Rect, Ref, Str, TextStr};

use super::document::{Block, Document};

const PAGE: (f32, f32) = (595.0, 842.0);
const MARGIN: f32 = 48.0;
const TEXT: f32 = 8.5;
const LEADING: f32 = 11.0;
const PADDING: f32 = 4.0;
/// Width of a Courier character per size.
const COURIER: f32 = 0.6;

/// The file.
pub(super) fn write(document: &Document) -> Vec<u8> {
    let mut pages = Pages::new();
    pages.heading(&document.title, 15.0);
    for block in &document.blocks {
        match block {
            Block::Heading(text) => pages.heading(text, 11.0),
            Block::Text(text) => pages.paragraph(text),
            Block::Table { columns, rows } => pages.table(columns, rows),
        }
    }
    finish(&document.title, pages.done())
}

/// One drawn line of text, or a rule.
enum Item {
    Line { x: f32, y: f32, size: f32, bold: bool, text: String },
    Rule { y: f32 },
}

struct Pages {
    done: Vec<Vec<Item>>,
    items: Vec<Item>,
    y: f32,
}

impl Pages {
    fn new() -> Self {
        Self { done: Vec::new(), items: Vec::new(), y: PAGE.1 - MARGIN }
    }

    fn done(mut self) -> Vec<Vec<Item>> {
        self.done.push(self.items);
        self.done
    }

    /// Makes room for something of this height, on a new page if need be.
    fn room(&mut self, height: f32) {
        if self.y - height < MARGIN + LEADING {
            self.done.push(std::mem::take(&mut self.items));
            self.y = PAGE.1 - MARGIN;
        }
    }

    fn heading(&mut self, text: &str, size: f32) {
        // Together with a few lines of what follows.
        self.room(size + 4.0 * LEADING);
        self.y -= size + 6.0;
        self.items.push(Item::Line { x: MARGIN, y: self.y, size, bold: true, text: text.to_owned() });
        self.y -= 4.0;
    }

    fn paragraph(&mut self, text: &str) {
        for line in wrapped(text, PAGE.0 - 2.0 * MARGIN) {
            self.room(LEADING);
            self.y -= LEADING;
            self.items.push(Item::Line { x: MARGIN, y: self.y, size: TEXT, bold: false, text: line });
        }
        self.y -= 4.0;
    }

    fn table(&mut self, columns: &[String], rows: &[Vec<String>]) {
        let widths = widths(columns, rows);
        self.row(columns, &widths, true);
        for row in rows {
            self.row(row, &widths, false);
        }
        self.y -= 6.0;
    }

    fn row(&mut self, cells: &[String], widths: &[f32], bold: bool) {
        let lines: Vec<Vec<String>> =
            cells.iter().zip(widths).map(|(cell, width)| wrapped(cell, width - PADDING)).collect();
        let height = lines.iter().map(Vec::len).max().unwrap_or(1);
        // A row that is higher than a page is cut between its lines.
        self.room(LEADING * (height.min(8) as f32));
        for n in 0..height {
            self.room(LEADING);
            self.y -= LEADING;
            let mut x = MARGIN;
            for (cell, width) in lines.iter().zip(widths) {
                if let Some(text) = cell.get(n).filter(|t| !t.is_empty()) {
                    self.items.push(Item::Line { x, y: self.y, size: TEXT, bold, text: text.clone() });
                }
                x += width;
            }
        }
        self.y -= 2.5;
        self.items.push(Item::Rule { y: self.y });
    }
}

/// Columns as wide as they need, or shared when that is too wide for the page.
fn widths(columns: &[String], rows: &[Vec<String>]) -> Vec<f32> {
    let total = PAGE.0 - 2.0 * MARGIN;
    let natural: Vec<f32> = (0..columns.len())
        .map(|at| {
            let cells = rows.iter().filter_map(|row| row.get(at)).chain(columns.get(at));
            cells.map(|cell| width(cell)).fold(0.0, f32::max) + PADDING
        })
        .collect();
    let sum: f32 = natural.iter().sum();
    if sum <= total || columns.is_empty() {
        return natural;
    }
    let fair = total / columns.len() as f32;
    let small: f32 = natural.iter().filter(|w| **w <= fair).sum();
    let large: f32 = natural.iter().filter(|w| **w > fair).sum();
    natural.iter().map(|w| if *w <= fair { *w } else { (total - small) * w / large }).collect()
}

fn width(text: &str) -> f32 {
    text.chars().map(|c| if latin(c).is_some() { COURIER * TEXT } else { TEXT }).sum()
}

/// Lines of at most this width, broken at spaces where there are some.
fn wrapped(text: &str, max: f32) -> Vec<String> {
    let mut lines = Vec::new();
    let mut line = String::new();
    let mut used = 0.0;
    for c in text.chars().map(|c| if c.is_control() { ' ' } else { c }) {
        let wide = if latin(c).is_some() { COURIER * TEXT } else { TEXT };
        if used + wide > max && !line.is_empty() {
            let rest = match line.rfind(' ').filter(|at| *at > line.len() / 3) {
                Some(at) => line.split_off(at).trim_start().to_owned(),
                None => String::new(),
            };
            lines.push(std::mem::replace(&mut line, rest));
            used = width(&line);
        }
        line.push(c);
        used += wide;
    }
    lines.push(line);
    lines
}

/// The byte of a character in WinAnsi, where it is the same as in Latin-1.
fn latin(c: char) -> Option<u8> {
    let code = u8::try_from(u32::from(c)).ok()?;
    matches!(code, 0x20..=0x7e | 0xa1..=0xff).then_some(code)
}

fn finish(title: &str, pages: Vec<Vec<Item>>) -> Vec<u8> {
    let [catalog, tree, info, body, bold, chinese, descendant, descriptor] =
        std::array::from_fn(|n| Ref::new(n as i32 + 1));
    let first = 9;
    let page_ref = |n: usize| Ref::new(first + 2 * n as i32);
    let content_ref = |n: usize| Ref::new(first + 2 * n as i32 + 1);
    let mut pdf = Pdf::new();
    pdf.catalog(catalog).pages(tree);
    pdf.document_info(info).title(TextStr(title)).producer(TextStr("bailee-verify"));
    pdf.pages(tree).kids((0..pages.len()).map(page_ref)).count(pages.len() as i32);
    for (n, items) in pages.iter().enumerate() {
        let mut page = pdf.page(page_ref(n));
        page.media_box(Rect::new(0.0, 0.0, PAGE.0, PAGE.1)).parent(tree).contents(content_ref(n));
        let mut resources = page.resources();
        resources.fonts().pair(Name(b"T"), body).pair(Name(b"B"), bold).pair(Name(b"C"), chinese);
        resources.finish();
        page.finish();
        let mut content = Content::new();
        for item in items {
            draw(&mut content, item);
        }
        let footer = format!("page {} of {}", n + 1, pages.len());
        draw(&mut content, &Item::Line { x: MARGIN, y: MARGIN - 14.0, size: 7.0, bold: false, text: footer });
        pdf.stream(content_ref(n), &content.finish());
    }
    pdf.type1_font(body).base_font(Name(b"Courier")).encoding_predefined(Name(b"WinAnsiEncoding"));
    pdf.type1_font(bold).base_font(Name(b"Helvetica-Bold")).encoding_predefined(Name(b"WinAnsiEncoding"));
    pdf.type0_font(chinese)
        .base_font(Name(b"STSong-Light-UniGB-UTF16-H"))
        .encoding_predefined(Name(b"UniGB-UTF16-H"))
        .descendant_font(descendant);
    let gb = SystemInfo { registry: Str(b"Adobe"), ordering: Str(b"GB1"), supplement: 4 };
    pdf.cid_font(descendant)
        .subtype(CidFontType::Type0)
        .base_font(Name(b"STSong-Light"))
        .system_info(gb)
        .font_descriptor(descriptor)
        .default_width(1000.0);
    pdf.font_descriptor(descriptor)
        .name(Name(b"STSong-Light"))
        .flags(pdf_writer::types::FontFlags::SYMBOLIC)
        .bbox(Rect::new(-25.0, -254.0, 1000.0, 880.0))
        .italic_angle(0.0)
        .ascent(880.0)
        .descent(-120.0)
        .cap_height(880.0)
        .stem_v(93.0);
    pdf.finish()
}

fn draw(content: &mut Content, item: &Item) {
    match item {
        Item::Rule { y } => {
            content.set_line_width(0.3).set_stroke_gray(0.7);
            content.move_to(MARGIN, *y).line_to(PAGE.0 - MARGIN, *y).stroke();
        }
        Item::Line { x, y, size, bold, text } => {
            content.begin_text().set_text_matrix([1.0, 0.0, 0.0, 1.0, *x, *y]);
            let mut run: Vec<u8> = Vec::new();
            let mut is_latin = true;
            for c in text.chars().map(Some).chain([None]) {
                let next = c.map(|c| latin(c).is_some());
                if next != Some(is_latin) && !run.is_empty() {
                    let font: &[u8] = match (is_latin, bold) {
                        (false, _) => b"C",
                        (true, true) => b"B",
                        (true, false) => b"T",
                    };
                    content.set_font(Name(font), *size).show(Str(&run));
                    run.clear();
                }
                let Some(c) = c else { break };
                is_latin = next.unwrap_or(true);
                match latin(c) {
                    Some(byte) => run.push(byte),
                    // Beyond the basic plane no standard font has a character.
                    None => run.extend(u16::try_from(u32::from(c)).unwrap_or(0xfffd).to_be_bytes()),
                }
            }
            content.end_text();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_fit_and_nothing_is_lost() {
        for text in [
            "",
            "a",
            "one two three four five six seven",
            &"x".repeat(300),
            "发票 发票发票发票发票发票发票",
            "a\nb",
        ] {
            for max in [30.0, 100.0, 400.0] {
                let lines = wrapped(text, max);
                assert!(lines.iter().all(|l| width(l) <= max + 0.01), "{lines:?}");
                let all: String = lines.concat().split_whitespace().collect();
                assert_eq!(all, text.split_whitespace().collect::<String>());
            }
        }
    }

    #[test]
    fn a_long_table_goes_on_over_pages_and_columns_fit() {
        let columns = vec!["Record".to_owned(), "What".to_owned(), "Much".to_owned()];
        let rows: Vec<Vec<String>> =
            (0..200).map(|n| vec![n.to_string(), "word ".repeat(n % 30), "发票/2026".repeat(9)]).collect();
        let widths = widths(&columns, &rows);
        assert!(widths.iter().sum::<f32>() <= PAGE.0 - 2.0 * MARGIN + 0.1);
        let document = Document { title: "标题 T".into(), blocks: vec![Block::Table { columns, rows }] };
        let file = write(&document);
        assert_eq!(file, write(&document));
        assert!(
            file.starts_with(b"%PDF-1.")
                && file.windows(9).any(|w| w == b"/Count 13" || w.starts_with(b"/Count 1"))
        );
    }
}
