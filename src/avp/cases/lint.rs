//! Finds what is wrong with cases that can be read: ids, requirements, steps that cannot work, checks that cannot fail.

use std::collections::BTreeMap;
use std::ops::Range;

use toml::Spanned;

use super::action::Action;
use super::load::LoadedCase;
use super::model::Step;
use super::words::ExpectedAnswer;
use crate::avp::{Operation, catalogue, schema};
use crate::case::{Problem, nearest};
use crate::catalogue::Subject;
use crate::text::STDIN;

/// Every problem of every case. Of those that could be read only in part, what they name is looked at: all else may be for
/// want of what is missing.
pub(super) fn lint(cases: &[LoadedCase], damaged: &[LoadedCase], faults: &[&str]) -> Vec<Problem> {
    let mut problems = Vec::new();
    let mut seen: BTreeMap<&str, &LoadedCase> = BTreeMap::new();
    let whole = cases.iter().map(|case| (case, true));
    for (case, is_whole) in whole.chain(damaged.iter().map(|case| (case, false))) {
        let mut lint = Lint {
            case,
            faults,
            problems: &mut problems,
        };
        if let Some(first) = seen.insert(case.id(), case) {
            let help = format!("the first one stands in {}:{}", first.source.name, first.line);
            lint.problem(
                case.span.clone(),
                format!("the case id `{}` is taken", case.id()),
                Some(help),
            );
        }
        lint.names();
        if is_whole {
            lint.case();
        }
    }
    problems
}

struct Lint<'a> {
    case: &'a LoadedCase,
    faults: &'a [&'a str],
    problems: &'a mut Vec<Problem>,
}

