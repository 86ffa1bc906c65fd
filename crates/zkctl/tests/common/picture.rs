//! A screen as SVG.

use std::env;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use vt100::{Cell, Color, Screen};

use super::terminal::Terminal;

/// Whether pictures are written or compared.
const VARIABLE: &str = "ZKCTL_PICTURES";
const CELL: (f32, f32) = (8.4, 17.0);
const MARGIN: f32 = 12.0;
const FOREGROUND: &str = "#d4d4d4";
const BACKGROUND: &str = "#1b1d23";
/// The 16 colours of terminals.
const PALETTE: [&str; 16] = [
    "#1b1d23", "#e06c75", "#98c379", "#e5c07b", "#61afef", "#c678dd", "#56b6c2", "#abb2bf",
    "#6b7280", "#e06c75", "#98c379", "#e5c07b", "#61afef", "#c678dd", "#56b6c2", "#ffffff",
];

/// Writes the terminal's screen into `pictures/NAME.svg` if `cargo xtask pictures` runs this; otherwise, checks that the
/// picture is there and, if `is_stable`, that it has this text. Of each pair in `names`, the first text is replaced with
/// the second, of the same length: ports and ids are others in each run.
pub(crate) fn picture(name: &str, terminal: &Terminal, names: &[(&str, &str)], is_stable: bool) {
    let screen = terminal.cells();
    let svg = svg(name, &screen, names);
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("pictures/{name}.svg"));
    if env::var(VARIABLE).is_ok_and(|value| value == "write") {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, svg).unwrap();
        return;
    }
    let kept =
        fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    if is_stable {
        assert_eq!(kept, svg, "run `cargo xtask pictures`");
    }
}

fn svg(name: &str, screen: &Screen, names: &[(&str, &str)]) -> String {
    let (rows, columns) = screen.size();
    let (rows, columns) = (rows.get(), columns.get());
    let width = f32::from(columns) * CELL.0 + 2.0 * MARGIN;
    let height = f32::from(rows) * CELL.1 + 2.0 * MARGIN;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width:.1} {height:.1}\" font-size=\"14\" \
         font-family=\"ui-monospace, SFMono-Regular, Menlo, Consolas, 'DejaVu Sans Mono', monospace\">\n\
         <title>zkctl {name}</title>\n\
         <rect width=\"100%\" height=\"100%\" rx=\"8\" fill=\"{BACKGROUND}\"/>\n"
    );
    for row in 0..rows {
        let mut line: Vec<(String, Style)> = Vec::new();
        for column in 0..columns {
            let cell = screen.cell(row, column).unwrap();
            if cell.is_wide_continuation() {
                line.push((String::new(), Style::of(cell)));
                continue;
            }
            let text = if cell.has_contents() {
                cell.contents()
            } else {
                " "
            };
            line.push((text.to_owned(), Style::of(cell)));
        }
        for (from, to) in names {
            rename(&mut line, from, to);
        }
        draw_row(&mut svg, row, &line);
    }
    svg.push_str("</svg>\n");
    svg
}

/// Replaces text of single-width characters with other text of its length.
fn rename(line: &mut [(String, Style)], from: &str, to: &str) {
    let from: Vec<String> = from.chars().map(String::from).collect();
    let to: Vec<String> = to.chars().map(String::from).collect();
    assert_eq!(from.len(), to.len(), "{from:?} {to:?}");
    for begin in 0..(line.len() + 1).saturating_sub(from.len()) {
        let cells = &mut line[begin..begin + from.len()];
        if cells.iter().map(|(text, _)| text).eq(&from) {
            for ((text, _), new) in cells.iter_mut().zip(&to) {
                text.clone_from(new);
            }
        }
    }
}

#[derive(Clone, PartialEq)]
struct Style {
    foreground: String,
    background: String,
    bold: bool,
    dim: bool,
    underlined: bool,
}

impl Style {
    fn of(cell: &Cell) -> Self {
        let mut foreground = colour(cell.fgcolor(), FOREGROUND);
        let mut background = colour(cell.bgcolor(), BACKGROUND);
        if cell.inverse() {
            std::mem::swap(&mut foreground, &mut background);
        }
        Style {
            foreground,
            background,
            bold: cell.bold(),
            dim: cell.dim(),
            underlined: cell.underline(),
        }
    }
}

fn colour(colour: Color, default: &str) -> String {
    match colour {
        Color::Default => default.to_owned(),
        Color::Idx(index) => PALETTE
            .get(usize::from(index))
            .copied()
            .unwrap_or(default)
            .to_owned(),
        Color::Rgb(red, green, blue) => format!("#{red:02x}{green:02x}{blue:02x}"),
    }
}

/// Draws the cells of a row, those of one style together.
fn draw_row(svg: &mut String, row: u16, line: &[(String, Style)]) {
    let top = f32::from(row) * CELL.1 + MARGIN;
    let mut begin = 0;
    for run in line.chunk_by(|(_, one), (_, other)| one == other) {
        let x = begin as f32 * CELL.0 + MARGIN;
        let width = run.len() as f32 * CELL.0;
        begin += run.len();
        let style = &run[0].1;
        if style.background != BACKGROUND {
            writeln!(
                svg,
                "<rect x=\"{x:.1}\" y=\"{top:.1}\" width=\"{width:.1}\" height=\"{:.1}\" fill=\"{}\"/>",
                CELL.1, style.background
            )
            .unwrap();
        }
        let text: String = run.iter().map(|(text, _)| text.as_str()).collect();
        if text.trim().is_empty() {
            continue;
        }
        let mut more = String::new();
        if style.bold {
            more += " font-weight=\"bold\"";
        }
        if style.dim {
            more += " opacity=\"0.65\"";
        }
        if style.underlined {
            more += " text-decoration=\"underline\"";
        }
        writeln!(
            svg,
            "<text x=\"{x:.1}\" y=\"{:.1}\" textLength=\"{width:.1}\" lengthAdjust=\"spacingAndGlyphs\" \
             xml:space=\"preserve\" fill=\"{}\"{more}>{}</text>",
            top + CELL.1 * 0.75,
            style.foreground,
            escaped(&text)
        )
        .unwrap();
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}
