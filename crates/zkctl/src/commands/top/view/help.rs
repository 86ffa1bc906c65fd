//! The help.

use ratatui::Frame;
use ratatui::layout::{Constraint, Rect};
use ratatui::widgets::{Block, Clear, Padding, Paragraph};

const TEXT: &str = "\
q, Ctrl-C   quit              s  sort by the next column
Enter       all values        r  reverse the order
↑ ↓, j k    select            p  pause
+ -         interval          m  reset maxima and peaks

IN/s OUT/s  packets a second, pings and this program included
LAT ms      average of the requests since the last sample;
            ~ how long srvr took, where servers report no sums
P99 r/w     reads and writes, as the server reports them
MAX         since its start or srst; ≤ none higher since m
LAG         transactions behind the leader
OUTST       requests that are not answered yet
Servers that do not allow mntr are asked by their AdminServer.
/ and z filter the list of all values, Esc leaves it.";

pub(super) fn draw(frame: &mut Frame<'_>, area: Rect) {
    let lines = u16::try_from(TEXT.lines().count()).unwrap_or(u16::MAX);
    let area = area.centered(Constraint::Length(68), Constraint::Length(lines + 2));
    let block = Block::bordered()
        .title(" zkctl top: any key leaves this ")
        .padding(Padding::horizontal(1));
    frame.render_widget(Clear, area);
    frame.render_widget(Paragraph::new(TEXT).block(block), area);
}
