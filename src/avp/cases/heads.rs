//! What the engine is told of AVP's cases.

use super::model::{FieldMutation, Step};
use super::words::{ExpectedAnswer, TokenForm};
use super::{Action, LoadedCase, LoadedCases};
use crate::avp::outcome::AnswerClass;
use crate::avp::schema::Field;
use crate::avp::{Operation, catalogue, schema};
use crate::case::{CaseHead, Demands, Heads, Rules, StepHead};
use crate::http::Exchange;

impl LoadedCases {
    /// The heads of all cases, in the same order.
    pub fn heads(&self) -> Heads {
        Heads {
            rules: rules(),
            cases: self.cases.iter().map(head).collect(),
            hash: self.hash.clone(),
        }
    }
}

/// What AVP says.
pub fn rules() -> Rules {
    Rules {
        catalogue: catalogue(),
        operations: Operation::infos(),
        answer_word,
    }
}

fn head(case: &LoadedCase) -> CaseHead {
    let step = |index: usize| StepHead {
        line: case.step_line(Some(index)),
        is_race: case.step(index).is_race(),
        decides: case.decides(index),
    };
    CaseHead {
        id: case.id().to_owned(),
        over: case.case.over.unwrap_or_default(),
        http_alone: http_alone(case),
        title: case.case.title.clone(),
        why: case.case.why.clone(),
        since: case.case.since,
        slow: case.case.slow,
        kills: case
            .case
            .kills
            .iter()
            .map(|kill| kill.get_ref().clone())
            .collect(),
        power: case.case.power.clone(),
        requirements: case.requirements().into_iter().map(str::to_owned).collect(),
        steps: (0..case.case.steps.len()).map(step).collect(),
        demands: demands(case),
        source: case.source.clone(),
        line: case.line,
        span: case.span.clone(),
    }
}

/// Why a case cannot be run over gRPC at all, where it cannot: it is about what HTTP alone has.
pub fn http_alone(case: &LoadedCase) -> Option<&'static str> {
    (0..case.case.steps.len()).find_map(|index| {
        let step = case.step(index);
        let with = step.with.as_ref();
        let of_action = match step.action() {
            Action::Request(_) => Some("a request outside the route table"),
            Action::Transport(_) => Some("how HTTP is reached"),
            Action::Discover(_) => Some("the discovery document"),
            _ => None,
        };
        let of_changes = with.and_then(|with| {
            let path =
                with.path.is_some() || with.path_repo.is_some() || with.raw_segments || with.small_escapes;
            [
                (path, "a path"),
                (with.method.is_some(), "a method"),
                (!with.headers.is_empty() || with.capital_headers, "a header field"),
                (with.raw.is_some() || !with.form.is_empty(), "a form of JSON"),
            ]
            .into_iter()
            .find_map(|(is_there, what)| is_there.then_some(what))
        });
        let of_connection = [
            (step.keep_connection, "a connection that is kept"),
            (step.meanwhile.is_some(), "a body that is held back"),
        ];
        let of_connection = of_connection.into_iter().find(|(is_there, _)| *is_there);
        of_action.or(of_changes).or(of_connection.map(|(_, what)| what))
    })
}

fn demands(case: &LoadedCase) -> Demands {
    let steps = || case.case.steps.iter().map(|step| step.get_ref());
    let mut tokens = steps()
        .filter_map(|step| step.with.as_ref())
        .flat_map(|with| with.token.iter());
    Demands {
        alone: case.case.runs_alone(),
        fills_target: steps().any(|step| step.is_race() && step.create.is_some()),
        race_weight: case.case.race_weight(),
        length: steps().map(length).sum(),
        foreign_server: tokens.any(|token| *token == TokenForm::OtherServer),
    }
}

/// About how many ordinary requests a step is worth.
fn length(step: &Step) -> usize {
    let rivals = step.against.as_ref().map_or(0, |rival| rival.actors.len());
    let actors = step.actor_names().len() + rivals;
    let variants = step.with.as_ref().map_or(1, |with| {
        let fields = || fields(step).filter(|field| with.concerns(&field.pointer)).count();
        let fields = with.each_field.iter().map(|spoil| match spoil {
            FieldMutation::Mistyped => 4 * fields(),
            _ => fields(),
        });
        fields.sum::<usize>() + with.form.len() + with.token.len() + with.member.len() + with.call.len()
    });
    let forms = step.redeem.as_ref().map_or(1, |redeem| redeem.sign.len().max(1));
    // A large payload travels, and is held in memory, several times.
    let large = match step.action() {
        Action::Push(push) => push.ciphertext,
        Action::Create(create) => create.ciphertext,
        _ => None,
    };
    (actors + 1) * step.count_rounds() * variants.max(1) * forms + large.unwrap_or(0) / 4096
}

/// The fields of a step's request.
fn fields(step: &Step) -> impl Iterator<Item = Field> {
    let message = step.action().operation().and_then(Operation::request_message);
    message.map(schema::fields).into_iter().flatten()
}

/// What an answer says, in the words of case files.
fn answer_word(exchange: &Exchange) -> Option<&'static str> {
    let class = AnswerClass::of(Operation::of(exchange), &exchange.outcome);
    let words = [
        (ExpectedAnswer::Unchanged, "unchanged"),
        (ExpectedAnswer::Changed, "changed"),
        (ExpectedAnswer::Granted, "granted"),
        (ExpectedAnswer::Conflict, "conflict"),
    ];
    let said = words.iter().find(|(word, _)| class.is(*word));
    said.map(|(_, word)| *word)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::case::Source;

    fn demo(steps: &[&str]) -> Heads {
        let cases = steps.iter().enumerate().map(|(index, step)| {
            format!(
                "[[case]]\nid = 'demo/{index}'\ntitle = 'x'\nchecks = ['AVP-6-04']\n\
                 repo = {{ members = ['bob', 'carol'] }}\n[[case.step]]\n{step}\n"
            )
        });
        let text = format!("about = 'x'\n{}", cases.collect::<Vec<_>>().join("\n"));
        let name = "demo.toml".to_owned();
        LoadedCases::load(vec![Source { name, text }], &[])
            .unwrap()
            .heads()
    }

    #[test]
    fn races_and_held_requests_run_alone_and_races_are_worth_their_requests() {
        let heads = demo(&[
            "as = ['bob', 'carol']\nrounds = 10\npush = {}",
            "pull = {}\nanswer = 'unchanged'",
            "as = ['bob', 'carol', 'bob']\nrounds = 20\npush = {}",
            "push = {}\nanswer = 'refused'\nmeanwhile = { as = 'bob', push = {} }",
        ]);
        let demands: Vec<(bool, u32)> = heads
            .cases
            .iter()
            .map(|case| (case.demands.alone, case.demands.race_weight))
            .collect();
        assert_eq!(demands, [(true, 20), (false, 0), (true, 60), (true, 0)]);
    }

    #[test]
    fn sweeps_and_races_are_long() {
        let heads = demo(&[
            "pull = {}\nanswer = 'unchanged'",
            "as = ['bob', 'carol']\nrounds = 10\npush = {}",
            "push = {}\nanswer = 'granted'\n[[case.step]]\npush = {}\nwith = { each-field = 'mistyped' }\nanswer = 'refused'",
        ]);
        let lengths: Vec<usize> = heads.cases.iter().map(|case| case.demands.length).collect();
        assert!(lengths.is_sorted(), "{lengths:?}");
    }
}
