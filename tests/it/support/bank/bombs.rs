//! Compression bombs, made here: DEFLATE with the fixed codes, whole runs only.

/// How long a run is: the longest that DEFLATE can say.
const RUN: usize = 258;

/// A gzip stream that holds `bytes` once unpacked.
pub(crate) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut packed = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];
    packed.extend(deflate(bytes));
    packed.extend(crc32(bytes).to_le_bytes());
    packed.extend(u32::try_from(bytes.len()).unwrap().to_le_bytes());
    packed
}

/// A zlib stream, as `Content-Encoding: deflate` means it. Its checksum is right for zeros.
pub(crate) fn zlib_zeros(length: usize) -> Vec<u8> {
    let mut packed = vec![0x78, 0x9c];
    packed.extend(deflate(&vec![0; length]));
    let adler = (u32::try_from(length % 65521).unwrap() << 16) | 1;
    packed.extend(adler.to_be_bytes());
    packed
}

/// Runs of zeros and of a period of 13 bytes (which is what packed zeros look like) are packed, all else is not.
fn deflate(bytes: &[u8]) -> Vec<u8> {
    let mut bits = Bits::default();
    bits.low_first(0b011, 3);
    let mut at = 0;
    while at < bytes.len() {
        match [1, 13].into_iter().find(|distance| repeats(bytes, at, *distance)) {
            Some(distance) => {
                bits.high_first(0b1100_0101, 8);
                match distance {
                    1 => bits.high_first(0, 5),
                    _ => {
                        bits.high_first(7, 5);
                        bits.low_first(0, 2);
                    }
                }
                at += RUN;
            }
            None => {
                bits.literal(bytes[at]);
                at += 1;
            }
        }
    }
    bits.high_first(0, 7);
    bits.bytes
}

fn repeats(bytes: &[u8], at: usize, distance: usize) -> bool {
    at >= distance
        && at + RUN <= bytes.len()
        && bytes[at..at + RUN] == bytes[at - distance..at - distance + RUN]
}

#[derive(Default)]
struct Bits {
    bytes: Vec<u8>,
    used: usize,
}

impl Bits {
    fn literal(&mut self, byte: u8) {
        match u32::from(byte) {
            value @ 0..144 => self.high_first(0x30 + value, 8),
            value => self.high_first(0x190 + value - 144, 9),
        }
    }

    fn high_first(&mut self, code: u32, length: usize) {
        (0..length).rev().for_each(|bit| self.push(code >> bit & 1));
    }

    fn low_first(&mut self, value: u32, length: usize) {
        (0..length).for_each(|bit| self.push(value >> bit & 1));
    }

    fn push(&mut self, bit: u32) {
        if self.used.is_multiple_of(8) {
            self.bytes.push(0);
        }
        let last = self.bytes.len() - 1;
        self.bytes[last] |= u8::try_from(bit << (self.used % 8)).unwrap();
        self.used += 1;
    }
}

fn crc32(bytes: &[u8]) -> u32 {
    let step = |crc: u32| {
        if crc & 1 == 1 {
            crc >> 1 ^ 0xedb8_8320
        } else {
            crc >> 1
        }
    };
    let table: [u32; 256] = std::array::from_fn(|byte| (0..8).fold(byte as u32, |crc, _| step(crc)));
    let mut crc = !0;
    for byte in bytes {
        crc = crc >> 8 ^ table[(crc as u8 ^ byte) as usize];
    }
    !crc
}
