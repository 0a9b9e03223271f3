//! Whom a server lets in, as it was set up.

/// The parameter of the token, for browsers, which cannot set headers.
pub(crate) const TOKEN_PARAMETER: &str = "access_token";

/// Who may ask; by default whoever reaches this machine under a name of its own.
#[derive(Clone, Default)]
pub(crate) struct Access {
    pub(crate) hosts: Vec<String>,
    pub(crate) origins: Vec<String>,
    pub(crate) token: Option<String>,
    pub(crate) token_in_query: bool,
}

impl std::fmt::Debug for Access {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut debug = f.debug_struct("Access");
        debug.field("hosts", &self.hosts).field("origins", &self.origins).field("has_token", &self.token.is_some());
        debug.finish_non_exhaustive()
    }
}
