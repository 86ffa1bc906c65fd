//! Where the parts of the screen are.

use ratatui::layout::Rect;

/// The smallest screen that shows anything.
pub(super) const MINIMUM: (u16, u16) = (40, 8);

/// The areas of the parts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Areas {
    pub(super) header: Rect,
    /// With its frame.
    pub(super) tree: Rect,
    /// With its frame.
    pub(super) details: Rect,
    pub(super) footer: Rect,
}

impl Areas {
    pub(super) fn of(screen: Rect) -> Self {
        let row = |y| Rect {
            y,
            height: 1,
            ..screen
        };
        let height = screen.height.saturating_sub(2);
        // Names are shorter than data.
        let width = (screen.width * 2 / 5).min(70);
        let tree = Rect {
            x: screen.x,
            y: screen.y + 1,
            width,
            height,
        };
        let details = Rect {
            x: screen.x + width,
            width: screen.width - width,
            ..tree
        };
        Areas {
            header: row(screen.y),
            tree,
            details,
            footer: row(screen.bottom().saturating_sub(1)),
        }
    }

    /// The rows of the tree.
    pub(super) fn tree_rows(&self) -> Rect {
        inner(self.tree)
    }

    /// The rows of the details.
    pub(super) fn detail_rows(&self) -> Rect {
        inner(self.details)
    }
}

/// The area inside a frame.
pub(super) fn inner(frame: Rect) -> Rect {
    Rect {
        x: frame.x + 1,
        y: frame.y + 1,
        width: frame.width.saturating_sub(2),
        height: frame.height.saturating_sub(2),
    }
}

/// An area in the middle of the screen.
pub(super) fn centered(screen: Rect, width: u16, height: u16) -> Rect {
    let (width, height) = (width.min(screen.width), height.min(screen.height));
    Rect {
        x: screen.x + (screen.width - width) / 2,
        y: screen.y + (screen.height - height) / 2,
        width,
        height,
    }
}