impl Lint<'_> {
    /// The ids and names that must be those of something.
    fn names(&mut self) {
        self.id();
        let case = &self.case.case;
        let steps = case.steps.iter().map(Spanned::get_ref);
        let steps = steps.flat_map(|step| step.checks.iter().flatten().chain(&step.shows));
        for id in case.checks.iter().chain(steps) {
            self.requirement(id);
        }
        for fault in &case.kills {
            self.fault(fault);
        }
    }

    fn case(&mut self) {
        let case = &self.case.case;
        if case.checks.is_empty() {
            let message = "the case verifies no requirement".to_owned();
            self.problem(
                self.case.span.clone(),
                message,
                Some("name them: checks = [\"AVP-6-07\"]".to_owned()),
            );
        }
        self.deciding();
        if case.steps.is_empty() {
            self.problem(self.case.span.clone(), "the case has no step".to_owned(), None);
        }
        for index in 0..case.steps.len() {
            self.step(index);
        }
        self.actors();
        self.witnesses();
    }

    /// A name that stands in one place alone, and is nearly another one's, is a typing error: anybody may act, so that nothing
    /// else would tell.
    fn actors(&mut self) {
        let case = &self.case.case;
        let repos = [&case.repo, &case.other];
        let members = repos.into_iter().flatten().flat_map(|repo| {
            repo.members
                .iter()
                .chain([&repo.by])
                .chain(repo.with.members.iter().flatten())
        });
        let mut all: Vec<&str> = members.map(String::as_str).collect();
        let steps = || case.steps.iter().map(|step| (step, step.get_ref().mentions()));
        all.extend(steps().flat_map(|(_, names)| names));
        for (step, names) in steps() {
            for name in names {
                let is_alone = all.iter().filter(|other| **other == name).count() == 1;
                let near = all.iter().find(|other| is_slip(name, other));
                if let (true, Some(near)) = (is_alone, near) {
                    self.problem(
                        header(step.span()),
                        format!("nobody else in the case is called `{name}`"),
                        Some(format!("did you mean `{near}`?")),
                    );
                }
            }
        }
    }

    /// What no step decides stands under `checks` for nothing.
    fn deciding(&mut self) {
        let case = &self.case.case;
        let is_carried = (0..case.steps.len()).any(|index| self.case.decides(index));
        let own = || {
            case.steps
                .iter()
                .filter_map(|step| step.get_ref().checks.as_ref())
        };
        for id in &case.checks {
            let elsewhere = own().flatten().any(|other| other.get_ref() == id.get_ref());
            if !is_carried && !elsewhere {
                let message = format!("no step decides `{}`", id.get_ref());
                let help = "leave `checks` out at the step that does, or say decides = true there".to_owned();
                self.problem(id.span(), message, Some(help));
            }
        }
        for step in &case.steps {
            let (span, step) = (header(step.span()), step.get_ref());
            if step.decides && step.checks.is_some() {
                let message = "a step that decides has the case's `checks`, and none of its own".to_owned();
                self.problem(span, message, Some("leave out one of the two".to_owned()));
            }
        }
    }

    fn id(&mut self) {
        let id = self.case.id();
        // A file that has no name yet may be about anything.
        let topic = match self.case.source.name == STDIN {
            true => id.split_once('/').map_or("topic", |(head, _)| head),
            false => self.case.source.topic(),
        };
        let plain = |text: &str| {
            !text.is_empty()
                && text
                    .chars()
                    .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
        };
        match id.split_once('/') {
            Some((head, tail)) if head == topic && plain(head) && plain(tail) => {}
            _ => {
                let message = format!("`{id}` is no id of this file");
                let help = format!("an id is `{topic}/` and lower-case letters, digits and hyphens");
                self.problem(self.case.span.clone(), message, Some(help));
            }
        }
    }

    fn requirement(&mut self, id: &Spanned<String>) {
        let name = id.get_ref().as_str();
        let (message, help) = match catalogue().get(name) {
            Some(requirement) if requirement.subject == Subject::Server => return,
            Some(_) => (format!("`{name}` speaks of clients, not of servers"), None),
            None => {
                let known = catalogue().iter().map(|requirement| requirement.id.as_str());
                let near = nearest(name, known).map(|near| format!("did you mean `{near}`?"));
                (format!("there is no requirement `{name}`"), near)
            }
        };
        self.problem(id.span(), message, help);
    }

    fn fault(&mut self, fault: &Spanned<String>) {
        let name = fault.get_ref().as_str();
        if !self.faults.contains(&name) {
            let near =
                nearest(name, self.faults.iter().copied()).map(|near| format!("did you mean `{near}`?"));
            self.problem(
                fault.span(),
                format!("the reference server has no fault `{name}`"),
                near,
            );
        }
    }

    fn step(&mut self, index: usize) {
        let spanned = &self.case.case.steps[index];
        let (step, span) = (spanned.get_ref(), header(spanned.span()));
        let actions = step.actions();
        if actions.len() != 1 {
            let message = format!("a step does one thing; this one does {}", actions.len());
            let help = "give one of create, pull, push, add-member, remove-member, fetch-member, challenge, redeem, \
                        discover, request, wait, transport";
            self.problem(span, message, Some(help.to_owned()));
            return;
        }
        let silent = matches!(actions[0], Action::Wait(_) | Action::Transport(_));
        if step.answer.is_none() && !silent && !step.is_race() {
            let help = "say what a conformant server answers: answer = \"granted\"".to_owned();
            self.problem(
                span.clone(),
                "nothing is expected of this step".to_owned(),
                Some(help),
            );
        }
        if step.rounds.is_some() && !step.is_race() {
            let help = "name several actors under `as`, or an operation under `against`".to_owned();
            self.problem(span.clone(), "`rounds` is for races".to_owned(), Some(help));
        }
        for other in [&step.against, &step.meanwhile].into_iter().flatten() {
            if other.actions().len() != 1 || other.actors.is_empty() {
                let message =
                    "say exactly one thing that others do at the same time, and who does it under `as`"
                        .to_owned();
                let help = "against = { as = \"bob\", push = {} }".to_owned();
                self.problem(span.clone(), message, Some(help));
            }
        }
        if step.against.as_ref().is_some_and(|rival| rival.wait.is_some()) {
            let message = "a race has no `wait`: it is for `meanwhile`".to_owned();
            self.problem(span.clone(), message, None);
        }
        if step.meanwhile.is_some() && (step.is_race() || step.with.is_some() || !holds_a_body(actions[0])) {
            let message = "`meanwhile` goes with exactly one request, which is valid and has a body";
            self.problem(span.clone(), message.to_owned(), None);
        }
        self.words(step, actions[0]);
        self.repository(index, span.clone());
        self.pointers(step, actions[0], span);
    }

    fn words(&mut self, step: &Step, action: Action<'_>) {
        let Some(answer) = &step.answer else { return };
        let operation = action.operation();
        for word in answer.get_ref().iter() {
            let only = match word {
                ExpectedAnswer::Conflict if operation != Some(Operation::Push) => "a push",
                ExpectedAnswer::Unchanged | ExpectedAnswer::Changed if operation != Some(Operation::Pull) => {
                    "a pull"
                }
                _ => continue,
            };
            self.problem(answer.span(), format!("only {only} is answered like that"), None);
        }
        if answer.get_ref().is_empty() {
            self.problem(
                answer.span(),
                "no answer is acceptable to this step".to_owned(),
                None,
            );
        }
    }

    /// A step concerns a repository that exists, or one that nobody is to know.
    fn repository(&mut self, index: usize, span: Range<usize>) {
        let case = &self.case.case;
        let step = self.case.step(index);
        let name = step.repo.as_str();
        let earlier = case.steps[..=index].iter().map(Spanned::get_ref);
        let creates = |step: &Step| {
            let meanwhile = step
                .meanwhile
                .as_ref()
                .is_some_and(|other| other.create.is_some());
            step.create.is_some() || meanwhile
        };
        let made = earlier.filter(|step| creates(step)).any(|step| step.repo == name)
            || (name == "repo" && case.repo.is_some())
            || (name == "other" && case.other.is_some())
            || name == "nowhere";
        let needs = step.action().operation().is_some_and(Operation::needs_token);
        if needs && !made {
            let help = "make it under `repo` or `other`, create it in an earlier step, or name `nowhere`, which nobody has"
                .to_owned();
            self.problem(
                span,
                format!("the case has no repository `{name}` at this step"),
                Some(help),
            );
        }
    }

    /// Pointers that change nothing would make a check that cannot fail.
    fn pointers(&mut self, step: &Step, action: Action<'_>, span: Range<usize>) {
        let Some(with) = &step.with else { return };
        if !with.member.is_empty() && !matches!(action, Action::FetchMember(_)) {
            let message = "`member` changes the path of `fetch-member`, and of nothing else".to_owned();
            self.problem(span.clone(), message, None);
        }
        let Some(message) = action.operation().and_then(Operation::request_message) else {
            return;
        };
        let fields = schema::fields(message);
        let known = |pointer: &str| fields.iter().any(|field| field.pointer == generic(pointer));
        let parent = |pointer: &str| match pointer.rsplit_once('/') {
            Some((parent, _)) => parent.is_empty() || known(parent) || parent.ends_with(char::is_numeric),
            None => false,
        };
        let exact = with.null.iter().chain(&with.remove);
        let holds_fields = |object: &str| {
            let of = |field: &schema::Field| field.pointer.rsplit_once('/').map(|(object, _)| object.len());
            fields
                .iter()
                .any(|field| of(field) == Some(object.len()) && field.pointer.starts_with(object))
        };
        let wrong: Vec<&String> = exact
            .filter(|pointer| !known(pointer))
            .chain(with.set.keys().filter(|pointer| !parent(pointer)))
            .chain(with.objects.iter().filter(|object| !holds_fields(object)))
            .collect();
        for pointer in wrong {
            let near = nearest(pointer, fields.iter().map(|field| field.pointer.as_str()));
            let help = near.map(|near| format!("did you mean `{near}`?"));
            self.problem(
                span.clone(),
                format!("a {message} has nothing at `{pointer}`"),
                help,
            );
        }
    }

    /// A refusal verifies nothing where the same operation is granted nowhere in the case.
    fn witnesses(&mut self) {
        let case = &self.case.case;
        let granted = self.granted();
        for spanned in &case.steps {
            let step = spanned.get_ref();
            let Some(answer) = &step.answer else { continue };
            let Some(operation) = step.action().operation() else {
                continue;
            };
            if answer.get_ref().iter().all(|word| word.is_refusal()) && !granted.contains(&operation) {
                let message = format!(
                    "the case shows no {operation} that is granted, so this refusal verifies nothing"
                );
                let help = "add a step in which the same request, rightly made, is granted".to_owned();
                self.problem(answer.span(), message, Some(help));
            }
        }
    }

    /// The operations that set-up or a step shows granted.
    fn granted(&self) -> Vec<Operation> {
        let case = &self.case.case;
        let mut granted = vec![Operation::Challenge, Operation::Token];
        for repo in [&case.repo, &case.other].into_iter().flatten() {
            granted.push(Operation::CreateRepo);
            if !repo.members.is_empty() {
                granted.push(Operation::AddMember);
            }
        }
        for step in case.steps.iter().map(Spanned::get_ref) {
            let first = step
                .answer
                .as_ref()
                .and_then(|answer| answer.get_ref().first().copied());
            let grants = step.is_race()
                || first.is_some_and(|word| !word.is_refusal() && word != ExpectedAnswer::Conflict);
            if let (true, Some(operation)) = (grants, step.action().operation()) {
                granted.push(operation);
            }
            let meanwhile = step.meanwhile.iter().flat_map(|other| other.actions());
            granted.extend(meanwhile.filter_map(Action::operation));
        }
        granted
    }

    fn problem(&mut self, span: Range<usize>, message: String, help: Option<String>) {
        self.problems.push(Problem {
            source: self.case.source.clone(),
            span,
            message,
            help,
        });
    }
}

