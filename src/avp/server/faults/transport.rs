//! What is got wrong on the way out.

use std::time::Duration;

use crate::avp::Operation;
use crate::avp::server::answer::{Answer, Body, Manner, Script, Step, Then};
use crate::avp::server::deviation::{AnswerContext, faults};
use crate::avp::server::response;

faults! { "transport";
    Answer(hang_pull) "pull-hangs", Must "AVP-6-06",
        "A pull is never answered.",
        "Clients wait until they give up.",
        "Release the lock that the handler waits for.";
    Answer(hang_push) "push-hangs", Must "AVP-6-09",
        "A push is never answered.",
        "Clients wait until they give up, and do not know whether they saved.",
        "Release the lock that the handler waits for.";
    Answer(hang_fetch) "fetch-hangs", Must "AVP-6-14",
        "fetchMemberKey is never answered.",
        "Clients wait until they give up.",
        "Answer on every path through the handler.";
    Answer(hang_refusals) "forbidden-hangs", Must "AVP-6-15" and "AVP-6-01",
        "A caller who is no member is never answered.",
        "Clients wait until they give up.",
        "End the response where the middleware refuses; a missing return is the usual cause.";
    Answer(trickle) "pull-trickles", Must "AVP-6-06",
        "The answer to a pull comes at one byte in a fifth of a second.",
        "Clients wait until they give up.",
        "Buffer the answer.";
    Answer(drop_fetch) "fetch-closes", Must "AVP-6-14",
        "fetchMemberKey closes the connection without an answer.",
        "Clients see a network error.",
        "Catch what the handler throws.";
    Answer(drop_refusals) "not-found-closes", Must "AVP-6-16",
        "What would be a 404 closes the connection without an answer.",
        "Clients see a network error, and retry for ever.",
        "Catch what the handler throws.";
    Answer(glued) "bytes-after-the-answer", Must "AVP-12-02",
        "After the body of a granted pull more bytes follow on the connection.",
        "The next answer on the connection is nonsense.",
        "Write as many bytes as Content-Length says.";
    Answer(head_with_body) "head-answered-with-a-body", Must "AVP-12-02",
        "HEAD is answered with a body.",
        "Whatever keeps the connection takes the body for the answer to its next request.",
        "Write the head of the answer alone; handing HEAD to the handler of GET is the usual cause.";
    Answer(length_short) "length-too-short", Must "AVP-12-02" and "AVP-2-02",
        "The Content-Length of a granted pull counts characters and not bytes, and is one short.",
        "Clients get half a JSON document, and nonsense after it.",
        "Count the bytes that are written.";
    Answer(length_long) "length-too-long", Must "AVP-12-02" and "AVP-6-06",
        "The Content-Length of a granted pull is sixteen more than what follows.",
        "Clients wait for bytes that never come.",
        "Count the bytes that are written.";
    Answer(cut) "answers-cut-short", Must "AVP-12-02",
        "The connection closes in the middle of the answer to addMember.",
        "Clients do not know whether it worked.",
        "Flush before you close.";
    Answer(chunk_cut) "chunks-without-end", Must "AVP-12-02",
        "A chunked answer to a pull ends without its last chunk.",
        "Clients cannot know whether they have it all.",
        "Finish the body before you close.";
    Named(UNREAD) "unread-body-after-401", Must "AVP-12-02",
        "A request without a good token is answered before its body is read, and the connection is kept.",
        "The body is taken for the next request, and its answer is nonsense.",
        "Drain the body, or close the connection.";
    Named(UNREAD_CHUNKS) "unread-chunks-after-401", Must "AVP-12-02",
        "A chunked body is left unread behind a 401, and the connection is kept: only bodies with a length are drained.",
        "The chunks are taken for the next request, and its answer is nonsense.",
        "Drain the body whatever its framing, or close the connection.";
    Named(UPGRADE_HANGS) "upgrade-left-hanging", Must "AVP-12-02",
        "A request that offers an upgrade to h2c is handed to nobody, and never answered.",
        "Clients that always offer it cannot use the server: Java's does.",
        "Ignore an upgrade that you do not speak, and answer the request.";
    Named(EXPECT_HANGS) "expectation-left-hanging", Must "AVP-12-02",
        "A request with `Expect: 100-continue` is never answered.",
        "Clients that send large payloads wait until they give up.",
        "Send 100 Continue, or the answer.";
    Named(CHUNKED_EMPTY) "chunked-taken-for-empty", Must "AVP-12-02",
        "A chunked body is taken for an empty one, since there is no Content-Length, and its fields for their defaults.",
        "Clients that stream are answered something that they did not ask.",
        "Read the chunked coding, or refuse it with 411.";
    Answer(as_text) "served-as-text", Should "AVP-2-05",
        "Answers are served as text/plain.",
        "Clients that look at the content type refuse to parse.",
        "Set the content type to application/json.";
    Answer(as_html) "served-as-html", Should "AVP-2-05",
        "Answers are served as text/html.",
        "Clients that look at the content type refuse to parse.",
        "Set the content type to application/json.";
    Answer(untyped) "served-without-type", Should "AVP-2-05",
        "Answers have no content type.",
        "Clients that look at the content type refuse to parse.",
        "Set the content type to application/json.";
    Answer(redirected) "pull-redirected", Must "AVP-6-22",
        "A pull is redirected to the same path with a slash at its end.",
        "Clients follow no redirects, since they carry a token.",
        "Answer on the path of the route table.";
    Answer(accepted) "push-answers-202", Must "AVP-6-22",
        "A push answers 202.",
        "Clients that ask for 200 report an error.",
        "Answer 200.";
    Answer(token_201) "token-answers-201", Must "AVP-6-22",
        "The token route answers 201.",
        "Clients that ask for 200 cannot log in.",
        "Answer 200.";
}

