//! How often one client may ask.

use std::net::{IpAddr, Ipv6Addr};
use std::num::NonZeroU32;
use std::time::Duration;

use governor::clock::{Clock, DefaultClock};
use governor::{Quota, RateLimiter};
use serde::Deserialize;

/// Clients that are remembered, at most about so many: those that were quiet are forgotten.
const CLIENTS: usize = 16 << 10;

/// The setting `rate`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rate {
    /// Requests that one client may send in the long run.
    pub per_second: NonZeroU32,
    /// And at once, after it was quiet: a map asks for many tiles.
    pub burst: NonZeroU32,
}

impl Rate {
    /// Of a server that others can reach.
    pub const PUBLIC: Option<Self> = match (NonZeroU32::new(200), NonZeroU32::new(2000)) {
        (Some(per_second), Some(burst)) => Some(Self { per_second, burst }),
        _ => None,
    };
}

/// Who is counted: whoever has a token by its name, others by their address.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Counted {
    Name(String),
    Address(IpAddr),
}

pub struct Rates {
    limiter: RateLimiter<Counted, governor::state::keyed::HashMapStateStore<Counted>, DefaultClock>,
    clock: DefaultClock,
}

impl Rates {
    pub fn new(rate: Rate) -> Self {
        let limiter = RateLimiter::hashmap(Quota::per_second(rate.per_second).allow_burst(rate.burst));
        Self { limiter, clock: DefaultClock::default() }
    }

    /// The error says after how long the client may ask again.
    pub fn check(&self, client: &Counted) -> Result<(), Duration> {
        if self.limiter.len() > CLIENTS {
            self.limiter.retain_recent();
        }
        self.limiter.check_key(client).map_err(|refused| refused.wait_time_from(self.clock.now()))
    }
}

/// The address that stands for a client: of IPv6 the network, of which a client has all addresses.
pub fn client_address(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => address.into(),
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).into()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_that_asks_too_often_waits_and_others_do_not() {
        let rate = Rate { per_second: NonZeroU32::new(1).unwrap(), burst: NonZeroU32::new(3).unwrap() };
        let rates = Rates::new(rate);
        let (one, other) = (Counted::Name("one".to_owned()), Counted::Name("other".to_owned()));
        for _ in 0..3 {
            assert!(rates.check(&one).is_ok());
        }
        let wait = rates.check(&one).unwrap_err();
        assert!(wait > Duration::from_millis(500) && wait <= Duration::from_secs(1), "{wait:?}");
        assert!(rates.check(&other).is_ok());
    }

    #[test]
    fn a_client_is_one_however_it_is_written() {
        let of = |text: &str| client_address(text.parse().unwrap());
        assert_eq!(of("::ffff:192.0.2.1"), of("192.0.2.1"));
        assert_eq!(of("2001:db8::1"), of("2001:db8::ffff:1"));
        assert_ne!(of("2001:db8::1"), of("2001:db8:0:1::1"));
    }
}
