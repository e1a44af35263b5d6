//! Long answers wait on the disk, not in memory, for whoever reads them slowly.

use std::io::{Seek, Write};

use axum::body::{Body, Bytes, HttpBody, to_bytes};
use axum::extract::Request;
use axum::http::{HeaderValue, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use tokio::io::AsyncReadExt;

use crate::serve::error::Error;

/// Shorter answers stay in memory.
const IN_MEMORY: u64 = 512 << 10;
/// What is read at once.
const PIECE_BYTES: usize = 64 << 10;

/// The layer: of an answer that is long and whole.
pub async fn spill(request: Request, next: Next) -> Response {
    // the page's files are part of the program, and in memory anyway
    let is_asset = request.uri().path().starts_with("/assets/");
    let response = next.run(request).await;
    match response.body().size_hint().exact() {
        Some(length) if length > IN_MEMORY && !is_asset => {
            let (mut parts, body) = response.into_parts();
            match on_disk(body).await {
                Ok(body) => {
                    parts.headers.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
                    Response::from_parts(parts, body)
                }
                Err(error) => error.into_response(),
            }
        }
        _ => response,
    }
}

async fn on_disk(body: Body) -> Result<Body, Error> {
    let failed = |error: &dyn std::fmt::Display| Error::Internal(format!("a long answer in a temporary file: {error}"));
    let bytes = to_bytes(body, usize::MAX).await.map_err(|error| failed(&error))?;
    let written = tokio::task::spawn_blocking(move || {
        let mut file = tempfile::tempfile()?;
        file.write_all(&bytes)?;
        file.rewind()?;
        Ok::<_, std::io::Error>(file)
    });
    let file = written.await.map_err(|error| failed(&error))?;
    let file = tokio::fs::File::from_std(file.map_err(|error| failed(&error))?);
    Ok(Body::from_stream(futures::stream::try_unfold(file, async |mut file| {
        let mut piece = Vec::with_capacity(PIECE_BYTES);
        (&mut file).take(PIECE_BYTES as u64).read_to_end(&mut piece).await?;
        Ok::<_, std::io::Error>((!piece.is_empty()).then(|| (Bytes::from(piece), file)))
    })))
}