fn hang_pull(scene: &AnswerContext<'_>, answer: &mut Answer) -> bool {
    scene.on(Operation::Pull) && by_hand(answer, Vec::new(), Then::Hang)
}

fn hang_push(scene: &AnswerContext<'_>, answer: &mut Answer) -> bool {
    scene.on(Operation::Push) && by_hand(answer, Vec::new(), Then::Hang)
}

fn hang_fetch(scene: &AnswerContext<'_>, answer: &mut Answer) -> bool {
    scene.on(Operation::FetchMemberKey) && by_hand(answer, Vec::new(), Then::Hang)
}

fn hang_refusals(_: &AnswerContext<'_>, answer: &mut Answer) -> bool {
    answer.status == 403 && by_hand(answer, Vec::new(), Then::Hang)
}

fn trickle(scene: &AnswerContext<'_>, answer: &mut Answer) -> bool {
    if !scene.on(Operation::Pull) {
        return false;
    }
    let bytes = [response::head(answer), answer.content().1].concat();
    let pause = Step::Wait(Duration::from_millis(200));
    let steps = bytes
        .into_iter()
        .flat_map(|byte| [Step::Write(vec![byte]), pause.clone()])
        .collect();
    by_hand(answer, steps, Then::KeepAlive)
}

fn drop_fetch(scene: &AnswerContext<'_>, answer: &mut Answer) -> bool {
    scene.on(Operation::FetchMemberKey) && by_hand(answer, Vec::new(), Then::Close)
}

fn drop_refusals(_: &AnswerContext<'_>, answer: &mut Answer) -> bool {
    answer.status == 404 && by_hand(answer, Vec::new(), Then::Close)
}

fn glued(scene: &AnswerContext<'_>, answer: &mut Answer) -> bool {
    let after = b"{\"manifest\":null}\r\n";
    let body = answer.content().1;
    pulled(scene, answer)
        && by_hand(
            answer,
            vec![Step::Write([&response::head(answer), &body[..], after].concat())],
            Then::KeepAlive,
        )
}

fn head_with_body(scene: &AnswerContext<'_>, answer: &mut Answer) -> bool {
    let body = answer.content().1;
    let whole = [&response::head(answer), &body[..]].concat();
    scene.request.method == "HEAD" && by_hand(answer, vec![Step::Write(whole)], Then::KeepAlive)
}

fn length_short(scene: &AnswerContext<'_>, answer: &mut Answer) -> bool {
    let body = answer.content().1;
    pulled(scene, answer) && framed(answer, body.len().saturating_sub(1), body, Then::KeepAlive)
}

fn length_long(scene: &AnswerContext<'_>, answer: &mut Answer) -> bool {
    let body = answer.content().1;
    pulled(scene, answer) && framed(answer, body.len() + 16, body, Then::KeepAlive)
}

fn cut(scene: &AnswerContext<'_>, answer: &mut Answer) -> bool {
    let body = answer.content().1;
    let half = body[..body.len() / 2].to_vec();
    scene.on(Operation::AddMember) && answer.status == 200 && framed(answer, body.len(), half, Then::Close)
}

fn chunk_cut(scene: &AnswerContext<'_>, answer: &mut Answer) -> bool {
    let body = answer.content().1;
    let head = response::head_with(answer, "transfer-encoding: chunked\r\n");
    let size = format!("{:x}\r\n", body.len());
    let bytes = [&head, size.as_bytes(), &body, b"\r\n"].concat();
    pulled(scene, answer) && by_hand(answer, vec![Step::Write(bytes)], Then::Close)
}

fn pulled(scene: &AnswerContext<'_>, answer: &Answer) -> bool {
    scene.on(Operation::Pull) && answer.status == 200
}

fn framed(answer: &mut Answer, length: usize, body: Vec<u8>, then: Then) -> bool {
    let head = response::head_with(answer, &format!("content-length: {length}\r\n"));
    by_hand(answer, vec![Step::Write([head, body].concat())], then)
}

fn by_hand(answer: &mut Answer, steps: Vec<Step>, then: Then) -> bool {
    answer.manner = Manner::ByHand(Script { steps, then });
    true
}

fn as_text(_: &AnswerContext<'_>, answer: &mut Answer) -> bool {
    typed(answer, "text/plain; charset=utf-8")
}

fn as_html(_: &AnswerContext<'_>, answer: &mut Answer) -> bool {
    typed(answer, "text/html")
}

fn untyped(_: &AnswerContext<'_>, answer: &mut Answer) -> bool {
    typed(answer, "")
}

fn typed(answer: &mut Answer, content_type: &str) -> bool {
    let here = answer.status < 300;
    if here {
        let bytes = answer.content().1;
        answer.body = Body::Text {
            content_type: content_type.to_owned(),
            bytes,
        };
    }
    here
}

fn redirected(scene: &AnswerContext<'_>, answer: &mut Answer) -> bool {
    let here = pulled(scene, answer);
    if here {
        answer.status = 308;
        answer
            .headers
            .push(("Location".to_owned(), format!("{}/", scene.request.path)));
        answer.body = Body::Json(serde_json::json!({ "error": "moved" }));
    }
    here
}

fn accepted(scene: &AnswerContext<'_>, answer: &mut Answer) -> bool {
    restatus(scene.on(Operation::Push), answer, 202)
}

fn token_201(scene: &AnswerContext<'_>, answer: &mut Answer) -> bool {
    restatus(scene.on(Operation::Token), answer, 201)
}

fn restatus(on: bool, answer: &mut Answer, status: u16) -> bool {
    let here = on && answer.status == 200;
    if here {
        answer.status = status;
    }
    here
}