/// Whether two names differ by one slip of the finger. Names that are numbered differ on purpose.
fn is_slip(name: &str, other: &str) -> bool {
    let bare = |name: &'_ str| name.trim_end_matches(|it: char| it.is_ascii_digit()).len();
    let numbered = name[..bare(name)] == other[..bare(other)];
    name.len() >= 3 && !numbered && strsim::damerau_levenshtein(name, other) == 1
}

/// Whether a request has a body of which half can be held back.
fn holds_a_body(action: Action<'_>) -> bool {
    let operation = action.operation();
    operation.is_some_and(|operation| operation.needs_token() && operation.request_message().is_some())
}

/// A pointer with array indices as the schema's fields have them.
fn generic(pointer: &str) -> String {
    let part = |part: &str| {
        if part.parse::<usize>().is_ok() {
            "0".to_owned()
        } else {
            part.to_owned()
        }
    };
    pointer.split('/').map(part).collect::<Vec<String>>().join("/")
}

/// The first line of a step's table, so that not the whole step is underlined.
fn header(span: Range<usize>) -> Range<usize> {
    span.start..span.end.min(span.start + "[[case.step]]".len())
}

#[cfg(test)]
mod tests {
    use super::super::load::LoadedCases;
    use crate::case::{Source, render};

    fn problems(case: &str) -> String {
        let text = format!("about = 'x'\n{case}");
        match LoadedCases::load(
            vec![Source {
                name: "cases/demo.toml".to_owned(),
                text,
            }],
            &["some-fault"],
        ) {
            Ok(_) => String::new(),
            Err(problems) => problems.iter().map(|problem| render(problem, false)).collect(),
        }
    }

