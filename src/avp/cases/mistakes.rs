//! All that is wrong with a case file that cannot be read as a whole. The reader of TOML stops at the first mistake: a key that
//! is misspelt is given the name that was meant, anything else that is wrong is taken out, and the rest is read again.

use std::borrow::Cow;
use std::ops::Range;
use std::sync::Arc;

use serde::de::DeserializeOwned;
use toml::Spanned;
use toml::de::{DeTable, DeValue, ValueDeserializer};

use super::model::{Case, CaseFile};
use crate::case::{Problem, Source, toml_problem};

/// So many mistakes of one table are told.
const MOST_MISTAKES: usize = 50;

/// What can be read of a file.
#[derive(Default)]
pub(super) struct Remains {
    /// The cases in which nothing is wrong.
    pub(super) whole: Vec<Case>,
    /// Cases without what was wrong in them.
    pub(super) damaged: Vec<Case>,
    /// All that is wrong.
    pub(super) problems: Vec<Problem>,
}

/// What can be read of a file, and all problems.
pub(super) fn all(source: &Arc<Source>) -> Remains {
    let mut remains = Remains::default();
    let (document, errors) = DeTable::parse_recoverable(&source.text);
    if !errors.is_empty() {
        let problems = errors.iter().map(|error| toml_problem(source, error));
        remains.problems = problems.collect();
        return remains;
    }
    let span = document.span();
    let mut table = document.into_inner();
    if let Some(DeValue::Array(array)) = table.get("case").map(Spanned::get_ref) {
        for element in array.iter().cloned() {
            let (case, problems) = read::<Case>(source, element);
            match problems.is_empty() {
                true => remains.whole.extend(case),
                false => remains.damaged.extend(case),
            }
            remains.problems.extend(problems);
        }
        table.remove("case");
    }
    let rest = Spanned::new(span, DeValue::Table(table));
    remains.problems.extend(read::<CaseFile>(source, rest).1);
    remains
}

/// A value of the file without what is wrong in it, if enough is left, and all that is wrong.
fn read<T: DeserializeOwned>(
    source: &Arc<Source>,
    mut value: Spanned<DeValue<'_>>,
) -> (Option<T>, Vec<Problem>) {
    let mut problems: Vec<Problem> = Vec::new();
    let mut taken: Vec<Taken> = Vec::new();
    loop {
        let error = match T::deserialize(ValueDeserializer::from(value.clone())) {
            Ok(read) => return (Some(read), problems),
            Err(error) => error,
        };
        let problem = toml_problem(source, &error);
        let meant = problem.help.as_ref().and_then(|help| help.split('`').nth(1));
        let out = error.span().and_then(|span| take_out(&mut value, &span, meant));
        // What was taken out is missed by nobody but us.
        if !taken.iter().any(|it| it.is_missed_by(&error)) {
            problems.push(problem);
        }
        match out {
            Some(more) if problems.len() < MOST_MISTAKES => taken.push(more),
            _ => return (None, problems),
        }
    }
}

/// A key that was taken out of a table.
struct Taken {
    key: String,
    table: Range<usize>,
}

impl Taken {
    fn is_missed_by(&self, error: &toml::de::Error) -> bool {
        let is_it = error.message() == format!("missing field `{}`", self.key);
        is_it && error.span().as_ref() == Some(&self.table)
    }
}

/// Takes the innermost entry out of a value that a span is about. Where that is a key and its table has none that is called
/// what was meant, the entry goes there.
fn take_out(value: &mut Spanned<DeValue<'_>>, span: &Range<usize>, meant: Option<&str>) -> Option<Taken> {
    let place = value.span();
    let is_about = |it: &Range<usize>| it.start <= span.start && span.end <= it.end;
    match value.get_mut() {
        DeValue::Table(table) => {
            if let Some(taken) = table
                .iter_mut()
                .find_map(|(_, inner)| take_out(inner, span, meant))
            {
                return Some(taken);
            }
            let found = table
                .iter()
                .find(|(key, inner)| key.span() == *span || is_about(&inner.span()));
            let (key, is_key) = found.map(|(key, _)| (key.get_ref().to_string(), key.span() == *span))?;
            let entry = table.remove(key.as_str());
            let meant = meant.filter(|meant| is_key && !table.contains_key(*meant));
            if let (Some(meant), Some(entry)) = (meant, entry) {
                let name = Spanned::new(entry.span(), Cow::Owned(meant.to_owned()));
                table.insert(name, entry);
            }
            Some(Taken { key, table: place })
        }
        DeValue::Array(array) => {
            if let Some(taken) = array.iter_mut().find_map(|inner| take_out(inner, span, meant)) {
                return Some(taken);
            }
            let at = array.iter().position(|inner| is_about(&inner.span()))?;
            let rest = array.clone().into_iter().enumerate();
            *array = rest
                .filter(|(index, _)| *index != at)
                .map(|(_, inner)| inner)
                .collect();
            Some(Taken {
                key: String::new(),
                table: place,
            })
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(text: &str) -> (usize, Vec<(usize, String)>) {
        let source = Arc::new(Source {
            name: "demo.toml".to_owned(),
            text: text.to_owned(),
        });
        let Remains {
            whole,
            damaged,
            mut problems,
        } = all(&source);
        assert!(damaged.len() < 2, "{damaged:?}");
        problems.sort_by_key(|problem| problem.span.start);
        let said = problems
            .iter()
            .map(|it| (source.line_of(it.span.start), it.message.clone()));
        (whole.len(), said.collect())
    }

    #[test]
    fn every_mistake_is_told_once_and_good_cases_are_read() {
        let text = "about = 7\nabuot = 'x'\n\
                    [[case]]\nid = 'demo/a'\ntitel = 'x'\ntitle = 'x'\nchecks = 'AVP-6-04'\nslow = 1\n\
                    [[case.step]]\npul = {}\nanswer = 'chaned'\n\
                    [[case.step]]\npush = { expectd = 1, versoin = 2 }\n\
                    [[case]]\nid = 'demo/b'\ntitle = 'x'\nchecks = []\nstep = []\n\
                    [[case]]\nid = 'demo/c'\nstep = []\n";
        let (good, said) = said(text);
        assert_eq!(good, 1);
        let lines: Vec<usize> = said.iter().map(|(line, _)| *line).collect();
        assert_eq!(lines, [1, 2, 5, 7, 8, 10, 11, 13, 13, 19], "{said:?}");
        for (index, part) in [
            (0, "invalid type: integer"),
            (1, "unknown field `abuot`"),
            (2, "unknown field `titel`"),
            (3, "invalid type: string"),
            (5, "unknown field `pul`"),
            (6, "did you mean \"changed\"?"),
            (7, "unknown field `expectd`"),
            (8, "unknown field `versoin`"),
            (9, "missing field `title`"),
        ] {
            assert!(said[index].1.contains(part), "{part}: {said:?}");
        }
    }

    #[test]
    fn broken_toml_is_told_where_it_breaks() {
        let (good, said) = said("about = 'x\n[[case]]\nid = = 3\n");
        assert_eq!(good, 0);
        let mut lines: Vec<usize> = said.iter().map(|(line, _)| *line).collect();
        lines.dedup();
        assert_eq!(lines, [1, 3], "{said:?}");
    }
}
