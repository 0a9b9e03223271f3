//! The HTTP clients of this crate: whom they ask, and whom not.

use std::net::IpAddr;

use reqwest::{Client, ClientBuilder, redirect};

/// Begins a client for a server.
///
/// It follows no redirects, since these would carry what is sent, and the key with it, to another server. It uses the
/// system's proxies, though not for a server on this machine: a proxy cannot reach that, and a machine with a proxy often
/// does not exempt it. It asks for no compressed answers, whichever features of the HTTP library other crates of a program
/// switch on: those of a stream would come in blocks.
pub(crate) fn client(host: Option<&str>) -> ClientBuilder {
    let plain = Client::builder().no_gzip().no_brotli().no_zstd().no_deflate();
    let builder = plain.redirect(redirect::Policy::none());
    let host = host.unwrap_or_default().trim_matches(['[', ']']);
    let is_local = host == "localhost" || host.parse().is_ok_and(|ip: IpAddr| ip.is_loopback());
    if is_local { builder.no_proxy() } else { builder }
}
