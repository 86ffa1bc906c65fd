//! The bytes of a frame.

use std::io;
use std::mem;

use ratatui::backend::{Backend, ClearType, CrosstermBackend, WindowSize};
use ratatui::buffer::Cell;
use ratatui::layout::{Position, Size};
use ratatui::style::Color;

use super::mode;

/// Collects the bytes that draw a frame.
pub(super) struct Bytes {
    /// Each command is appended here.
    inner: Vec<u8>,
    colours: bool,
}

impl Bytes {
    pub(super) fn new(colours: bool) -> Self {
        // By itself, crossterm leaves colours out if NO_COLOR is set, also after `--color always`.
        ratatui::crossterm::style::force_color_output(colours);
        Bytes {
            inner: Vec::new(),
            colours,
        }
    }

    /// The bytes since the last call.
    pub(super) fn take(&mut self) -> Vec<u8> {
        mem::take(&mut self.inner)
    }

    /// Adds bytes that draw nothing.
    pub(super) fn add(&mut self, bytes: &[u8]) {
        self.inner.extend_from_slice(bytes);
    }

    fn commands(&mut self) -> CrosstermBackend<&mut Vec<u8>> {
        CrosstermBackend::new(&mut self.inner)
    }
}

impl Backend for Bytes {
    type Error = io::Error;

    fn draw<'a, I: Iterator<Item = (u16, u16, &'a Cell)>>(&mut self, content: I) -> io::Result<()> {
        if self.colours {
            return self.commands().draw(content);
        }
        let plain: Vec<(u16, u16, Cell)> = content
            .map(|(x, y, cell)| {
                let mut cell = cell.clone();
                (cell.fg, cell.bg) = (Color::Reset, Color::Reset);
                (x, y, cell)
            })
            .collect();
        let cells = plain.iter().map(|(x, y, cell)| (*x, *y, cell));
        self.commands().draw(cells)
    }

    fn hide_cursor(&mut self) -> io::Result<()> {
        self.commands().hide_cursor()
    }

    fn show_cursor(&mut self) -> io::Result<()> {
        self.commands().show_cursor()
    }

    /// Unknown: the terminal would have to be asked, and its answer would come among the keys.
    fn get_cursor_position(&mut self) -> io::Result<Position> {
        Ok(Position::ORIGIN)
    }

    fn set_cursor_position<P: Into<Position>>(&mut self, position: P) -> io::Result<()> {
        self.commands().set_cursor_position(position)
    }

    fn clear(&mut self) -> io::Result<()> {
        self.commands().clear()
    }

    fn clear_region(&mut self, clear_type: ClearType) -> io::Result<()> {
        self.commands().clear_region(clear_type)
    }

    fn size(&self) -> io::Result<Size> {
        Ok(mode::size())
    }

    fn window_size(&mut self) -> io::Result<WindowSize> {
        Ok(WindowSize {
            columns_rows: mode::size(),
            pixels: Size::ZERO,
        })
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_colours_only_styles_are_left() {
        let mut cell = Cell::new("a");
        cell.fg = Color::Red;
        let mut plain = Bytes::new(false);
        plain.draw([(0, 0, &cell)].into_iter()).unwrap();
        let text = String::from_utf8(plain.take()).unwrap();
        assert!(text.contains('a') && !text.contains("31m"), "{text:?}");
    }
}
