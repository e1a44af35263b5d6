//! Peers that keep a connection and do nothing with it.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use prometheus::IntCounter;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep};

/// Until a peer has sent so much, it is not known what it speaks (HTTP/2's preface is so long), and nobody else waits for it.
const OPENING_BYTES: usize = 24;

/// A stream that fails where its peer lets it wait: for its first bytes, and for room to write to.
pub struct Watched<S> {
    stream: S,
    opening: Option<Opening>,
    stall: Duration,
    /// Since when there is no room.
    full: Option<Pin<Box<Sleep>>>,
    cut: IntCounter,
}

struct Opening {
    missing: usize,
    end: Pin<Box<Sleep>>,
}

impl<S> Watched<S> {
    pub fn new(stream: S, opening: Duration, stall: Duration, cut: IntCounter) -> Self {
        let opening = Some(Opening { missing: OPENING_BYTES, end: Box::pin(sleep(opening)) });
        Self { stream, opening, stall, full: None, cut }
    }

    /// What became of something that needs the peer to read.
    fn written<T>(&mut self, context: &mut Context<'_>, polled: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if polled.is_ready() {
            self.full = None;
            return polled;
        }
        let stall = self.stall;
        let full = self.full.get_or_insert_with(|| Box::pin(sleep(stall)));
        if full.as_mut().poll(context).is_pending() {
            return Poll::Pending;
        }
        // whoever asks again hears the same
        full.as_mut().reset(Instant::now());
        self.cut.inc();
        Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the peer reads nothing")))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(context, buffer);
        let Some(opening) = &mut self.opening else { return polled };
        opening.missing = opening.missing.saturating_sub(buffer.filled().len() - before);
        if opening.missing == 0 {
            self.opening = None;
        } else if polled.is_pending() && opening.end.as_mut().poll(context).is_ready() {
            return Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the peer says nothing")));
        }
        polled
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.written(context, polled)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffers: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write_vectored(context, buffers);
        self.written(context, polled)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.stream).poll_flush(context);
        self.written(context, polled)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.stream).poll_shutdown(context);
        self.written(context, polled)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    use super::*;

    const STALL: Duration = Duration::from_millis(400);

    fn watched() -> (Watched<tokio::io::DuplexStream>, tokio::io::DuplexStream, IntCounter) {
        let (here, there) = duplex(64);
        let cut = IntCounter::new("cut", "cut").unwrap();
        (Watched::new(here, STALL, STALL, cut.clone()), there, cut)
    }

    #[tokio::test]
    async fn a_peer_that_reads_nothing_is_cut_and_a_slow_one_is_not() {
        let (mut stream, _there, cut) = watched();
        let begin = Instant::now();
        let error = stream.write_all(&[0; 1000]).await.unwrap_err();
        assert_eq!((error.kind(), cut.get()), (io::ErrorKind::TimedOut, 1));
        assert!(begin.elapsed() >= STALL);

        let (mut stream, mut there, cut) = watched();
        let reading = tokio::spawn(async move {
            let mut some = [0; 50];
            for _ in 0..20 {
                sleep(STALL / 8).await;
                there.read_exact(&mut some).await.unwrap();
            }
        });
        stream.write_all(&[0; 1000]).await.unwrap();
        reading.await.unwrap();
        assert_eq!(cut.get(), 0);
    }

    #[tokio::test]
    async fn a_peer_that_begins_with_silence_is_cut_and_one_that_is_quiet_later_is_not() {
        let (mut stream, mut there, _) = watched();
        there.write_all(b"PRI").await.unwrap();
        let mut some = [0; 24];
        assert_eq!(stream.read_exact(&mut some).await.unwrap_err().kind(), io::ErrorKind::TimedOut);

        let (mut stream, mut there, _) = watched();
        there.write_all(&[0; 24]).await.unwrap();
        stream.read_exact(&mut some).await.unwrap();
        tokio::spawn(async move {
            sleep(2 * STALL).await;
            there.write_all(&[1; 24]).await.unwrap();
        });
        stream.read_exact(&mut some).await.unwrap();
    }
}
