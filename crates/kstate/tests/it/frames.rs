//! What `#[kframe]` makes of straight-line code.

use kfn::{kframe, kirq};
use kstate::sched::{Flow, Frame, WaitOn};
use kstate::{Errno, Irq, Kernel};

#[kframe("test.c")]
fn leaf(k: &mut Kernel, n: u32) -> Result<u32, Errno> {
    wait_until!(k.warnings >= n, WaitOn::Threads(Irq(n)));
    if n == 3 {
        return Err(Errno::EIO);
    }
    Ok(n * 10)
}

#[kframe("test.c")]
fn outer(k: &mut Kernel, limit: u32) -> Result<u32, Errno> {
    let mut sum: u32 = 0;
    let mut i: u32 = 0;
    while i < limit {
        i += 1;
        if i == 2 {
            continue;
        }
        if i == 5 {
            break;
        }
        let got: u32 = call!(leaf(i))?;
        match got {
            10 => {
                step!();
                sum += 1;
            }
            _ => sum += got,
        }
        k.log.push(format!("{i} {sum}"));
    }
    Ok(sum)
}

/// Runs a frame to its end and returns its value and how often it stopped on the way.
fn run(k: &mut Kernel, frame: Frame) -> (u64, u32) {
    let mut stack = vec![frame];
    let mut stops = 0;
    loop {
        let mut top = stack.pop().expect("a frame");
        match (top.code.resume)(k, &mut top) {
            Flow::Return(value) => match stack.last_mut() {
                Some(caller) => caller.ret = value,
                None => return (value, stops),
            },
            Flow::Call(callee) => stack.extend([top, callee]),
            Flow::Again => {
                stops += 1;
                stack.push(top);
            }
            Flow::Wait(_) | Flow::Spin => {
                stops += 1;
                k.warnings += 1;
                stack.push(top);
            }
        }
        // Every state in between is a value.
        assert_eq!(stack.clone(), stack);
    }
}

#[test]
fn locals_loops_and_jumps_survive_a_wait() {
    let mut k = Kernel::default();
    assert_eq!(run(&mut k, outer(2).frame), (1, 2));
    assert_eq!(*k.log, ["1 1"]);
}

#[test]
fn an_error_leaves_through_every_frame() {
    let mut k = Kernel::default();
    let (value, _) = run(&mut k, outer(9).frame);
    assert_eq!(value as i64, i64::from(Errno::EIO.code()));
}

#[test]
fn a_frame_prints_its_locals() {
    assert_eq!(format!("{:?}", outer(9).frame), "outer@0(limit=9, sum=0, i=0, got=0)");
}

#[kirq("test.c")]
fn inner(k: &mut Kernel, n: u32) -> u32 {
    let twice: u32 = n * 2;
    step!();
    k.log.push(format!("inner {twice}"));
    twice
}

#[kirq("test.c")]
fn handler(k: &mut Kernel, n: u32) -> u32 {
    k.log.push("first".to_owned());
    let got: u32 = call!(inner(n + 1));
    call!(inner(0));
    got + 1
}

#[test]
fn an_interrupts_function_does_the_same_whole_and_cut() {
    let (mut whole, mut cut) = (Kernel::default(), Kernel::default());
    assert_eq!(handler(&mut whole, 4), 11);
    assert_eq!(run(&mut cut, handler_frame(4).frame), (11, 2));
    assert_eq!(*whole.log, ["first", "inner 10", "inner 0"]);
    assert_eq!(whole, cut);
    let frame = handler_frame(4).frame;
    assert_eq!((frame.code.meta.name, frame.code.locals), ("handler", ["n", "got"].as_slice()));
}

#[kframe("test.c")]
fn stepped(k: &mut Kernel, stop: u32) -> Result<u32, Errno> {
    let ret: Result<u32, Errno> = 'out: {
        if stop == 0 {
            break 'out Err(Errno::EBUSY);
        }
        let first: u32 = call!(leaf(1))?;
        let mut round: u32 = 0;
        loop {
            round += 1;
            if round == stop {
                break 'out call!(leaf(2));
            }
            'inner: {
                if round == 2 {
                    step!();
                    break 'inner;
                }
                k.log.push(format!("round {round}"));
            }
            // A block that holds no mark stays what it is.
            let small = 'plain: {
                if round < 3 {
                    break 'plain true;
                }
                false
            };
            if !small {
                break;
            }
        }
        if stop == 9 {
            return Err(Errno::EIO);
        }
        Ok(first + round)
    };
    k.log.push(format!("out {ret:?}"));
    ret
}

#[test]
fn a_labelled_block_is_left_with_a_value() {
    let ran = |stop: u32| {
        let mut k = Kernel::default();
        let (value, _) = run(&mut k, stepped(stop).frame);
        (value as i64, k.log.to_vec())
    };
    let error = |e: Errno| i64::from(e.code());
    // C's goto, from the first line, from a loop, with the value of a call, and by reaching the label.
    assert_eq!(ran(0), (error(Errno::EBUSY), vec!["out Err(EBUSY)".to_owned()]));
    assert_eq!(ran(1), (20, vec!["out Ok(20)".to_owned()]));
    assert_eq!(ran(3), (20, vec!["round 1".to_owned(), "out Ok(20)".to_owned()]));
    let rounds = ["round 1", "round 3"].map(str::to_owned);
    assert_eq!(ran(4), (13, [&rounds[..], &["out Ok(13)".to_owned()]].concat()));
    // What leaves the function does not stop at the label.
    assert_eq!(ran(9), (error(Errno::EIO), rounds.to_vec()));
}

#[kirq("test.c")]
fn cut_short(k: &mut Kernel, n: u32) -> u32 {
    let mut got: u32 = 'got: {
        if n == 1 {
            break 'got 5;
        }
        let there: u32 = call!(inner(n));
        if n == 2 {
            break 'got there;
        }
        there + 1
    };
    got += 1;
    k.log.push(format!("got {got}"));
    got
}

#[test]
fn a_labelled_block_is_the_same_whole_and_cut() {
    for (n, expect) in [(1, 6), (2, 5), (3, 8)] {
        let (mut whole, mut cut) = (Kernel::default(), Kernel::default());
        assert_eq!(cut_short(&mut whole, n), expect);
        assert_eq!(run(&mut cut, cut_short_frame(n).frame).0, u64::from(expect));
        assert_eq!(whole, cut);
    }
}
