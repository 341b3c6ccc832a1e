//! What is got wrong about refusals, and about limits.

use serde_json::{Value, json};

use crate::avp::Operation;
use crate::avp::server::answer::{Answer, Body, Manner, Refusal, Script, Then};
use crate::avp::server::decision::{Asked, Decision, Rule, stop_if};
use crate::avp::server::deviation::{AnswerContext, faults};
use crate::avp::server::limits::MOST_MEMBERS;
use crate::avp::server::message_access;
use crate::avp::server::route::decode;

/// How many repositories a member has where a server has that limit.
const MOST_REPOS: usize = 3;

faults! { "errors";
    Answer(text) "errors-as-text", Must "AVP-6-18",
        "Errors are plain text.",
        "Clients cannot tell people what is wrong.",
        "Answer an error object.";
    Answer(page) "unknown-as-page", Must "AVP-6-18",
        "A 404 is an HTML page.",
        "Clients cannot tell people what is wrong.",
        "Answer an error object from the fallback route too.";
    Answer(empty) "errors-empty", Must "AVP-6-18",
        "Errors have no body.",
        "Clients cannot tell people what is wrong.",
        "Answer an error object.";
    Answer(unauthorized_empty) "unauthorized-empty", Must "AVP-6-18",
        "A 401 has no body, since the token check stands before the error handler.",
        "Clients cannot tell people what is wrong.",
        "Answer an error object from the middleware too.";
    Answer(quoted) "errors-as-json-string", Must "AVP-6-18",
        "An error is a JSON string.",
        "Clients cannot read what is wrong.",
        "Answer an object with an error field.";
    Answer(nested) "errors-nested", Must "AVP-6-18",
        "The error field holds an object with a message.",
        "Clients show people a data structure.",
        "Put the sentence itself into error.";
    Answer(message) "errors-in-message", Must "AVP-6-18",
        "What went wrong is in a field called message.",
        "Clients show people nothing.",
        "Name the field error.";
    Answer(problem) "errors-as-problem", Must "AVP-6-18" and "AVP-2-05",
        "Errors are problem documents (RFC 9457).",
        "Clients show people nothing.",
        "Add an error field; further ones are allowed.";
    Answer(null) "errors-null", Must "AVP-6-18",
        "The error field is null.",
        "Clients show people nothing.",
        "Put a sentence into error.";
    Answer(granted) "errors-answer-200", Must "AVP-6-18",
        "Every refusal is answered with 200, and says in its body that it is one.",
        "Clients believe that it worked.",
        "Answer the status of the table.";
    Answer(code_mixed) "code-of-another-status", Must "AVP-6-19",
        "A 403 carries the code unauthorized.",
        "Clients log in again and again.",
        "Take the code from the table.";
    Answer(code_upper) "code-in-capitals", Must "AVP-6-19",
        "Codes are in capitals.",
        "Clients recognise none of them.",
        "Write codes as the table does.";
    Answer(code_unknown) "code-unknown", Must "AVP-6-19",
        "A 404 carries the code repo_not_found.",
        "Clients do not recognise it.",
        "Take the code from the table, and put more into detail.";
    Answer(code_number) "code-a-number", Must "AVP-6-19",
        "The code is the status as a number.",
        "Clients cannot read the error.",
        "Take the code from the table, or leave it out.";
    Answer(code_conflict) "duplicate-code-conflict", Must "AVP-6-19",
        "A 409 carries the code conflict.",
        "Clients take it for a stale push.",
        "The code is duplicate_repo.";
    Answer(code_null) "code-null", Must "AVP-6-19",
        "Errors carry a code that is null.",
        "Clients that look the code up find nothing.",
        "Leave the field out where there is no code.";
    Answer(detail_null) "detail-null", Must "AVP-6-18",
        "Errors carry a detail that is null.",
        "Clients that show the detail show nothing, or fail.",
        "Leave the field out where there is no detail.";
    Answer(escape_text) "bad-escape-answers-text", Must "AVP-6-18",
        "A path with a broken percent escape is answered in plain text, before any handler of the server's is asked.",
        "Clients cannot tell people what is wrong.",
        "Answer an error object from the framework's own error handler too.";
    Answer(escape_500) "bad-escape-answers-500", Must "AVP-6-16",
        "A path with a broken percent escape ends in a 500.",
        "Clients retry what can never work.",
        "Catch what the decoder throws, and answer 400.";
    Answer(detail_object) "detail-an-object", Must "AVP-6-18",
        "The detail of an error is a list of objects.",
        "Clients cannot read the error.",
        "Put a sentence into detail; further fields are allowed beside it.";
    Answer(repo_403) "unknown-repository-403", Must "AVP-6-16",
        "An unknown repository is answered with 403.",
        "Clients believe that they were removed.",
        "Look the repository up before you look at its roster.";
    Answer(repo_400) "unknown-repository-400", Must "AVP-6-16",
        "An unknown repository is answered with 400.",
        "Clients report a mistake of theirs.",
        "Answer 404.";
    Answer(repo_500) "unknown-repository-500", Must "AVP-6-16",
        "An unknown repository ends in a 500.",
        "Clients retry for ever.",
        "Answer 404 where the lookup finds nothing.";
    Answer(repo_empty) "unknown-repository-200", Must "AVP-6-16" and "AVP-2-02",
        "A pull from an unknown repository is answered with 200 and nulls.",
        "Clients take a repository that is gone for an empty one.",
        "Answer 404 where the lookup finds nothing.";
    Named(RATE_SILENT) "rate-limit-without-retry-after", Should "AVP-7-02",
        "Every 50th request is refused with 429, and nothing says when to try again.",
        "Clients try again at once, or never.",
        "Send Retry-After.";
    Rule(members_409) "member-limit-409", Must "AVP-7-01",
        "A third member is refused with 409.",
        "Clients take a full repository for a conflict.",
        "Answer 403, 413 or 429.";
    Rule(members_500) "member-limit-500", Must "AVP-7-01",
        "A third member ends in a 500.",
        "Clients retry for ever.",
        "Answer 403, 413 or 429.";
    Rule(repos_500) "repository-limit-500", Must "AVP-7-01",
        "The fourth repository of a member ends in a 500.",
        "Clients retry for ever.",
        "Answer 403, 413 or 429.";
    Named(SIZE_500) "size-limit-500", Must "AVP-7-01",
        "A body of more than 32 KiB ends in a 500.",
        "Clients retry for ever; a parser's default limit is the usual cause.",
        "Answer 413.";
    Named(SIZE_400) "size-limit-400", Must "AVP-7-01",
        "A body of more than 32 KiB is refused with 400.",
        "Clients report a mistake of theirs.",
        "Answer 413.";
    Named(SIZE_RESET) and Answer(size_reset) "size-limit-closes", Must "AVP-7-01",
        "A body of more than 32 KiB ends the connection without an answer.",
        "Clients see a network error, and retry for ever.",
        "Answer 413, and drain or close after that.";
}

