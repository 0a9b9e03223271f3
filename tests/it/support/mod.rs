//! What tests share.

mod scripted_server;

pub(crate) use scripted_server::{HttpReply, ScriptedServer};
