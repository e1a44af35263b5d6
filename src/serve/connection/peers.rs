//! How many connections each peer has: none may take all that there are.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use crate::serve::access::client_address;

#[derive(Clone, Default)]
pub struct Peers(Arc<Mutex<HashMap<IpAddr, usize>>>);

/// A connection that is counted as long as this lives.
pub struct Counted {
    peers: Peers,
    address: IpAddr,
}

impl Peers {
    /// `None` where the peer has as many connections as it may.
    pub fn count(&self, address: IpAddr, limit: usize) -> Option<Counted> {
        let address = client_address(address);
        let mut open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let number = open.entry(address).or_insert(0);
        if *number >= limit {
            return None;
        }
        *number += 1;
        Some(Counted { peers: self.clone(), address })
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        let mut open = self.peers.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(number) = open.get_mut(&self.address) {
            *number -= 1;
            if *number == 0 {
                open.remove(&self.address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peer_has_so_many_connections_and_no_more() {
        let (peers, here, there) = (Peers::default(), [127, 0, 0, 1].into(), [192, 0, 2, 1].into());
        let first = peers.count(here, 2).unwrap();
        let _second = peers.count(here, 2).unwrap();
        assert!(peers.count(here, 2).is_none());
        assert!(peers.count(there, 2).is_some());
        drop(first);
        assert!(peers.count(here, 2).is_some());
        assert_eq!(peers.0.lock().unwrap().len(), 1);
    }
}
