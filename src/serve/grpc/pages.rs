//! Lists in pages (AIP-158).

use crate::serve::error::Violation;

const DEFAULT_SIZE: usize = 50;
const MAX_SIZE: usize = 500;

/// How many items the page shall have; more than the limit is brought down to it, as the guideline says.
pub fn size(requested: i32) -> Result<usize, Violation> {
    match usize::try_from(requested) {
        Ok(0) => Ok(DEFAULT_SIZE),
        Ok(size) => Ok(size.min(MAX_SIZE)),
        Err(_) => Err(Violation::new("page_size", format!("{requested} is negative; 0 means {DEFAULT_SIZE}"))),
    }
}

/// What follows the item that the token names, cut to a page; and the token of the next page, empty on the last one.
///
/// `after` tells whether an item comes after the token's one: an item that was deleted meanwhile loses nobody's place.
pub fn page<'a, T>(
    items: impl Iterator<Item = &'a T>,
    after: impl Fn(&T) -> bool,
    size: usize,
    token: impl Fn(&T) -> String,
) -> (Vec<&'a T>, String) {
    let mut rest = items.filter(|item| after(item));
    let page: Vec<&T> = rest.by_ref().take(size).collect();
    let more = rest.next().is_some();
    let next = page.last().filter(|_| more).map_or_else(String::new, |last| token(last));
    (page, next)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_hold_every_item_once() {
        let items: Vec<u32> = (0..7).collect();
        let mut seen = Vec::new();
        let mut token = String::new();
        loop {
            let last: Option<u32> = token.parse().ok();
            let (page, next) = page(items.iter(), |&item| last.is_none_or(|last| item > last), 3, u32::to_string);
            seen.extend(page.into_iter().copied());
            if next.is_empty() {
                break;
            }
            token = next;
        }
        assert_eq!(seen, items);
        assert_eq!((size(0), size(7), size(9999)), (Ok(50), Ok(7), Ok(500)));
        assert!(size(-1).is_err());
    }
}
