//! How many may do something at once, or begin it within a second: so many altogether, and of one address only a part,
//! so that it cannot keep out all others.

use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use foldhash::fast::FixedState;
use hashbrown::HashMap;
use tokio::time::{Duration, Instant};

/// Why there is no place.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Full {
    /// So many are taken by all together.
    All(usize),
    /// So many are taken by this address.
    Address(usize),
}

/// The places.
#[derive(Debug)]
pub struct Places {
    all: usize,
    of_one: usize,
    taken: Mutex<HashMap<IpAddr, usize, FixedState>>,
}

/// A place, free again when this is dropped.
#[derive(Debug)]
pub struct Place {
    places: Arc<Places>,
    address: IpAddr,
}

impl Places {
    /// So many altogether, and so many of one address.
    #[must_use]
    pub fn new(all: usize, of_one: usize) -> Arc<Self> {
        let taken = Mutex::default();
        Arc::new(Self { all, of_one, taken })
    }

    /// How many are taken.
    #[must_use]
    pub fn taken(&self) -> usize {
        self.table().values().sum()
    }

    /// Takes one.
    ///
    /// # Errors
    /// When there is none.
    pub fn take(self: &Arc<Self>, address: IpAddr) -> Result<Place, Full> {
        let mut table = self.table();
        let all = table.values().sum();
        if all >= self.all {
            return Err(Full::All(all));
        }
        let own = table.entry(address).or_default();
        if *own >= self.of_one {
            return Err(Full::Address(*own));
        }
        *own += 1;
        let places = Arc::clone(self);
        Ok(Place { places, address })
    }

    /// It holds as many addresses as places at most.
    fn table(&self) -> MutexGuard<'_, HashMap<IpAddr, usize, FixedState>> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut table = self.places.table();
        if let Some(own) = table.get_mut(&self.address) {
            *own = own.saturating_sub(1);
            if *own == 0 {
                table.remove(&self.address);
            }
        }
    }
}

/// How many may begin something within a second.
#[derive(Debug)]
pub struct Pace {
    all: usize,
    of_one: usize,
    /// The begin of the second, and who has begun since.
    second: Mutex<(Instant, HashMap<IpAddr, usize, FixedState>)>,
}

impl Pace {
    /// So many altogether, and so many of one address.
    #[must_use]
    pub fn new(all: usize, of_one: usize) -> Self {
        let second = Mutex::new((Instant::now(), HashMap::default()));
        Self {
            all,
            of_one,
            second,
        }
    }

    /// Whether one more may begin now.
    #[must_use]
    pub fn pass(&self, now: Instant, address: IpAddr) -> bool {
        let mut second = self.second.lock().unwrap_or_else(PoisonError::into_inner);
        let (begin, begun) = &mut *second;
        if now.saturating_duration_since(*begin) >= Duration::from_secs(1) {
            *begin = now;
            begun.clear();
        }
        if begun.values().sum::<usize>() >= self.all {
            return false;
        }
        let own = begun.entry(address).or_default();
        *own += 1;
        if *own > self.of_one {
            *own = self.of_one;
            return false;
        }
        true
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn one_address_cannot_take_all_and_places_come_back() {
        let places = Places::new(4, 2);
        let [one, two, three] = [1, 2, 3].map(|n| IpAddr::from([192, 0, 2, n]));
        let mut held: Vec<_> = (0..2).map(|_| places.take(one).unwrap()).collect();
        assert_eq!(places.take(one).unwrap_err(), Full::Address(2));
        held.extend([places.take(two).unwrap(), places.take(three).unwrap()]);
        assert_eq!(places.take(two).unwrap_err(), Full::All(4));
        held.remove(0);
        assert!(places.take(two).is_ok());
        drop(held);
        assert_eq!(places.taken(), 0);
        assert!(places.table().is_empty());
    }

    #[test]
    fn a_second_has_room_for_so_many_and_the_next_one_again() {
        let pace = Pace::new(4, 2);
        let begin = Instant::now();
        let [one, two, three] = [1, 2, 3].map(|n| IpAddr::from([192, 0, 2, n]));
        let passed = |ms, addresses: &[IpAddr]| -> Vec<bool> {
            let now = begin + Duration::from_millis(ms);
            let pass = |address: &IpAddr| pace.pass(now, *address);
            addresses.iter().map(pass).collect()
        };
        assert_eq!(passed(100, &[one, one, one]), [true, true, false]);
        assert_eq!(
            passed(900, &[two, three, three, one]),
            [true, true, false, false]
        );
        assert_eq!(passed(2000, &[one, one, one]), [true, true, false]);
    }
}