fn text(_: &AnswerContext<'_>, answer: &mut Answer) -> bool {
    let Some(Value::String(sentence)) =
        message_access::error(answer).and_then(|error| error.get("error").cloned())
    else {
        return false;
    };
    answer.body = Body::Text {
        content_type: "text/plain".to_owned(),
        bytes: sentence.into_bytes(),
    };
    true
}

fn page(_: &AnswerContext<'_>, answer: &mut Answer) -> bool {
    let here = answer.status == 404;
    if here {
        *answer = Answer::page(404, "<h1>404 Not Found</h1><hr>nginx");
    }
    here
}

fn empty(_: &AnswerContext<'_>, answer: &mut Answer) -> bool {
    let here = answer.status >= 400;
    if here {
        *answer = Answer::empty(answer.status);
    }
    here
}

fn unauthorized_empty(_: &AnswerContext<'_>, answer: &mut Answer) -> bool {
    let here = answer.status == 401;
    if here {
        *answer = Answer::empty(401);
    }
    here
}

fn quoted(_: &AnswerContext<'_>, answer: &mut Answer) -> bool {
    let sentence = message_access::error(answer).and_then(|error| error.get("error").cloned());
    sentence.is_some_and(|sentence| {
        answer.body = Body::Json(sentence);
        true
    })
}

fn nested(_: &AnswerContext<'_>, answer: &mut Answer) -> bool {
    message_access::error(answer).is_some_and(|error| {
        let message = error.get("error").cloned();
        error
            .insert("error".to_owned(), json!({ "message": message }))
            .is_some()
    })
}

fn message(_: &AnswerContext<'_>, answer: &mut Answer) -> bool {
    message_access::error(answer).is_some_and(|error| {
        let message = error.shift_remove("error").unwrap_or_default();
        error.insert("message".to_owned(), message).is_none()
    })
}

fn problem(_: &AnswerContext<'_>, answer: &mut Answer) -> bool {
    let title = message_access::error(answer).and_then(|error| error.get("error").cloned());
    title.is_some_and(|title| {
        let problem = json!({ "type": "about:blank", "title": title, "status": answer.status });
        let bytes = problem.to_string().into_bytes();
        answer.body = Body::Text {
            content_type: "application/problem+json".to_owned(),
            bytes,
        };
        true
    })
}

fn null(_: &AnswerContext<'_>, answer: &mut Answer) -> bool {
    message_access::error(answer).is_some_and(|error| error.insert("error".to_owned(), Value::Null).is_some())
}

fn granted(_: &AnswerContext<'_>, answer: &mut Answer) -> bool {
    let here = answer.status >= 400;
    if here {
        answer.status = 200;
    }
    here
}

fn code_mixed(_: &AnswerContext<'_>, answer: &mut Answer) -> bool {
    answer.status == 403 && code(answer, |_| json!("unauthorized"))
}

