//! The kernel's heapsort. It is not stable, so the order of equal elements is part of what other
//! functions see.
//!
//! C file: lib/sort.c of 5.4, 6.12 and 7.3.

use kstate::Kernel;

/// Sorts `base`. `cmp_func` gets the kernel because the tracer sees comparison functions.
pub fn sort<T>(k: &mut Kernel, base: &mut [T], cmp_func: fn(&mut Kernel, &T, &T) -> i32) {
    sort_r(k, base, cmp_func);
}

/// Puts the element at `a` where it belongs in the heap `a..n`: down to a leaf along the larger
/// children, and back up to the first one that is not smaller.
fn sift_down<T>(
    k: &mut Kernel,
    base: &mut [T],
    a: usize,
    n: usize,
    left_wins: fn(i32) -> bool,
    cmp: fn(&mut Kernel, &T, &T) -> i32,
) {
    let mut b = a;
    while 2 * b + 2 < n {
        let c = 2 * b + 1;
        b = if left_wins(cmp(k, &base[c], &base[c + 1])) { c } else { c + 1 };
    }
    if 2 * b + 2 == n {
        // The last leaf has no sibling.
        b = 2 * b + 1;
    }
    while b != a && cmp(k, &base[a], &base[b]) >= 0 {
        b = (b - 1) / 2;
    }
    let c = b;
    while b != a {
        b = (b - 1) / 2;
        base.swap(b, c);
    }
}

/// 5.4 takes one element at a time from the heap, and of equal children the left one goes up. 6.12 takes
/// the two largest together, and the right one goes up.
fn sort_r<T>(k: &mut Kernel, base: &mut [T], cmp: fn(&mut Kernel, &T, &T) -> i32) {
    let two = k.sem.sort_extracts_two;
    let left_wins: fn(i32) -> bool = if two { |c| c > 0 } else { |c| c >= 0 };
    let mut n = base.len();
    let mut a = n / 2;
    // How often the sifting continues with the element before: `a` is 1 or 2 after an extraction,
    // and C reaches the root from there in one stride.
    let mut stride = 1;
    if a == 0 {
        return;
    }
    loop {
        if a > 0 {
            a -= stride;
        } else if two && n > 3 {
            n -= 1;
            base.swap(0, n);
            stride = if cmp(k, &base[1], &base[2]) <= 0 { 2 } else { 1 };
            a = stride;
            n -= 1;
            base.swap(a, n);
        } else if !two && n > 1 {
            n -= 1;
            base.swap(0, n);
        } else {
            break;
        }
        sift_down(k, base, a, n, left_wins, cmp);
    }
    if two {
        n -= 1;
        base.swap(0, n);
        if n == 2 && cmp(k, &base[0], &base[1]) > 0 {
            base.swap(0, 1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kstate::semantics::{KernelVersion, Semantics};

    #[test]
    fn both_sorts_sort() {
        for &version in KernelVersion::ALL {
            let mut k = Kernel { sem: Semantics::of(version), ..Kernel::default() };
            for len in 0..40_usize {
                let mut data: Vec<(u32, usize)> = (0..len).map(|i| ((i as u32 * 7919) % 11, i)).collect();
                sort(&mut k, &mut data, |_, l, r| l.0.cmp(&r.0) as i32);
                assert!(data.is_sorted_by_key(|e| e.0), "{} {len}: {data:?}", version.name());
            }
        }
    }
}
