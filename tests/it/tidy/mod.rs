//! The rules of the house that a program can check: which way imports run, where names stand, how files begin and how long
//! they are, which words are used, and which foreign types the public API names.

mod foreign;
mod growth;
mod layout;
mod names;
mod source;
mod words;
