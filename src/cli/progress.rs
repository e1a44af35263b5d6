//! What long work shows: a bar on a terminal, plain lines elsewhere.

use std::io::IsTerminal;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::forecast::{Follower, Progress, Stop};

/// Lines are written at most this often where nobody watches a bar.
const BETWEEN_LINES: Duration = Duration::from_secs(10);

/// Shows the steps of a run on standard error.
pub struct Reporter {
    bar: Option<ProgressBar>,
    last_line: Option<Instant>,
}

impl Reporter {
    pub fn new(quiet: bool) -> Self {
        let bar = (!quiet && std::io::stderr().is_terminal()).then(|| {
            let style = ProgressStyle::with_template("{bar:40} {pos}/{len} {msg}, {per_sec}, {eta} left");
            let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
            bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
            bar
        });
        Self { bar, last_line: quiet.then(|| Instant::now() + Duration::from_secs(86_400 * 365)) }
    }

    pub fn show(&mut self, progress: &Progress) {
        match &self.bar {
            Some(bar) => match progress.member {
                None => {
                    bar.set_length(progress.total as u64);
                    bar.set_position(progress.step as u64);
                    bar.set_message(format!("valid {}", progress.valid_time));
                }
                Some((member, members)) => {
                    bar.set_length((progress.total * members) as u64);
                    bar.inc(1);
                    bar.set_message(format!("member {member}, valid {}", progress.valid_time));
                }
            },
            None => {
                let now = Instant::now();
                let due = self
                    .last_line
                    .is_none_or(|last| now.saturating_duration_since(last) >= BETWEEN_LINES && now > last);
                let last =
                    progress.step == progress.total && progress.member.is_none_or(|(member, of)| member + 1 == of);
                if due || (last && self.last_line.is_none_or(|last| last <= now)) {
                    let Progress { step, total, valid_time, seconds, .. } = progress;
                    let member = progress.member.map_or(String::new(), |(member, _)| format!("member {member}, "));
                    // who hears of a step from a server does not hear how long it took
                    let took = if seconds.is_nan() { String::new() } else { format!(", {seconds:.3} s") };
                    eprintln!("{member}step {step} of {total}, valid {valid_time}{took}");
                    self.last_line = Some(now);
                }
            }
        }
    }

    /// A line that stays, above the bar.
    pub fn line(&self, text: &str) {
        match &self.bar {
            Some(bar) => bar.println(text),
            None => eprintln!("{text}"),
        }
    }

    pub fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

impl Follower for Reporter {
    fn published(&mut self, progress: &Progress) -> Result<(), Stop> {
        if progress.step > 0 {
            self.show(progress);
        }
        Ok(())
    }
}
