//! The description of all routes, kept by hand: five of them are fewer lines than the attributes of a generator, which knows
//! neither streams nor sockets. A test holds it against the routes and their parameters.

use axum::{
    http::header,
    response::{IntoResponse, Response},
};

const DESCRIPTION: &str = include_str!("../../openapi.json");

pub(crate) async fn description() -> Response {
    ([(header::CONTENT_TYPE, "application/json")], DESCRIPTION).into_response()
}
