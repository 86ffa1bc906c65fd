//! The data, the stat and the ACL of the selected znode.

use std::time::{Duration, UNIX_EPOCH};

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::widgets::{Block, Widget};
use zk_client::{Acl, Stat};

use super::pieces::{
    BAD, BOLD, CHANGED, DIM, PLAIN, SELECTED, bottom, frame_style, line, paragraph, put, put_right,
    title_area,
};
use crate::output::timestamp::iso_8601;
use crate::ui::document::{Format, end_of, one_line};
use crate::ui::layout::inner;
use crate::ui::model::{Focus, Model, Tab, tab_columns};
use crate::ui::request::{Content, Unread};

pub(super) fn details(model: &Model, area: Rect, buffer: &mut Buffer) {
    let focused = model.focus == Focus::Details;
    Block::bordered()
        .border_style(frame_style(focused))
        .render(area, buffer);
    for tab in Tab::ALL {
        let text = format!(" {} ", tab.name());
        let style = if tab == model.tab { SELECTED } else { PLAIN };
        let x = area.x + tab_columns(tab).start;
        buffer.set_stringn(
            x,
            area.y,
            &text,
            usize::from(area.right().saturating_sub(x)),
            style,
        );
    }
    let tabs = Tab::ALL.last().map_or(0, |tab| tab_columns(*tab).end);
    let path = one_line(&model.shown.path);
    let room = area.width.saturating_sub(tabs + 4);
    let path = end_of(&path, usize::from(room));
    put_right(buffer, title_area(area), &format!(" {path} "), BOLD);
    let inside = inner(area);
    match &model.shown.content {
        None => line(buffer, inside, "reading …", DIM),
        Some(Err(Unread::Gone)) => line(buffer, inside, "the znode does not exist", BAD),
        Some(Err(Unread::Failed(why))) => paragraph(buffer, inside, why, BAD),
        Some(Ok(content)) => match model.tab {
            Tab::Data => data(model, content, area, buffer),
            Tab::Stat => stat(model, content, inside, buffer),
            Tab::Acl => acl(content, inside, buffer),
        },
    }
    if let Some(why) = &model.shown.not_watched {
        let text = format!(" no live changes: {} ", one_line(why));
        put(buffer, bottom(area), 0, &[(&text, CHANGED)]);
    }
}

fn data(model: &Model, content: &Content, area: Rect, buffer: &mut Buffer) {
    let inside = inner(area);
    if let Err(why) = &content.data {
        paragraph(buffer, inside, why, BAD);
        return;
    }
    let Some(document) = &model.shown.document else {
        return;
    };
    for row in 0..inside.height {
        let text = document.row(model.shown.top + usize::from(row));
        put(buffer, inside, row, &[(&text, PLAIN)]);
    }
    let bytes = content.data.as_ref().map_or(0, |data| data.len());
    let (from, rows) = (model.shown.top + 1, document.len());
    let to = (model.shown.top + usize::from(inside.height)).min(rows);
    let format = match model.format {
        Format::Auto => "",
        _ => " (v)",
    };
    let mut text = format!(" {}{format}, {bytes} bytes ", one_line(document.label()));
    if rows > usize::from(inside.height) {
        text += &format!("· rows {from}–{to} of {rows} ");
    }
    if model.shown.changed {
        text += "· changed ";
    }
    let style = if model.shown.changed { CHANGED } else { DIM };
    put_right(buffer, bottom(area), &text, style);
}

fn stat(model: &Model, content: &Content, area: Rect, buffer: &mut Buffer) {
    let Some(stat) = &content.stat else {
        put(buffer, area, 0, &[("the stat could not be read", BAD)]);
        return;
    };
    for (row, (name, value)) in stat_rows(model, stat).iter().enumerate() {
        let row = u16::try_from(row).unwrap_or(u16::MAX);
        put(
            buffer,
            area,
            row,
            &[(&format!("{name:<11}"), DIM), (value, PLAIN)],
        );
    }
}

fn stat_rows(model: &Model, stat: &Stat) -> Vec<(&'static str, String)> {
    let age = |unix_ms: i64| {
        let time = u64::try_from(unix_ms).ok().map(Duration::from_millis);
        let age = time.and_then(|time| model.now.1.duration_since(UNIX_EPOCH + time).ok());
        age.map_or_else(String::new, |age| format!(", {} ago", short(age)))
    };
    let when = |unix_ms: i64| format!("{}{}", iso_8601(unix_ms), age(unix_ms));
    let owner = match stat.owner() {
        Some(session) => format!("session {session}"),
        None => "none".to_owned(),
    };
    let kind = match stat.ttl() {
        Some(ttl) => format!("ttl {} ms", ttl.as_millis()),
        None if stat.is_ephemeral() => "ephemeral".to_owned(),
        None if stat.is_container() => "container".to_owned(),
        None => "persistent".to_owned(),
    };
    vec![
        ("created", when(stat.ctime)),
        ("", format!("zxid {}", stat.czxid)),
        ("modified", when(stat.mtime)),
        ("", format!("zxid {}, version {}", stat.mzxid, stat.version)),
        ("children", stat.num_children.to_string()),
        (
            "",
            format!("zxid {}, version {}", stat.pzxid, stat.cversion),
        ),
        ("data", format!("{} bytes", stat.data_length)),
        ("ACL", format!("version {}", stat.aversion)),
        ("kind", kind),
        ("owner", owner),
    ]
}

/// A duration in its two largest units.
fn short(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let units = [("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1)];
    let mut left = seconds;
    let mut parts = Vec::new();
    for (unit, length) in units {
        let count = left / length;
        left %= length;
        if count > 0 || (unit == "s" && parts.is_empty()) {
            parts.push(format!("{count} {unit}"));
        } else if !parts.is_empty() {
            break;
        }
    }
    parts.truncate(2);
    parts.join(" ")
}

fn acl(content: &Content, area: Rect, buffer: &mut Buffer) {
    let entries = match &content.acl {
        Ok(entries) => entries,
        Err(why) => {
            paragraph(buffer, area, why, BAD);
            return;
        }
    };
    let open = Acl::open();
    // A server without ACLs returns none.
    let entries = if entries.is_empty() { &open } else { entries };
    for (row, entry) in entries.iter().enumerate() {
        let row = u16::try_from(row).unwrap_or(u16::MAX);
        let permissions = format!("{:<6} ", entry.perms.to_string());
        let id = format!("{}:{}", entry.id.scheme, entry.id.id);
        put(
            buffer,
            area,
            row,
            &[(&permissions, BOLD), (&one_line(&id), PLAIN)],
        );
    }
}
