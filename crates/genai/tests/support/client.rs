//! A client of genai that asks a server of the test's.

use genai::{
    Client, ModelIden, ServiceTarget,
    adapter::AdapterKind,
    resolver::{AuthData, Endpoint},
};

pub(crate) fn client(base_url: &str) -> Client {
    let url = format!("{base_url}/");
    Client::builder()
        .with_service_target_resolver_fn(move |target: ServiceTarget| {
            let model = ModelIden::new(AdapterKind::OpenAI, target.model.model_name);
            Ok(ServiceTarget {
                endpoint: Endpoint::from_owned(url.as_str()),
                auth: AuthData::from_single("key"),
                model,
            })
        })
        .build()
        .expect("a client")
}
