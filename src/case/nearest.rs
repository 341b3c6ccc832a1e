//! What somebody meant who misspelt a word.

/// The known word nearest to a misspelt one, if any is near.
pub fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    known
        .into_iter()
        .filter(|candidate| *candidate != word)
        .filter_map(|candidate| Some((likeness(word, candidate)?, candidate)))
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, candidate)| candidate)
}

/// How much alike two words are, more for more; none where nobody would take one for the other.
fn likeness(word: &str, candidate: &str) -> Option<f64> {
    if plain(word) == plain(candidate) {
        return Some(3.0);
    }
    let alike = strsim::jaro_winkler(word, candidate);
    let wrong = strsim::damerau_levenshtein(word, candidate);
    // Who typed the beginning means what goes on least.
    if word.len() >= 4 && candidate.starts_with(word) {
        return Some(1.0 + alike);
    }
    (alike > 0.75 && wrong <= (word.chars().count() / 3).max(2)).then_some(alike)
}

/// A word in small letters, with the zeros left out that a number begins with.
fn plain(word: &str) -> String {
    let mut out = String::new();
    for character in word.chars().flat_map(char::to_lowercase) {
        let begins_with_zero = out
            .strip_suffix('0')
            .is_some_and(|before| !before.ends_with(|last: char| last.is_ascii_digit()));
        if character.is_ascii_digit() && begins_with_zero {
            out.pop();
        }
        out.push(character);
    }
    out
}
