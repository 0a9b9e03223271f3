//! What stands between texts of others and the terminal: no control character passes, and no reader that ends is an error.

mod output;
mod text;

pub(crate) use output::{Color, Output};
pub(crate) use text::{cut, json, padded, printable, printable_lines, width};
