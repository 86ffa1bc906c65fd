//! What is shown over the rest: the help, what a search has found, questions.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::pieces::{BAD, BOLD, DIM, PLAIN, SELECTED, line, paragraph, put, window};
use crate::output::terminal::visible_data;
use crate::ui::document::{end_of, one_line};
use crate::ui::model::Find;

/// The keys, for the help.
const HELP: &str = "\
↑ ↓ PgUp PgDn Home End   move (also k j g G, the wheel)
→ ←  Enter               open, close (also l h, a click)
Tab                      tree or details
1 2 3, t                 data, stat, ACL
v                        data: automatic, text, hex
/  n  N                  search the names read so far; next, previous
f                        show only names with a text (Esc: all)
F                        find names below the znode, on the server
r                        read everything again
y                        copy the path
e                        edit the data, with EDITOR if that is set
c                        create a znode below
d                        delete the znode and what is below it
q                        quit
+ new   ~ changed        since it is on the screen
e, c and d need zkctl ui --write";

pub(super) fn help(screen: Rect, buffer: &mut Buffer) {
    let height = u16::try_from(HELP.lines().count()).unwrap_or(u16::MAX);
    let area = window(" keys ", screen, (72, height), buffer);
    for (row, line) in HELP.lines().enumerate() {
        put(
            buffer,
            area,
            u16::try_from(row).unwrap_or(u16::MAX),
            &[(" ", PLAIN), (line, PLAIN)],
        );
    }
}

pub(super) fn found(find: &Find, screen: Rect, buffer: &mut Buffer) {
    let title = format!(
        " names with {} below {} ",
        one_line(&find.word),
        one_line(&find.below)
    );
    let size = (
        screen.width.saturating_sub(8),
        screen.height.saturating_sub(6),
    );
    let area = window(&title, screen, size, buffer);
    let rows = Rect {
        height: area.height.saturating_sub(1),
        ..area
    };
    let height = usize::from(rows.height).max(1);
    let top = (find.selected + 1).saturating_sub(height);
    for (index, path) in find.found.iter().enumerate().skip(top).take(height) {
        let row = u16::try_from(index - top).unwrap_or(u16::MAX);
        let style = if index == find.selected {
            SELECTED
        } else {
            PLAIN
        };
        let path = one_line(path);
        put(
            buffer,
            rows,
            row,
            &[(&end_of(&path, usize::from(rows.width)), style)],
        );
    }
    let state = match &find.ended {
        None => "… Esc stops".to_owned(),
        Some(Ok(())) => "done · Enter goes there, Esc closes".to_owned(),
        Some(Err(why)) => format!("{} · Enter goes there, Esc closes", one_line(why)),
    };
    let text = format!(
        "{} found in {} znodes {state}",
        find.found.len(),
        find.visited
    );
    put(buffer, area, area.height.saturating_sub(1), &[(&text, DIM)]);
}

pub(super) fn confirmation(
    path: &str,
    below: Option<&Result<u64, String>>,
    screen: Rect,
    buffer: &mut Buffer,
) {
    let path = one_line(path);
    let text = match below {
        None => format!("{path}\n\ncounting what is below it …"),
        Some(Err(why)) => format!("{path}\n\nwhat is below it cannot be counted: {why}"),
        Some(Ok(0)) => format!("{path}\n\nNothing is below it. y deletes it, n does not."),
        Some(Ok(1)) => format!("{path}\n\nAND THE ZNODE BELOW IT. y deletes both, n neither."),
        Some(Ok(below)) => {
            format!("{path}\n\nAND THE {below} ZNODES BELOW IT. y deletes all of them, n none.")
        }
    };
    let area = window(" delete? ", screen, (60, 6), buffer);
    paragraph(buffer, area, &text, PLAIN);
}

pub(super) fn conflict(
    path: &str,
    mine: &[u8],
    theirs: Option<&[u8]>,
    screen: Rect,
    buffer: &mut Buffer,
) {
    let size = (
        screen.width.saturating_sub(6),
        screen.height.saturating_sub(6),
    );
    let area = window(" changed meanwhile ", screen, size, buffer);
    let text = format!(
        "{} was changed after it was shown; your data are not written.",
        one_line(path)
    );
    put(buffer, area, 0, &[(&text, BAD)]);
    let half = area.width / 2;
    let height = area.height.saturating_sub(3);
    let part = |x, width| Rect {
        x,
        width,
        y: area.y + 1,
        height,
    };
    let sides = [
        ("yours", Some(mine), part(area.x, half.saturating_sub(1))),
        (
            "now on the server",
            theirs,
            part(area.x + half, area.width - half),
        ),
    ];
    for (name, data, part) in sides {
        put(buffer, part, 0, &[(name, BOLD)]);
        let rows = Rect {
            y: part.y + 1,
            height: part.height.saturating_sub(1),
            ..part
        };
        match data {
            None => line(buffer, rows, "reading …", DIM),
            Some(data) => {
                // As much as fits, and no megabyte.
                let most = usize::from(rows.width) * usize::from(rows.height) * 4;
                let data = data.get(..most).unwrap_or(data);
                paragraph(buffer, rows, &visible_data(data), PLAIN);
            }
        }
    }
    let keys = "o overwrite with yours   e edit yours again   Esc keep what is there";
    put(buffer, area, area.height.saturating_sub(1), &[(keys, BOLD)]);
}
