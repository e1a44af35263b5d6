//! Where the server is, as the client sees it: what links in answers begin with.

use axum::http::{HeaderMap, Uri, header};

/// `http://host:port`; empty, so that links are relative to the server, where the request says nothing usable.
///
/// A proxy that ends TLS says so in `X-Forwarded-Proto`.
pub fn base(uri: &Uri, headers: &HeaderMap) -> String {
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
    let host = host.or(uri.authority().map(axum::http::uri::Authority::as_str)).unwrap_or("");
    // a name, a number, brackets and a port, and nothing that could end the attribute or string that it lands in
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b".-:[]".contains(&byte);
    if host.is_empty() || host.len() > 255 || !host.bytes().all(plain) {
        return String::new();
    }
    let secure = headers.get("x-forwarded-proto").is_some_and(|scheme| scheme.as_bytes() == b"https");
    format!("{}://{host}", if secure { "https" } else { "http" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_hosts_come_back_in_links() {
        let of = |host: &'static str| {
            let headers = HeaderMap::from_iter([(header::HOST, host.parse().unwrap())]);
            base(&Uri::from_static("/x"), &headers)
        };
        assert_eq!(of("127.0.0.1:8080"), "http://127.0.0.1:8080");
        assert_eq!(of("[::1]:80"), "http://[::1]:80");
        assert_eq!(of("evil\"><script>"), "");
        assert_eq!(base(&Uri::from_static("http://a.b/x"), &HeaderMap::new()), "http://a.b");
    }
}
