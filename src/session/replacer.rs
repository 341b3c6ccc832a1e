//! Finds any of thousands of strings in a text.
//!
//! A finder is made for each case, from a few hundred strings, and used on some hundred kilobytes. An automaton of them all
//! takes longer to build than all the looking; so each place of the text is asked for its first eight bytes, which a
//! sieve of bits almost always answers with "none of them".

/// So many bytes at the beginning of a string decide whether the rest is looked at.
const HEAD_BYTES: usize = 8;

/// Strings to be found, each with what it is replaced by.
pub(super) struct Finder<'a> {
    /// Those of at least eight bytes with these, in their order.
    long: Vec<(u64, &'a [u8], &'a str)>,
    /// Bits by the hash of the first eight bytes; a power of two of them.
    sieve: Vec<u64>,
    /// Those that are shorter.
    short: Vec<(&'a [u8], &'a str)>,
}

impl<'a> Finder<'a> {
    /// A finder of strings. Of equal ones the first counts, and empty ones are nowhere.
    pub(super) fn new(needles: impl IntoIterator<Item = (&'a [u8], &'a str)>) -> Finder<'a> {
        let (mut long, mut short) = (Vec::new(), Vec::new());
        for (needle, by) in needles {
            match needle.first_chunk() {
                Some(head) => long.push((u64::from_le_bytes(*head), needle, by)),
                None if needle.is_empty() => {}
                None => short.push((needle, by)),
            }
        }
        long.sort_by_key(|(head, _, _)| *head);
        let mut sieve = vec![0; (long.len() / 2).next_power_of_two().max(64)];
        for (head, _, _) in &long {
            let (word, bits) = place(*head, sieve.len());
            sieve[word] |= bits;
        }
        Finder { long, sieve, short }
    }

    /// The text with each of the strings replaced: from the left, and where several begin, the longest. None where there
    /// is none of them.
    pub(super) fn replace(&self, text: &[u8]) -> Option<Vec<u8>> {
        let (mut out, mut done, mut at) = (Vec::new(), 0, 0);
        while let Some(skipped) = self.maybe_in(&text[at..]) {
            at += skipped;
            match self.longest_at(&text[at..]) {
                None => at += 1,
                Some((needle, by)) => {
                    out.extend_from_slice(&text[done..at]);
                    out.extend_from_slice(by.as_bytes());
                    at += needle.len();
                    done = at;
                }
            }
        }
        (done > 0).then(|| {
            out.extend_from_slice(&text[done..]);
            out
        })
    }

    /// Where in a text one of the strings may begin, at the earliest.
    fn maybe_in(&self, text: &[u8]) -> Option<usize> {
        if !self.short.is_empty() {
            return (!text.is_empty()).then_some(0);
        }
        let begins = |window: &[u8]| {
            let head = window.first_chunk().map(|head| u64::from_le_bytes(*head));
            head.is_some_and(|head| self.may_begin_with(head))
        };
        text.windows(HEAD_BYTES).position(begins)
    }

    /// The longest of the strings with which a text begins.
    fn longest_at(&self, text: &[u8]) -> Option<(&'a [u8], &'a str)> {
        let long = match text.first_chunk::<HEAD_BYTES>() {
            Some(head) => self.with_head(u64::from_le_bytes(*head)),
            None => &[],
        };
        let long = long.iter().map(|(_, needle, by)| (*needle, *by));
        let candidates = long.chain(self.short.iter().copied());
        candidates
            .filter(|(needle, _)| text.starts_with(needle))
            .reduce(|longest, it| if it.0.len() > longest.0.len() { it } else { longest })
    }

    fn with_head(&self, head: u64) -> &[(u64, &'a [u8], &'a str)] {
        if !self.may_begin_with(head) {
            return &[];
        }
        let from = self.long.partition_point(|(other, _, _)| *other < head);
        let same = self.long[from..].partition_point(|(other, _, _)| *other == head);
        &self.long[from..from + same]
    }

    fn may_begin_with(&self, head: u64) -> bool {
        let (word, bits) = place(head, self.sieve.len());
        self.sieve[word] & bits == bits
    }
}

/// The place of a head in a sieve of so many words: a word, and two bits of it, which seldom are both another's.
fn place(head: u64, words: usize) -> (usize, u64) {
    // The golden ratio in 64 bits: it spreads neighbours over the upper bits.
    let hash = head.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
    let word = usize::try_from(hash >> 12).unwrap_or(0) & (words - 1);
    (word, 1 << (hash & 63) | 1 << (hash >> 6 & 63))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn replaced(needles: &[(&str, &str)], text: &str) -> Option<String> {
        let finder = Finder::new(needles.iter().map(|(needle, by)| (needle.as_bytes(), *by)));
        finder
            .replace(text.as_bytes())
            .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
    }

    #[test]
    fn what_is_not_there_is_not_replaced() {
        assert_eq!(replaced(&[("a long secret", "x")], "nothing to see"), None);
        assert_eq!(replaced(&[("a long secret", "x")], "a long secre"), None);
        assert_eq!(replaced(&[("", "x")], "abc"), None);
    }

    #[test]
    fn of_those_that_begin_at_one_place_the_longest_counts() {
        let needles = [
            ("12345678", "[short]"),
            ("123456789", "[long]"),
            ("\"1\"", "[one]"),
        ];
        assert_eq!(
            replaced(&needles, "a 123456789 b 12345678, \"1\", 1").as_deref(),
            Some("a [long] b [short], [one], 1")
        );
    }

    #[test]
    fn of_equal_ones_the_first_counts() {
        let needles = [("12345678", "[first]"), ("12345678", "[second]")];
        assert_eq!(replaced(&needles, "12345678").as_deref(), Some("[first]"));
    }

    proptest! {
        #[test]
        fn it_finds_what_looking_at_every_place_finds(
            needles in proptest::collection::vec("[ab]{1,12}", 0..20),
            text in "[ab]{0,80}",
        ) {
            let named: Vec<(String, String)> = needles
                .iter()
                .enumerate()
                .map(|(index, needle)| (needle.clone(), format!("<{index}>")))
                .collect();
            let (mut wanted, mut rest) = (String::new(), text.as_str());
            while let Some(first) = rest.chars().next() {
                let longest = named
                    .iter()
                    .rev()
                    .filter(|(needle, _)| rest.starts_with(needle.as_str()))
                    .max_by_key(|(needle, _)| needle.len());
                match longest {
                    Some((needle, by)) => {
                        wanted.push_str(by);
                        rest = &rest[needle.len()..];
                    }
                    None => {
                        wanted.push(first);
                        rest = &rest[1..];
                    }
                }
            }
            let pairs: Vec<(&str, &str)> = named.iter().map(|(a, b)| (a.as_str(), b.as_str())).collect();
            prop_assert_eq!(replaced(&pairs, &text).unwrap_or(text), wanted);
        }
    }
}
