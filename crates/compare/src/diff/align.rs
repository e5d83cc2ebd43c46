//! The least costly alignment of two sequences.

/// One step of an alignment.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Op {
    /// These two are the same.
    Both(usize, usize),
    /// Only the first sequence has this.
    Left(usize),
    /// Only the second sequence has this.
    Right(usize),
}

/// Above so many pairs the search only looks ahead so far.
const ALL_PAIRS: usize = 4_000_000;
const AHEAD: usize = 64;

/// Aligns two sequences. `left` and `right` say what it costs to leave an element out, `both` what
/// it costs to take one for the other, if that is possible at all. Of equal costs the alignment
/// that takes the first possible pair wins.
pub fn align(
    left: &[u32],
    right: &[u32],
    mut both: impl FnMut(usize, usize) -> Option<u32>,
) -> (u32, Vec<Op>) {
    let (n, m) = (left.len(), right.len());
    if n.saturating_mul(m) > ALL_PAIRS {
        return align_ahead(left, right, both);
    }
    let width = m + 1;
    // Costs of the best alignment of the rests from (i, j) on, and of the pair itself.
    let mut best = vec![0u32; (n + 1) * width];
    let mut pair = vec![None; n * m];
    for i in (0..=n).rev() {
        for j in (0..=m).rev() {
            let at = i * width + j;
            best[at] = match (i < n, j < m) {
                (false, false) => 0,
                (true, false) => left[i].saturating_add(best[at + width]),
                (false, true) => right[j].saturating_add(best[at + 1]),
                (true, true) => {
                    let out =
                        left[i].saturating_add(best[at + width]).min(right[j].saturating_add(best[at + 1]));
                    let cost = both(i, j);
                    pair[i * m + j] = cost;
                    cost.map_or(out, |c| out.min(c.saturating_add(best[at + width + 1])))
                }
            };
        }
    }
    let (mut i, mut j) = (0, 0);
    let mut ops = Vec::with_capacity(n.max(m));
    while i < n || j < m {
        let at = i * width + j;
        let is_pair = i < n
            && j < m
            && pair[i * m + j].is_some_and(|c: u32| c.saturating_add(best[at + width + 1]) == best[at]);
        if is_pair {
            ops.push(Op::Both(i, j));
            (i, j) = (i + 1, j + 1);
        } else if i < n && left[i].saturating_add(best[at + width]) == best[at] {
            ops.push(Op::Left(i));
            i += 1;
        } else {
            ops.push(Op::Right(j));
            j += 1;
        }
    }
    (best[0], ops)
}

/// Takes the first pair within reach, for sequences too long to try everything.
fn align_ahead(
    left: &[u32],
    right: &[u32],
    mut both: impl FnMut(usize, usize) -> Option<u32>,
) -> (u32, Vec<Op>) {
    let mut ops = Vec::new();
    let mut total = 0u32;
    let mut next = 0;
    for (i, out) in left.iter().enumerate() {
        let found = (next..right.len().min(next + AHEAD)).find_map(|j| both(i, j).map(|cost| (j, cost)));
        match found {
            Some((j, cost)) => {
                for (skipped, out) in right.iter().enumerate().take(j).skip(next) {
                    ops.push(Op::Right(skipped));
                    total = total.saturating_add(*out);
                }
                ops.push(Op::Both(i, j));
                total = total.saturating_add(cost);
                next = j + 1;
            }
            None => {
                ops.push(Op::Left(i));
                total = total.saturating_add(*out);
            }
        }
    }
    for (j, out) in right.iter().enumerate().skip(next) {
        ops.push(Op::Right(j));
        total = total.saturating_add(*out);
    }
    (total, ops)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(left: &str, right: &str, expect: &str) {
        let (a, b) = (left.as_bytes(), right.as_bytes());
        for ahead in [false, true] {
            let both = |i: usize, j: usize| (a[i] == b[j]).then_some(0);
            let (lefts, rights) = (vec![1; a.len()], vec![1; b.len()]);
            let (cost, ops) =
                if ahead { align_ahead(&lefts, &rights, both) } else { align(&lefts, &rights, both) };
            let text: String = ops
                .iter()
                .flat_map(|op| match op {
                    Op::Both(i, _) => vec![a[*i] as char],
                    Op::Left(i) => vec!['-', a[*i] as char],
                    Op::Right(j) => vec!['+', b[*j] as char],
                })
                .collect();
            assert_eq!(text, expect);
            assert_eq!(cost as usize, text.matches(['-', '+']).count());
        }
    }

    #[test]
    fn sequences_align() {
        check("", "", "");
        check("abc", "abc", "abc");
        check("ac", "abc", "a+bc");
        check("abcd", "bd", "-ab-cd");
        check("a", "b", "-a+b");
    }
}