    const GOOD: &str = "[[case]]\nid = 'demo/a'\ntitle = 'x'\nchecks = ['AVP-6-04']\nkills = ['some-fault']\nrepo = {}\n\
                        [[case.step]]\npull = {}\nanswer = 'granted'\n";

    #[test]
    fn a_good_case_has_no_problem() {
        assert_eq!(problems(GOOD), "");
    }

    #[test]
    fn every_problem_is_shown_with_its_place_and_a_suggestion() {
        let shown = |from: &str, to: &str| problems(&GOOD.replace(from, to));
        insta::assert_snapshot!("unknown_requirement", shown("AVP-6-04", "AVP-6-40"));
        insta::assert_snapshot!("unknown_field", shown("title", "titel"));
        insta::assert_snapshot!("unknown_word", shown("'granted'", "'grantd'"));
        insta::assert_snapshot!("unknown_fault", shown("some-fault", "some-fautl"));
        insta::assert_snapshot!("wrong_topic", shown("demo/a", "other/a"));
        insta::assert_snapshot!("two_operations", shown("pull = {}", "pull = {}\npush = {}"));
        insta::assert_snapshot!("unwitnessed_refusal", shown("'granted'", "403"));
        insta::assert_snapshot!(
            "unknown_pointer",
            shown("pull = {}", "pull = {}\nwith = { null = ['/repoID'] }")
        );
        insta::assert_snapshot!(
            "unknown_repository",
            shown("pull = {}", "pull = {}\nin = 'elsewhere'")
        );
        insta::assert_snapshot!("duplicate_id", problems(&format!("{GOOD}{GOOD}")));
        insta::assert_snapshot!("client_requirement", shown("AVP-6-04", "AVP-3-20"));
        insta::assert_snapshot!(
            "nobody_decides",
            shown("pull = {}", "pull = {}\nchecks = ['AVP-6-06']")
        );
        insta::assert_snapshot!("no_answer", shown("answer = 'granted'", ""));
        for (step, message) in [
            (
                "push = {}\nmeanwhile = { as = 'bob', push = {}, pull = {} }",
                "exactly one thing",
            ),
            (
                "push = {}\nmeanwhile = { as = [], push = {} }",
                "exactly one thing",
            ),
            (
                "as = ['a', 'b']\npush = {}\nmeanwhile = { as = 'bob', pull = {} }",
                "exactly one request",
            ),
            (
                "fetch-member = { member = 'bob' }\nmeanwhile = { as = 'bob', push = {} }",
                "exactly one request",
            ),
            (
                "push = {}\nagainst = { as = 'bob', wait = 'token-expiry' }",
                "a race has no `wait`",
            ),
        ] {
            let step = format!("[[case.step]]\nanswer = 'granted'\n{step}\n");
            let shown = problems(&format!("{GOOD}{step}"));
            assert!(shown.contains(message), "{step}{shown}");
        }
    }
}
