//! Who reads an answer over HTTP/2, and whether: a stream whose window stays shut is reset, and its connection goes on.
//!
//! hyper runs each stream as a task of its own. The task knows, by [`READER`], since when the last piece of its body waits.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody};
use axum::extract::Request;
use axum::middleware::Next;
use axum::response::Response;
use http_body::{Frame, SizeHint};
use hyper::rt::Executor;
use prometheus::IntCounter;
use tokio::time::Instant;

/// What is handed to a connection at once: this much of each stream may stay in its buffers.
const PIECE_BYTES: usize = 32 << 10;

tokio::task_local! {
    static READER: Arc<Reader>;
}

/// Since when a piece waits to be read.
struct Reader {
    begin: Instant,
    /// Milliseconds after `begin`, and one more; 0: none waits.
    since: AtomicU64,
}

impl Reader {
    fn new() -> Self {
        Self { begin: Instant::now(), since: AtomicU64::new(0) }
    }

    fn handed(&self) {
        let since = u64::try_from(self.begin.elapsed().as_millis()).unwrap_or(u64::MAX - 1);
        self.since.store(since + 1, Ordering::Relaxed);
    }

    fn taken(&self) {
        self.since.store(0, Ordering::Relaxed);
    }

    fn waiting(&self) -> Option<Instant> {
        let since = self.since.load(Ordering::Relaxed).checked_sub(1)?;
        Some(self.begin + Duration::from_millis(since))
    }

    /// Ends when a piece has waited for so long.
    async fn stalled(&self, patience: Duration) {
        loop {
            let waiting = self.waiting();
            let end = waiting.unwrap_or_else(Instant::now) + patience;
            tokio::time::sleep_until(end).await;
            if waiting.is_some() && self.waiting() == waiting {
                return;
            }
        }
    }
}

/// Runs the streams of HTTP/2.
#[derive(Clone)]
pub struct Streams {
    pub patience: Duration,
    pub cut: IntCounter,
}

impl<F> Executor<F> for Streams
where
    F: Future<Output = ()> + Send + 'static,
{
    fn execute(&self, stream: F) {
        let Self { patience, cut } = self.clone();
        tokio::spawn(async move {
            let reader = Arc::new(Reader::new());
            tokio::select! {
                biased;
                () = READER.scope(reader.clone(), stream) => {}
                // what is dropped is reset
                () = reader.stalled(patience) => cut.inc(),
            }
        });
    }
}

/// The layer: bodies go out in pieces, of which it is known whether they are read.
pub async fn in_pieces(request: Request, next: Next) -> Response {
    let reader = READER.try_with(Arc::clone).ok();
    next.run(request).await.map(|body| Body::new(Pieces { body, rest: Bytes::new(), reader }))
}

struct Pieces {
    body: Body,
    /// Of what the body gave last.
    rest: Bytes,
    reader: Option<Arc<Reader>>,
}

impl HttpBody for Pieces {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let this = &mut *self;
        if let Some(reader) = &this.reader {
            reader.taken();
        }
        if this.rest.is_empty() {
            match std::task::ready!(Pin::new(&mut this.body).poll_frame(context)) {
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) => this.rest = data,
                    Err(trailers) => return Poll::Ready(Some(Ok(trailers))),
                },
                other => return Poll::Ready(other),
            }
        }
        let piece = this.rest.split_to(this.rest.len().min(PIECE_BYTES));
        if let Some(reader) = &this.reader {
            reader.handed();
        }
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let mut hint = self.body.size_hint();
        let rest = self.rest.len() as u64;
        // the upper bound first, which must not be below the lower one
        if let Some(upper) = hint.upper() {
            hint.set_upper(upper.saturating_add(rest));
        }
        hint.set_lower(hint.lower().saturating_add(rest));
        hint
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_piece_that_waits_ends_the_stream_and_pieces_that_are_taken_do_not() {
        let (reader, patience) = (Arc::new(Reader::new()), Duration::from_millis(400));
        let slow = reader.clone();
        let reading = tokio::spawn(async move {
            for _ in 0..6 {
                slow.handed();
                tokio::time::sleep(patience / 8).await;
                slow.taken();
                tokio::time::sleep(patience / 4).await;
            }
            // there is nothing to read for longer than it would be waited for
            tokio::time::sleep(patience * 2).await;
            slow.handed();
        });
        reader.stalled(patience).await;
        assert!(reading.is_finished());
        assert!(reader.begin.elapsed() >= patience * 5);
    }

    #[tokio::test]
    async fn a_body_is_the_same_in_pieces() {
        let bytes: Vec<u8> = (0..PIECE_BYTES * 3 + 5).map(|n| n as u8).collect();
        let mut pieces = Pieces { body: Body::from(bytes.clone()), rest: Bytes::new(), reader: None };
        assert_eq!(pieces.size_hint().exact(), Some(bytes.len() as u64));
        let mut all = Vec::new();
        while let Some(frame) = std::future::poll_fn(|context| Pin::new(&mut pieces).poll_frame(context)).await {
            let data = frame.unwrap().into_data().unwrap();
            assert!(data.len() <= PIECE_BYTES);
            all.extend_from_slice(&data);
            assert_eq!(pieces.size_hint().exact(), Some((bytes.len() - all.len()) as u64));
        }
        assert_eq!(all, bytes);
    }
}
