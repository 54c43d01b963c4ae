//! The way from a source to the meter, with a source that makes frames up.
#![allow(clippy::unwrap_used)]

use super::*;

/// So many frames, one by one numbered; then silence, or an end.
struct Made {
    frames: u32,
    made: u32,
    octets: usize,
    /// Most frames of one poll.
    at_once: usize,
    ended: Option<&'static str>,
}

impl Source for Made {
    fn poll(&mut self, take: &mut dyn FnMut(Head, &[u8])) -> Result<usize, String> {
        let batch = (self.frames - self.made).min(self.at_once as u32);
        for _ in 0..batch {
            let octets = vec![self.made as u8; self.octets];
            let head = Head {
                ts_ns: self.made.into(),
                captured: self.octets as u32,
                original: self.octets as u32 + 4,
            };
            take(head, &octets);
            self.made += 1;
        }
        match self.ended {
            Some(reason) if batch == 0 => Err(reason.to_owned()),
            _ => Ok(batch as usize),
        }
    }

    fn counters(&mut self) -> LiveCounters {
        LiveCounters {
            received: self.made.into(),
            kernel_dropped: 2,
            interface_dropped: 3,
            ring_dropped: 0,
        }
    }
}

fn listen(source: Made, blocks: usize, buffered: bool) -> LiveCapture {
    let config = LiveConfig {
        interface: "made".to_owned(),
        buffer: 0,
        snap_length: 65535,
        promiscuous: false,
        buffered,
    };
    LiveCapture::start(&config, LinkType::ETHERNET, Box::new(source), blocks)
}

/// Everything that comes: the numbers of the frames.
fn all(capture: &mut LiveCapture) -> Result<Vec<i64>, LiveError> {
    let mut numbers = Vec::new();
    while let Some(batch) = capture.next_batch()? {
        for frame in batch {
            assert!(
                frame
                    .captured
                    .iter()
                    .all(|octet| i64::from(*octet) == frame.ts_ns & 0xff)
            );
            assert_eq!(frame.original_len as usize, frame.captured.len() + 4);
            assert_eq!(frame.link, LinkType::ETHERNET);
            numbers.push(frame.ts_ns);
        }
    }
    Ok(numbers)
}

#[test]
fn everything_that_has_arrived_comes_before_the_end() {
    for (buffered, octets) in [(true, 60), (true, 5000), (false, 60)] {
        let source = Made {
            frames: 10_000,
            made: 0,
            octets,
            at_once: BATCH,
            ended: None,
        };
        let mut capture = listen(source, BLOCKS * 4, buffered);
        capture.stop();
        let numbers = all(&mut capture).unwrap();
        assert_eq!(numbers, (0..10_000).collect::<Vec<_>>());
        let expect = LiveCounters {
            received: 10_000,
            kernel_dropped: 2,
            interface_dropped: 3,
            ring_dropped: 0,
        };
        assert_eq!(capture.counters(), expect);
    }
}

/// The traffic goes on after the stop: the capture ends all the same, and every frame is accounted for.
#[test]
fn traffic_that_goes_on_does_not_keep_a_capture_open() {
    for buffered in [true, false] {
        let source = Made {
            frames: u32::MAX,
            made: 0,
            octets: 60,
            at_once: 3,
            ended: None,
        };
        let mut capture = listen(source, BLOCKS, buffered);
        let first = capture.next_batch().unwrap().unwrap().count();
        capture.stop();
        let numbers = all(&mut capture).unwrap();
        let counters = capture.counters();
        assert_eq!(
            (first + numbers.len()) as u64 + counters.ring_dropped,
            counters.received
        );
    }
}

#[test]
fn an_interface_that_is_gone_is_told_behind_its_frames() {
    for buffered in [true, false] {
        let source = Made {
            frames: 3,
            made: 0,
            octets: 60,
            at_once: BATCH,
            ended: Some("gone"),
        };
        let mut capture = listen(source, BLOCKS, buffered);
        let mut frames = 0;
        let error = loop {
            match capture.next_batch() {
                Ok(Some(batch)) => frames += batch.count(),
                Ok(None) => panic!("no reason"),
                Err(error) => break error.to_string(),
            }
        };
        assert_eq!((frames, error.as_str()), (3, "made: capturing ended: gone"));
    }
}

#[test]
fn a_meter_that_does_not_come_after_costs_counted_frames() {
    let source = Made {
        frames: 20_000,
        made: 0,
        octets: 60,
        at_once: BATCH,
        ended: Some("done"),
    };
    let mut capture = listen(source, 2, true);
    // Nobody takes a block until the source is done: all but the frames of two blocks are lost.
    let patience = Instant::now();
    while capture.counters().received < 20_000 {
        assert!(patience.elapsed() < Duration::from_secs(60));
        std::thread::sleep(Duration::from_millis(10));
    }
    let mut numbers = Vec::new();
    while let Ok(Some(batch)) = capture.next_batch() {
        numbers.extend(batch.map(|frame| frame.ts_ns));
    }
    let dropped = capture.counters().ring_dropped;
    assert_eq!(numbers.len() as u64 + dropped, 20_000);
    assert_eq!(numbers, (0..2 * FRAMES as i64).collect::<Vec<_>>());
}

#[test]
fn silence_is_told() {
    let source = Made {
        frames: 0,
        made: 0,
        octets: 0,
        at_once: BATCH,
        ended: None,
    };
    // This one does not wait: the capture does.
    let mut capture = listen(source, BLOCKS, true);
    assert!(capture.next_batch().unwrap().unwrap().is_empty());
}
