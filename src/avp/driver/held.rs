//! A request that is long under way: its head and half of its body are sent, somebody else does something, and then comes
//! the rest. A server that has decided by the head decides by what is over.

use std::time::{Duration, Instant};

use tokio::time::timeout;

use super::read_back::Readers;
use super::{CONNECTING, CaseResult, Driver, ExchangeMeta, came, patience_key};
use crate::avp::cases::Action;
use crate::avp::cases::model::Step;
use crate::avp::outcome::AnswerClass;
use crate::http::{Body, Failure, FailureKind, Role};
use crate::record::Stopped;

/// A target says nothing when it has looked at the head of a request. It has so many times as long as the slowest of its
/// answers in this case took, before something else is done,
const TIMES_AN_ANSWER: u32 = 2;
/// but no less than this,
const LEAST_HEAD_TIME: Duration = Duration::from_millis(8);
/// and no more.
const MOST_HEAD_TIME: Duration = Duration::from_secs(2);

impl Driver<'_> {
    pub(super) async fn held(&mut self, step: &Step, index: usize, action: Action<'_>) -> CaseResult<()> {
        let name = step.actor_names()[0].to_owned();
        let Some(meanwhile) = &step.meanwhile else {
            return Ok(());
        };
        let (Some(other), Some(done)) = (meanwhile.actors.first(), meanwhile.actions().first().copied())
        else {
            return Ok(());
        };
        let Some(mut draft) = self.valid_draft(&name, &step.repo, action) else {
            return Ok(());
        };
        let what = done.operation().map_or("waiting", |operation| operation.name());
        draft.spoil(match done {
            Action::Wait(_) => "half of its body comes when the token has expired".to_owned(),
            _ => format!("half of its body comes after {what} by {other}"),
        });
        let (request, mask) = self.with_token(&draft, &name).await?;
        let half = request.body.as_ref().map_or(0, Body::len) / 2;
        let mut lane = self.target.client.lane();
        let (limit, began) = (self.talk.limit(CONNECTING, 1)?, Instant::now());
        let loading = async { lane.prime(&request).await?.load_head(half).await };
        let mut loaded = match timeout(limit, loading).await {
            Ok(Ok(loaded)) => loaded,
            failed => {
                let failure = failed.ok().and_then(Result::err).unwrap_or_else(|| Failure {
                    kind: FailureKind::Connect,
                    message: "no connection in time".to_owned(),
                    begun: false,
                });
                let came = Err(failure.clone());
                self.talk.heed(CONNECTING, 1, true, &came, began.elapsed())?;
                return Err(self.talk.error(failure.message));
            }
        };
        let answers = self.talk.transcript.exchanges.iter();
        let slowest = answers.map(|exchange| exchange.took_us).max().unwrap_or(0);
        let head_time = head_time(Duration::from_micros(slowest));
        tokio::time::sleep(head_time).await;
        self.talk.excuse(head_time);
        if let Action::Wait(wait) = done {
            self.wait(step, wait).await?;
        } else {
            // A server that does one thing at a time waits for the body first.
            let patience = self.talk.limit(what, 1)? / 2;
            let Ok(granted) = timeout(patience, self.set_up_write(&step.repo, other, done)).await else {
                let reason = "the target does nothing else while it waits for the body of a request";
                return Err(Stopped {
                    held_up: true,
                    ..self.talk.not_applicable(reason)
                });
            };
            granted?;
        }
        self.measure_demand(&name, &step.repo, &draft);
        let key = patience_key(&draft);
        let (limit, at) = (self.talk.limit(key, 1)?, self.talk.now());
        loaded.let_go(limit);
        let sent = loaded.answer().await;
        let (took, status) = (sent.took, sent.outcome.answer().map(|answer| answer.status));
        let role = if status == Some(429) {
            Role::Throttled
        } else {
            Role::Step
        };
        let errand = ExchangeMeta {
            draft: &draft,
            who: &name,
            repo: Some(&step.repo),
            role,
            round: 0,
        };
        let reading = self.note(&errand, request, mask, at, sent);
        if role == Role::Throttled {
            return Err(self.talk.not_applicable("the target's rate limit was reached"));
        }
        if !matches!(reading, AnswerClass::Failed(_)) {
            self.talk.heed(key, 1, true, &came(&reading), took)?;
        }
        self.check_answer(step, index, &reading)?;
        self.apply(&name, &step.repo, &draft, &reading);
        // With a token that is over on purpose nobody can look.
        match self.keep_tokens {
            true => Ok(()),
            false => self.audit(&step.repo, other, Readers::All, 0).await,
        }
    }
}

/// How long a target may need to look at a head that has taken so long for an answer.
fn head_time(slowest_answer: Duration) -> Duration {
    (slowest_answer * TIMES_AN_ANSWER).clamp(LEAST_HEAD_TIME, MOST_HEAD_TIME)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slow_target_has_longer_for_a_head() {
        let after = |millis| head_time(Duration::from_millis(millis));
        assert_eq!(after(0), LEAST_HEAD_TIME);
        assert_eq!(after(300), Duration::from_millis(600));
        assert_eq!(after(9000), MOST_HEAD_TIME);
    }
}