fn code_upper(_: &AnswerContext<'_>, answer: &mut Answer) -> bool {
    code(answer, |code| json!(code.to_uppercase()))
}

fn code_unknown(_: &AnswerContext<'_>, answer: &mut Answer) -> bool {
    answer.status == 404 && code(answer, |_| json!("repo_not_found"))
}

fn code_number(_: &AnswerContext<'_>, answer: &mut Answer) -> bool {
    let status = answer.status;
    code(answer, |_| json!(status))
}

fn code_conflict(_: &AnswerContext<'_>, answer: &mut Answer) -> bool {
    answer.status == 409 && code(answer, |_| json!("conflict"))
}

fn code(answer: &mut Answer, change: impl Fn(&str) -> Value) -> bool {
    let code = message_access::error(answer).and_then(|error| error.get_mut("code"));
    code.is_some_and(|code| {
        *code = change(code.as_str().unwrap_or_default());
        true
    })
}

fn code_null(_: &AnswerContext<'_>, answer: &mut Answer) -> bool {
    message_access::error(answer).is_some_and(|error| {
        error.insert("code".to_owned(), Value::Null);
        true
    })
}

fn detail_null(_: &AnswerContext<'_>, answer: &mut Answer) -> bool {
    message_access::error(answer).is_some_and(|error| {
        error.insert("detail".to_owned(), Value::Null);
        true
    })
}

fn escape_text(scene: &AnswerContext<'_>, answer: &mut Answer) -> bool {
    let here = decode(&scene.request.path).is_none();
    if here {
        answer.status = 400;
        answer.body = Body::Text {
            content_type: "text/plain".to_owned(),
            bytes: b"Bad Request".to_vec(),
        };
    }
    here
}

fn escape_500(scene: &AnswerContext<'_>, answer: &mut Answer) -> bool {
    let here = decode(&scene.request.path).is_none();
    if here {
        *answer = Answer::new(500, json!({ "error": "URI malformed" }));
    }
    here
}

fn detail_object(_: &AnswerContext<'_>, answer: &mut Answer) -> bool {
    message_access::error(answer).is_some_and(|error| {
        error.insert(
            "detail".to_owned(),
            json!([{ "loc": ["body"], "msg": "invalid" }]),
        );
        true
    })
}

fn repo_403(scene: &AnswerContext<'_>, answer: &mut Answer) -> bool {
    unknown(
        scene,
        answer,
        Answer::new(403, json!({ "error": "not a member", "code": "forbidden" })),
    )
}

fn repo_400(scene: &AnswerContext<'_>, answer: &mut Answer) -> bool {
    unknown(
        scene,
        answer,
        Answer::new(400, json!({ "error": "invalid id", "code": "bad_request" })),
    )
}

fn repo_500(scene: &AnswerContext<'_>, answer: &mut Answer) -> bool {
    unknown(
        scene,
        answer,
        Answer::new(500, json!({ "error": "sql: no rows in result set" })),
    )
}

fn repo_empty(scene: &AnswerContext<'_>, answer: &mut Answer) -> bool {
    let pulled = json!({ "manifest": null, "envelope": null, "unchanged": false });
    scene.on(Operation::Pull) && unknown(scene, answer, Answer::ok(pulled))
}

fn unknown(scene: &AnswerContext<'_>, answer: &mut Answer, instead: Answer) -> bool {
    let missing = message_access::error(answer).is_some_and(|error| {
        error
            .get("error")
            .and_then(Value::as_str)
            .is_some_and(|text| text.ends_with("no such repository"))
    });
    let here = scene.place.is_some() && answer.status == 404 && missing;
    if here {
        *answer = instead;
    }
    here
}

fn size_reset(_: &AnswerContext<'_>, answer: &mut Answer) -> bool {
    let here = answer.status == 413;
    if here {
        answer.manner = Manner::ByHand(Script {
            steps: Vec::new(),
            then: Then::Close,
        });
    }
    here
}

fn members_409(_: &Asked<'_>, rule: Rule<'_>, decision: &mut Decision) -> bool {
    members(rule, decision, 409)
}

fn members_500(_: &Asked<'_>, rule: Rule<'_>, decision: &mut Decision) -> bool {
    members(rule, decision, 500)
}

fn members(rule: Rule<'_>, decision: &mut Decision, status: u16) -> bool {
    let full = Refusal::failure(status, "a repository holds two members here");
    stop_if(
        decision,
        matches!(rule, Rule::Room(count) if count > MOST_MEMBERS),
        full,
    )
}

fn repos_500(asked: &Asked<'_>, rule: Rule<'_>, decision: &mut Decision) -> bool {
    let Rule::AnotherRepo(vault) = rule else {
        return false;
    };
    let repos = vault.repos.values();
    let own = repos.filter(|repo| repo.entry(&asked.call.caller).is_some());
    let full = Refusal::failure(500, "a member has three repositories here");
    stop_if(decision, own.count() >= MOST_REPOS, full)
}
