//! Selection, partition and sorting that leave equals in the order in which GNU's C++ library leaves them.
//!
//! The C++ standard does not fix that order (<https://eel.is/c++draft/alg.nth.element>); libstdc++ selects by
//! introspection (Musser 1997, <https://doi.org/10.1002/(SICI)1097-024X(199708)27:8%3C983::AID-SPE117%3E3.0.CO;2-%23>):
//! quickselect about a median of three, insertion sort of the last three, and a heap where the parts do not shrink. It sorts
//! in the same way, with insertion sort of the last sixteen.
//!
//! Graphs follow from such orders where reference implementations break ties by them.

/// Parts of at most so many items are sorted by insertion.
const SMALL: usize = 3;
const SMALL_TO_SORT: usize = 16;

/// `std::nth_element`: the item that sorting would put at `nth` comes there; none before is greater, none after less.
pub fn nth_element<T: Copy>(items: &mut [T], nth: usize, less: impl Fn(T, T) -> bool) {
    if nth >= items.len() {
        return;
    }
    let (mut first, mut last) = (0, items.len());
    let mut rounds = 2 * items.len().ilog2();
    while last - first > SMALL {
        if rounds == 0 {
            heap_select(&mut items[first..last], nth - first, &less);
            return;
        }
        rounds -= 1;
        let cut = first + split(&mut items[first..last], &less);
        if cut <= nth {
            first = cut;
        } else {
            last = cut;
        }
    }
    insertion_sort(&mut items[first..last], &less);
}

/// `std::sort`.
pub fn sort<T: Copy>(items: &mut [T], less: impl Fn(T, T) -> bool) {
    fn parts<T: Copy>(items: &mut [T], rounds: u32, less: &impl Fn(T, T) -> bool) {
        let mut last = items.len();
        for left in (0..rounds).rev() {
            if last <= SMALL_TO_SORT {
                return;
            }
            let cut = split(&mut items[..last], less);
            parts(&mut items[cut..last], left, less);
            last = cut;
        }
        if last > SMALL_TO_SORT {
            heap_sort(&mut items[..last], less);
        }
    }
    parts(items, 2 * items.len().max(1).ilog2(), &less);
    insertion_sort(items, &less);
}

/// `std::partition`: items that satisfy come before those that do not. How many do.
pub fn partition<T: Copy>(items: &mut [T], satisfies: impl Fn(T) -> bool) -> usize {
    let (mut first, mut last) = (0, items.len());
    loop {
        while first < last && satisfies(items[first]) {
            first += 1;
        }
        while first < last && !satisfies(items[last - 1]) {
            last -= 1;
        }
        if first == last {
            return first;
        }
        items.swap(first, last - 1);
        (first, last) = (first + 1, last - 1);
    }
}

/// Moves a median of three to the front and parts the rest about it. Where the upper part begins.
fn split<T: Copy>(items: &mut [T], less: &impl Fn(T, T) -> bool) -> usize {
    let (a, b, c) = (1, items.len() / 2, items.len() - 1);
    let under = |i: usize, j: usize| less(items[i], items[j]);
    let median = if under(a, b) {
        if under(b, c) {
            b
        } else if under(a, c) {
            c
        } else {
            a
        }
    } else if under(a, c) {
        a
    } else if under(b, c) {
        c
    } else {
        b
    };
    items.swap(0, median);
    let pivot = items[0];
    let (mut first, mut last) = (1, items.len());
    loop {
        // the pivot was a median: an item on either side ends both searches
        while less(items[first], pivot) {
            first += 1;
        }
        last -= 1;
        while less(pivot, items[last]) {
            last -= 1;
        }
        if first >= last {
            return first;
        }
        items.swap(first, last);
        first += 1;
    }
}

fn insertion_sort<T: Copy>(items: &mut [T], less: &impl Fn(T, T) -> bool) {
    for end in 1..items.len() {
        let place = items[..end].iter().rposition(|&item| !less(items[end], item)).map_or(0, |before| before + 1);
        items[place..=end].rotate_right(1);
    }
}

fn heap_sort<T: Copy>(items: &mut [T], less: &impl Fn(T, T) -> bool) {
    for root in (0..items.len() / 2).rev() {
        let item = items[root];
        settle(items, root, item, less);
    }
    for end in (1..items.len()).rev() {
        let item = items[end];
        items[end] = items[0];
        settle(&mut items[..end], 0, item, less);
    }
}

/// Keeps the least items up to `nth` in a heap, greatest first, and puts that first one at `nth`.
fn heap_select<T: Copy>(items: &mut [T], nth: usize, less: &impl Fn(T, T) -> bool) {
    let (heap, rest) = items.split_at_mut(nth + 1);
    for root in (0..heap.len() / 2).rev() {
        let item = heap[root];
        settle(heap, root, item, less);
    }
    for other in rest {
        if less(*other, heap[0]) {
            let item = std::mem::replace(other, heap[0]);
            settle(heap, 0, item, less);
        }
    }
    heap.swap(0, nth);
}

/// Sinks the hole at `root` to a leaf along the greater children, then lets the item rise from there.
fn settle<T: Copy>(heap: &mut [T], root: usize, item: T, less: &impl Fn(T, T) -> bool) {
    let mut hole = root;
    while 2 * hole + 1 < heap.len() {
        let (left, right) = (2 * hole + 1, 2 * hole + 2);
        let child = if right < heap.len() && !less(heap[right], heap[left]) { right } else { left };
        heap[hole] = heap[child];
        hole = child;
    }
    while hole > root && less(heap[(hole - 1) / 2], item) {
        heap[hole] = heap[(hole - 1) / 2];
        hole = (hole - 1) / 2;
    }
    heap[hole] = item;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sorts_whatever_the_order() {
        for count in [0, 1, 2, 16, 17, 1000] {
            for keys in [|i: usize| i * 7919 % 1009, |i: usize| i % 3, |i: usize| i, |i: usize| 5000 - i] {
                let mut items: Vec<(usize, usize)> = (0..count).map(|i| (keys(i), i)).collect();
                let mut expected = items.clone();
                sort(&mut items, |a, b| a.0 < b.0);
                assert!(items.is_sorted_by_key(|item| item.0), "{items:?}");
                items.sort_unstable();
                expected.sort_unstable();
                assert_eq!(items, expected);
                heap_sort(&mut expected, &|a: (usize, usize), b: (usize, usize)| a.1 < b.1);
                assert!(expected.is_sorted_by_key(|item| item.1));
            }
        }
    }
}
